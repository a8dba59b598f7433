"""What the doctor sees without a call."""

import socket
from pathlib import Path

from parley_cli.doctor.check import Check
from parley_cli.doctor.checks import static_checks
from parley_cli.settings import Settings
from parley_cli.versions import versions


def _check(settings: Settings, name: str) -> Check:
    return next(check for check in static_checks(settings) if check.name == name)


def test_the_parts_have_versions() -> None:
    assert versions()["postgres"].startswith("18.")
    assert versions()["valkey"].startswith("9.")
    assert versions()["envoy"].startswith("1.")


def test_a_client_that_is_not_built_is_found(tmp_path: Path) -> None:
    check = _check(Settings(web_root=tmp_path, data_dir=tmp_path), "web client")

    assert not check.good
    assert "make setup" in check.finding


def test_a_port_in_use_is_found(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        check = _check(Settings(port=port, data_dir=tmp_path), f"port {port}")

    assert not check.good
    assert "--port" in check.finding


def test_a_folder_that_is_not_there_yet_is_fine(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "a" / "b")

    assert _check(settings, "data folder").good
    assert _check(settings, "disk").finding.endswith("GB free")
