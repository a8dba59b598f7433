"""The crowd as the measurement drives it: people over load processes, and what they have seen."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from grpc_kit.channel import open_channel
from media_plane.bots.client import create_meeting
from parley.meeting.v1 import meeting_service_pb2
from parley.meeting.v1.meeting_service_pb2_grpc import MeetingServiceStub
from parley_cli.bench.load import LoadClients, load_process
from parley_cli.bench.product import cpu_seconds
from parley_cli.errors import CommandError

_CALL_SECONDS = 15.0
_PREPARED_AT_ONCE = 50
_LEAD_SECONDS = 0.5
_PAUSE = 0.1
_QUIET_SECONDS = 1.5
_LEAST_LIMIT = 2


class Crowd:
    """People of one meeting. Person 0 is its host and comes first."""

    def __init__(self, processes: Sequence[LoadClients], shares: Sequence[int]) -> None:
        self._processes = processes
        self._shares = shares

    @property
    def people(self) -> int:
        """How many there are."""
        return sum(self._shares)

    def cpu_seconds(self) -> Mapping[str, float]:
        """Processor time so far of the load processes, signalling and media apart."""
        every = sum(cpu_seconds(process.pid) for process in self._processes)
        signalling = sum(cpu_seconds(process.pid, children=False) for process in self._processes)
        return {"crowd signalling": signalling, "crowd media": every - signalling}

    async def prepare(self, meeting: str, passcode: str, host_token: str) -> None:
        """Does what comes before the click."""
        first = 0
        for process, share in zip(self._processes, self._shares, strict=True):
            for begin in range(0, share, _PREPARED_AT_ONCE):
                count = min(_PREPARED_AT_ONCE, share - begin)
                token = host_token if first == 0 else ""
                await process.ask(
                    "prepare", meeting=meeting, passcode=passcode, first=first, count=count, host_token=token
                )
                first += count

    async def join(self, joins_per_second: float, within: float) -> float:
        """Lets the host in, and then all others, one each 1/`joins_per_second` seconds, whatever the answers take.

        Returns:
            When the first of the others came.

        Raises:
            CommandError: They are not through after `within` seconds.
        """
        await self._processes[0].ask("join", first=0, count=1, begin=0.0, interval=0.0)
        await self._wait_for_joins(within)
        begin = time.monotonic() + _LEAD_SECONDS
        interval = len(self._processes) / joins_per_second
        for place, (process, share) in enumerate(zip(self._processes, self._shares, strict=True)):
            first = 1 if place == 0 else 0
            offset = begin + place / joins_per_second
            await process.ask("join", first=first, count=share - first, begin=offset, interval=interval)
        await self._wait_for_joins(within)
        return begin

    async def settle(self, within: float) -> bool:
        """Waits until no event comes any more; False: some still do."""
        deadline = time.monotonic() + within
        while time.monotonic() < deadline:
            last = max(reply["last_event"] for reply in await self._all("progress"))
            if time.monotonic() - last > _QUIET_SECONDS:
                return True
            await asyncio.sleep(_PAUSE)
        return False

    async def connected(self) -> int:
        """How many people's media is connected."""
        return sum(reply["connected"] for reply in await self._all("progress"))

    async def react(self, person: int, emoji: str) -> Mapping[str, Any]:
        """A person reacts; returns when (`sent`), and the `key` of its arrivals."""
        process, place = self._place(person)
        return await process.ask("react", person=place, emoji=emoji)

    async def unmute(self, person: int) -> Mapping[str, Any]:
        """A person's microphone goes on; returns as `react` does."""
        process, place = self._place(person)
        return await process.ask("unmute", person=place)

    async def counts(self) -> Sequence[Mapping[str, Any]]:
        """Messages and bytes that came by the streams of each process so far."""
        return await self._all("counts")

    async def records(self) -> Sequence[Mapping[str, Any]]:
        """What each process has measured so far (`crowd.person.Record`)."""
        return await self._all("record")

    async def reference(self) -> Mapping[str, Any]:
        """What the host was told, who was there from the beginning (`crowd.process`)."""
        return await self._processes[0].ask("reference")

    async def check(self) -> Mapping[str, Any]:
        """How many watchers' logs are whole: gapless, in order, complete.

        Compared is with the host's, who was there from the beginning: so many people it says are `present`, so many of
        them `unconnected`, and the keys of reactions and microphones are `heard` in this order.
        """
        reference = await self.reference()
        fields = {name: reference[name] for name in ("events", "present", "unconnected")}
        replies = await self._all("check", **fields)
        return {
            "watchers": sum(reply["watchers"] for reply in replies),
            "whole": sum(reply["whole"] for reply in replies),
            "events": len(reference["events"]),
            "present": reference["present"],
            "unconnected": len(reference["unconnected"]),
            "heard": reference["heard"],
            "faults": [fault for reply in replies for fault in reply["faults"]],
        }

    async def _wait_for_joins(self, within: float) -> None:
        deadline = time.monotonic() + within
        while joining := sum(reply["joining"] for reply in await self._all("progress")):
            if time.monotonic() > deadline:
                message = f"{joining} joins are not answered within {within:g} s."
                raise CommandError(message)
            await asyncio.sleep(_PAUSE)

    async def _all(self, operation: str, **fields: Any) -> Sequence[Mapping[str, Any]]:  # noqa: ANN401 - JSON
        return await asyncio.gather(*(process.ask(operation, **fields) for process in self._processes))

    def _place(self, person: int) -> tuple[LoadClients, int]:
        for process, share in zip(self._processes, self._shares, strict=True):
            if person < share:
                return process, person
            person -= share
        message = f"there are {self.people} people"
        raise IndexError(message)


@asynccontextmanager
async def open_crowd(target: str, people: int, processes: int) -> AsyncIterator[Crowd]:
    """A crowd that is ready to join a meeting of its own, which ends with the context."""
    shares = [people // processes + (place < people % processes) for place in range(processes)]
    async with AsyncExitStack() as stack:
        command = [sys.executable, "-m", "parley_cli.bench.crowd.process", target]
        running = [await stack.enter_async_context(load_process("A load process", command)) for _ in range(processes)]
        meeting, passcode, host = await create_meeting(target, max_participants=max(people, _LEAST_LIMIT))
        stack.push_async_callback(_end_meeting, target, meeting, host)
        crowd = Crowd(running, shares)
        await crowd.prepare(meeting, passcode, host)
        yield crowd


async def _end_meeting(target: str, meeting: str, token: str) -> None:
    channel = open_channel(target, bearer_token=token)
    try:
        request = meeting_service_pb2.EndMeetingRequest(name=meeting)
        method: Any = MeetingServiceStub(channel).EndMeeting
        await method(request, timeout=_CALL_SECONDS)
    finally:
        await channel.close()
