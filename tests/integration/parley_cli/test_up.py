"""`parley up`: starts, restarts what dies, keeps what was created, and leaves no process behind."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import psutil
import pytest

from parley_cli.up.data_folder import read_instance
from tests.support.fleet import Fleet
from tests.support.waiting import call_of, until

# Each of these may start the whole product once or twice, on a machine that does other things too.
pytestmark = pytest.mark.timeout(400)

PARTS = ["postgres", "redis", "control-plane", "node", "web", "envoy"]


@pytest.fixture(scope="module")
async def own(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """A product that these tests may stop."""
    fleet = Fleet(tmp_path_factory.mktemp("up"))
    await fleet.start()
    yield fleet
    await fleet.stop()


async def test_it_prints_a_line_for_each_part_and_the_plain_url(own: Fleet) -> None:
    lines = own.output.splitlines()

    for part in PARTS:
        assert [line for line in lines if line.startswith(f"✓ {part} ")], own.output
    assert f"http://localhost:{own.port}" in lines
    assert (await _get(own, "/j/12345678901")).status_code == 200


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_that_dies_comes_back(own: Fleet, part: str) -> None:
    instance = read_instance(own.folder)
    assert instance
    before = instance["parts"][part]

    os.kill(before, signal.SIGKILL)

    async def pid() -> int:
        now = read_instance(own.folder)
        assert now
        found: int = now["parts"][part]
        return found

    await until(pid, lambda now: now != before, within=60)
    await until(lambda: _status(own, "/v1/meetings"), lambda status: status == httpx.codes.UNAUTHORIZED, within=60)
    assert f"! {part} " in own.output


async def test_a_node_that_runs_and_does_not_answer_is_replaced(own: Fleet) -> None:
    """FLT-5, from outside: a node that hangs as a whole can't say so itself."""
    before = own.node.pid

    own.node.signal(signal.SIGSTOP)

    await until(call_of(lambda: own.node.pid), lambda now: now != before, within=60)
    assert not psutil.pid_exists(before)
    assert "it runs, but did not answer" in own.output


async def test_ctrl_c_ends_a_node_that_does_not_by_itself(own: Fleet) -> None:
    """FLT-5: SIGKILL takes what SIGTERM does not reach, after the time that the node has to stop in good order."""
    node = psutil.Process(own.node.pid)
    own.node.signal(signal.SIGSTOP)

    assert await own.stop(signal.SIGINT) == 0

    assert not node.is_running()
    assert "Parley has stopped." in own.output
    await own.start()


async def test_secrets_are_not_for_others(own: Fleet) -> None:
    kept = [path for path in (own.folder / "secrets").iterdir() if path.is_file()]

    assert {path.name for path in kept} >= {"node-token", "operator-token", "signing-key.pem"}
    assert not [path for path in kept if path.stat().st_mode & 0o077]


def test_a_second_one_in_the_same_folder_is_refused(own: Fleet) -> None:
    done = _parley("up", "--data-dir", str(own.folder), "--port", "1")

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"parley: The data folder {own.folder} is in use by another parley (process {own.pid})"
    )
    assert done.stderr.count("\n") == 1


def test_a_port_in_use_is_one_sentence(own: Fleet, tmp_path: Path) -> None:
    done = _parley("up", "--data-dir", str(tmp_path), "--port", str(own.port))

    assert done.returncode == 1
    assert done.stderr.startswith(f"parley: Port {own.port} on 127.0.0.1 is in use by another program")
    assert done.stderr.count("\n") == 1


def test_a_folder_that_can_not_be_used_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    done = _parley("up", "--data-dir", str(tmp_path / "file" / "data"))

    assert done.returncode == 1
    assert "can't be used" in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_damaged_configuration_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "parley.toml").write_text("port = = 8080")

    done = _parley("up", environment={"PARLEY_CONFIG": str(tmp_path / "parley.toml")})

    assert done.returncode == 2
    assert "is damaged" in done.stderr
    assert done.stderr.count("\n") == 1


async def test_it_stops_without_a_trace_and_keeps_what_was_created(own: Fleet) -> None:
    account = {"email": "ann@example.com", "password": "correct horse battery", "displayName": "Ann"}
    signed_up = await _post(own, "/v1/users:signUp", account)
    assert signed_up.status_code == 200
    instance = read_instance(own.folder)
    assert instance
    family = [psutil.Process(own.pid), *psutil.Process(own.pid).children(recursive=True)]
    assert {process.pid for process in family} >= set(instance["parts"].values())

    assert await own.stop() == 0

    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert read_instance(own.folder) is None
    assert "Parley has stopped." in own.output
    await own.start()
    signed_in = await _post(own, "/v1/users:signIn", {k: account[k] for k in ("email", "password")})
    assert signed_in.status_code == 200
    token = signed_up.json()["credentials"]["accessToken"]
    still_good = await _get(own, "/v1/users/me", token)
    assert still_good.json()["user"]["displayName"] == "Ann"


async def test_nothing_outlives_a_supervisor_that_is_killed(own: Fleet) -> None:
    family = psutil.Process(own.pid).children(recursive=True)

    own.kill()

    async def left() -> list[psutil.Process]:
        return [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    await until(left, lambda processes: not processes, within=30)
    await own.start()


async def _status(fleet: Fleet, path: str) -> int:
    try:
        return (await _get(fleet, path)).status_code
    except httpx.HTTPError:
        return 0


async def _get(fleet: Fleet, path: str, token: str = "") -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://{fleet.authority}") as client:
        return await client.get(path, headers={"authorization": f"Bearer {token}"} if token else {})


async def _post(fleet: Fleet, path: str, body: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(base_url=f"http://{fleet.authority}") as client:
        return await client.post(path, json=body)


def _parley(*arguments: str, environment: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "parley_cli.main", *arguments],
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
