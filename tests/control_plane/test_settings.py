from __future__ import annotations

import os
from pathlib import Path

import pytest

from control_plane.__main__ import StartError, read_settings
from control_plane.settings import ControlPlaneSettings


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PARLEY_")]:
        monkeypatch.delenv(name)


def test_the_environment_wins_over_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text('public_url = "https://meet.example"\nsign_up = false\nsomething_of_the_gateway = 1\n')
    monkeypatch.setenv("PARLEY_CONFIG", str(file))
    monkeypatch.setenv("PARLEY_SIGN_UP", "true")
    settings = read_settings()
    assert settings.public_url == "https://meet.example"
    assert settings.sign_up


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PARLEY_PUBLIC_URL", "meet.example"),
        ("PARLEY_CONTROL_PLANE_ADDRESS", "8081"),
        ("PARLEY_CONTROL_PLANE_METRICS_PORT", "70000"),
        ("PARLEY_LOG_FORMAT", "xml"),
    ],
)
def test_a_setting_that_breaks_its_rule_is_one_sentence_with_its_name(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(StartError, match=name) as raised:
        read_settings()
    assert "\n" not in str(raised.value)


def test_a_damaged_file_is_one_sentence_with_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    file.write_text("this is = = no TOML")
    monkeypatch.setenv("PARLEY_CONFIG", str(file))
    with pytest.raises(StartError, match=r"parley\.toml"):
        read_settings()


def test_every_setting_is_documented() -> None:
    assert all(field.description for field in ControlPlaneSettings.model_fields.values())


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = ControlPlaneSettings(node_token="hunter2", database_url="postgresql+psycopg://u:hunter2@h/d")  # type: ignore[arg-type]
    assert "hunter2" not in repr(settings)
