"""What `parley up` decides before it starts anything."""

import socket
from pathlib import Path

import pytest

from parley_cli.errors import CommandError
from parley_cli.ports import free_port
from parley_cli.settings import Settings
from parley_cli.up import plan as plan_module
from parley_cli.up.data_folder import DataFolder
from parley_cli.up.plan import make_plan


@pytest.fixture(autouse=True)
def _bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(f"PARLEY_{name.upper()}", raising=False)


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path / "data")
    folder.open()
    return folder


def test_by_default_everything_stays_on_this_machine(folder: DataFolder) -> None:
    port = free_port()
    plan = make_plan(Settings(port=port), folder, lan=False)

    assert plan.url == f"http://localhost:{port}"
    assert plan.local_url == f"http://127.0.0.1:{port}"
    assert plan.settings.bind_address == "127.0.0.1"
    assert plan.settings.media_bind_address == "", "browsers here reach the media at this machine's other addresses too"
    assert plan.settings.node_token.get_secret_value() == folder.secret("node-token")
    names = [each.part.name for each in plan.parts]
    assert names == ["postgres", "redis", "control-plane", "node", "web", "envoy"]


def test_with_lan_the_network_is_served_over_tls(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "lan_addresses", lambda: ["192.0.2.10", "198.51.100.3"])
    port = free_port()

    plan = make_plan(Settings(port=port), folder, lan=True)

    assert plan.url == f"https://192.0.2.10:{port}"
    assert plan.local_url == f"https://127.0.0.1:{port}"
    assert plan.settings.bind_address == "0.0.0.0"
    assert plan.settings.media_addresses == [], "the node finds them, and finds them again when the network changes"
    assert plan.settings.tls_certificate_file == folder.path / "tls" / "certificate.pem"


def test_what_is_set_wins_over_what_lan_would_choose(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "lan_addresses", lambda: ["192.0.2.10"])
    settings = Settings(port=free_port(), public_url="https://meet.example.com", media_addresses=["203.0.113.5"])

    plan = make_plan(settings, folder, lan=True)

    assert plan.url == "https://meet.example.com"
    assert plan.settings.media_addresses == ["203.0.113.5"]


def test_without_a_network_lan_is_refused(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_module, "lan_addresses", list)

    with pytest.raises(CommandError, match="in no network"):
        make_plan(Settings(port=free_port()), folder, lan=True)


def test_stores_of_ones_own_are_not_started(folder: DataFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_DATABASE_URL", "postgresql+psycopg://me@db/parley")
    monkeypatch.setenv("PARLEY_REDIS_URL", "redis://cache/0")

    plan = make_plan(Settings(port=free_port()), folder, lan=False)

    assert [each.part.name for each in plan.parts] == ["control-plane", "node", "web", "envoy"]
    assert plan.parts[0].needs == []


def test_a_port_in_use_is_refused(folder: DataFolder) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(CommandError, match="in use by another program"),
    ):
        make_plan(Settings(port=other.getsockname()[1]), folder, lan=False)
