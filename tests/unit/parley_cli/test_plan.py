"""What `parley up` decides before it starts anything."""

import os
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
    names = [each.part.name for each in plan.parts if not each.part.name.startswith("control-plane-")]
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

    names = [each.part.name for each in plan.parts if not each.part.name.startswith("control-plane-")]
    assert names == ["control-plane", "node", "web", "envoy"]
    assert plan.parts[0].needs == []


@pytest.mark.parametrize(("cores", "processes"), [(1, 1), (2, 1), (3, 1), (4, 2), (16, 8)])
def test_there_is_a_control_plane_process_for_every_two_cores(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch, cores: int, processes: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(cores)))

    plan = make_plan(Settings(port=free_port()), folder, lan=False)

    names = [each.part.name for each in plan.parts if each.part.name.startswith("control-plane")]
    assert names == ["control-plane", *(f"control-plane-{number}" for number in range(2, processes + 1))]
    assert plan.settings.control_plane_processes == processes
    assert len(set(plan.settings.control_plane_target.split(","))) == processes


def test_each_process_of_the_control_plane_has_ports_of_its_own(folder: DataFolder) -> None:
    settings = Settings(
        port=free_port(),
        control_plane_processes=3,
        control_plane_address="0.0.0.0:7000",
        control_plane_metrics_port=9500,
    )

    plan = make_plan(settings, folder, lan=False)

    told = [each.part.command().environment for each in plan.parts if each.part.name.startswith("control-plane")]
    assert [one["PARLEY_CONTROL_PLANE_ADDRESS"] for one in told] == ["0.0.0.0:7000", "0.0.0.0:7001", "0.0.0.0:7002"]
    assert [one["PARLEY_CONTROL_PLANE_METRICS_PORT"] for one in told] == ["9500", "9501", "9502"]
    assert {one["PARLEY_CONTROL_PLANE_TARGET"] for one in told} == {"127.0.0.1:7000,127.0.0.1:7001,127.0.0.1:7002"}
    assert len({each.part.name for each in plan.parts}) == len(plan.parts), "each has a log of its own"


def test_metrics_that_would_meet_on_a_port_are_refused(folder: DataFolder) -> None:
    settings = Settings(
        port=free_port(), control_plane_processes=2, control_plane_metrics_port=9464, node_metrics_port=9465
    )

    with pytest.raises(CommandError, match=r"PARLEY_NODE_METRICS_PORT is 9465, but .* from port 9464 to 9465"):
        make_plan(settings, folder, lan=False)


def test_a_port_in_use_is_refused(folder: DataFolder) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as other,
        pytest.raises(CommandError, match="in use by another program"),
    ):
        make_plan(Settings(port=other.getsockname()[1]), folder, lan=False)
