"""`parley up` with two processes of the control plane: calls reach both, and the death of one stops nothing."""

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from media_plane.bots.client import create_meeting
from parley_cli.bench.product import NO_LIMITS
from parley_cli.ports import check_port, free_port
from parley_cli.up.data_folder import read_instance
from tests.support.fleet import Fleet
from tests.support.waiting import call_of, until

pytestmark = pytest.mark.timeout(400)

PROCESSES = ("control-plane", "control-plane-2")


def two_ports() -> int:
    """The first of two free ports, one after the other."""
    while True:
        first = free_port()
        try:
            check_port("127.0.0.1", first + 1)
        except OSError:
            continue
        return first


@pytest.fixture(scope="module")
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    settings = {
        **NO_LIMITS,
        "PARLEY_CONTROL_PLANE_PROCESSES": "2",
        "PARLEY_CONTROL_PLANE_METRICS_PORT": str(two_ports()),
    }
    fleet = Fleet(tmp_path_factory.mktemp("pair"), settings)
    await fleet.start()
    yield fleet
    await fleet.stop()


async def metric(fleet: Fleet, place: int, pattern: str) -> float:
    """The sum of a process's samples whose name and labels match."""
    port = int(fleet.environment["PARLEY_CONTROL_PLANE_METRICS_PORT"]) + place
    async with httpx.AsyncClient() as client:
        text = (await client.get(f"http://127.0.0.1:{port}/metrics")).text
    return sum(float(value) for value in re.findall(rf"^{pattern} (\S+)$", text, re.MULTILINE))


async def calls(fleet: Fleet, place: int) -> float:
    """How many of the test's calls a process has served."""
    return await metric(fleet, place, r"grpc_server_handled_total\{.*GetMeeting.*\}")


class Caller:
    """Somebody who reads their meeting again and again."""

    def __init__(self, fleet: Fleet, meeting: str, token: str) -> None:
        self._client = httpx.AsyncClient(base_url=f"http://{fleet.authority}")
        self._path = f"/v1/{meeting}"
        self._headers = {"authorization": f"Bearer {token}"}

    async def read(self) -> str:
        """What it comes to; empty: all is well."""
        answer = await self._client.get(self._path, headers=self._headers, timeout=20)
        return "" if answer.status_code == httpx.codes.OK else f"{answer.status_code} {answer.text}"

    async def close(self) -> None:
        await self._client.aclose()


@pytest.fixture
async def caller(pair: Fleet) -> AsyncIterator[Caller]:
    meeting, _, token = await create_meeting(pair.authority)
    made = Caller(pair, meeting, token)
    yield made
    await made.close()


async def test_calls_reach_both_processes_which_know_of_each_other(pair: Fleet, caller: Caller) -> None:
    for part in PROCESSES:
        assert f"✓ {part} " in pair.output

    async def reached() -> list[float]:
        assert await caller.read() == ""
        return [await calls(pair, place) for place in range(2)]

    await until(reached, all, within=30, what="both serve calls")

    async def seen() -> list[float]:
        return [await metric(pair, place, "parley_replicas") for place in range(2)]

    await until(seen, lambda found: found == [2, 2], within=30, what="each sees both")


@pytest.mark.parametrize("part", PROCESSES)
async def test_a_process_that_is_killed_costs_no_call_and_comes_back(pair: Fleet, caller: Caller, part: str) -> None:
    before = pid_of(pair, part)
    answers: list[str] = []
    stop = asyncio.Event()

    async def go_on() -> None:
        while not stop.is_set():
            answers.append(await caller.read())

    going = [asyncio.create_task(go_on()) for _ in range(16)]
    await until(call_of(lambda: len(answers)), lambda count: count > 20)

    os.kill(before, signal.SIGKILL)

    place = PROCESSES.index(part)
    await until(call_of(pid_of, pair, part), lambda pid: pid not in {0, before}, within=60, what=f"{part} is back")

    async def serves() -> bool:
        try:
            return await calls(pair, place) > 0
        except httpx.HTTPError:
            return False

    await until(serves, within=60, what=f"calls reach {part} again")
    stop.set()
    await asyncio.gather(*going)
    assert set(answers) == {""}, "reading is idempotent, so it is tried again at the other one"


async def test_each_has_a_log_of_its_own(pair: Fleet) -> None:
    for part in PROCESSES:
        assert "replicas.changed" in pair.log(part)


def pid_of(fleet: Fleet, part: str) -> int:
    instance: Any = read_instance(fleet.folder)
    pid: int = instance["parts"].get(part, 0)
    return pid
