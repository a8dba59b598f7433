"""One settings object, and one sentence for each mistake in it."""

from pathlib import Path

import pytest

from parley_cli.errors import CONFIGURATION, CommandError
from parley_cli.settings import Settings, describe, load_settings


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PARLEY_{name.upper()}", raising=False)
    monkeypatch.delenv("PARLEY_CONFIG", raising=False)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "parley.toml"
    monkeypatch.setenv("PARLEY_CONFIG", str(path))
    return path


def test_options_win_over_environment_over_file_over_default(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text('port = 1001\nregion = "zurich"\nnode_id = "n1"')
    monkeypatch.setenv("PARLEY_PORT", "1002")
    monkeypatch.setenv("PARLEY_REGION", "bern")

    settings = load_settings(port=1003)

    assert (settings.port, settings.region, settings.node_id, settings.log_level) == (1003, "bern", "n1", "INFO")
    sources = {setting.name: setting.source for setting in describe(settings, ["port"])}
    assert sources["port"] == "option"
    assert sources["region"] == "environment"
    assert sources["node_id"] == "file"
    assert sources["log_level"] == "default"


def test_every_setting_says_what_it_means() -> None:
    for setting in describe(load_settings()):
        assert len(setting.meaning) > 10, setting.name


def test_secrets_are_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"node_token": "very-secret-1", "operator_token": "very-secret-2"}
    for name, value in secrets.items():
        monkeypatch.setenv(f"PARLEY_{name.upper()}", value)
    monkeypatch.setenv("PARLEY_DATABASE_URL", "postgresql+psycopg://me:very-secret-3@db/parley")

    shown = {setting.name: setting.value for setting in describe(load_settings())}

    assert shown["node_token"] == shown["database_url"] == "(hidden)"
    assert "very-secret" not in repr(shown)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("port = ", "is damaged: "),
        ("prot = 8080", "sets prot, which is no setting. Did you mean port?"),
        ('port = "many"', "port in the configuration .* does not fit: "),
        ("port = 70000", "less than or equal to 65535"),
    ],
)
def test_a_mistake_in_the_file_is_one_sentence(file: Path, content: str, sentence: str) -> None:
    file.write_text(content)

    with pytest.raises(CommandError, match=sentence) as caught:
        load_settings()

    assert caught.value.status == CONFIGURATION
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said(file: Path) -> None:
    with pytest.raises(CommandError, match=f"{file} can't be read: No such file"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("PARLEY_PORT", "many", "environment variable PARLEY_PORT does not fit"),
        ("PARLEY_MEDIA_PORTS", "[1, ", "media_ports"),
    ],
)
def test_a_mistake_in_the_environment_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(variable, value)

    with pytest.raises(CommandError, match=sentence) as caught:
        load_settings()

    assert "\n" not in str(caught.value)
