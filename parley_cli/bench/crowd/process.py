"""A load process, `python -m parley_cli.bench.crowd.process TARGET`: a JSON operation a line in, a reply a line out."""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from typing import Any

from grpc import aio

from grpc_kit.channel import CHANNEL_OPTIONS
from parley_cli.bench.crowd.person import Person, Record
from parley_cli.bench.load import load_clients

_LINE_BYTES = 64 * 1024 * 1024
_PEOPLE_OF_A_CONNECTION = 25
_PREPARED_AT_A_TIME = 8
_SHOWN = 5
_Reply = Mapping[str, Any]


class _People:
    """Those of this process. Each public method is an operation, and its arguments are the operation's fields."""

    def __init__(self, target: str, stack: AsyncExitStack) -> None:
        self._target = target
        self._stack = stack
        self._record = Record()
        self._people: list[Person] = []
        self._joining: set[asyncio.Task[None]] = set()
        self._media: Any = None

    async def prepare(self, meeting: str, passcode: str, first: int, count: int, host_token: str = "") -> _Reply:
        """Readies `count` more people, numbered from `first`; with a token, the first of them is the host."""
        self._media = self._media or await self._stack.enter_async_context(load_clients())
        turns = asyncio.Semaphore(_PREPARED_AT_A_TIME)
        channel: aio.Channel | None = None
        new = []
        for place in range(count):
            if channel is None or place % _PEOPLE_OF_A_CONNECTION == 0:
                channel = await self._stack.enter_async_context(_connection(self._target))
            new.append(Person(first + place, channel, self._media, self._record))

        async def ready(person: Person, token: str) -> None:
            async with turns:
                await person.prepare(meeting, passcode, token)

        async with asyncio.TaskGroup() as group:
            for place, person in enumerate(new):
                group.create_task(ready(person, host_token if place == 0 else ""))
        self._people += new
        return {}

    async def join(self, first: int, count: int, begin: float, interval: float) -> _Reply:
        """People click one after the other, `interval` seconds apart from `begin` on; replies before they do."""
        for place in range(count):
            task = asyncio.create_task(_at(begin + place * interval, self._people[first + place].join))
            self._joining.add(task)
            task.add_done_callback(self._joining.discard)
        return {}

    async def progress(self) -> _Reply:
        """How far the joins are, and when the last event came."""
        media = await self._media.ask("stats")
        return {
            "joining": len(self._joining),
            "connected": sum(client["state"] == "connected" for client in media["clients"]),
            "last_event": self._record.last_event,
        }

    async def react(self, person: int, emoji: str) -> _Reply:
        """One person reacts: this one, or the next who is in the meeting."""
        who = self._present(person)
        return {"sent": await who.react(emoji), "key": f"react {who.name}"}

    async def unmute(self, person: int) -> _Reply:
        """One person's microphone goes on: as with `react`."""
        who = self._present(person)
        return {"sent": await who.unmute(), "key": f"unmute {who.name}"}

    async def counts(self) -> _Reply:
        """What came by all streams so far."""
        return {"messages": self._record.messages, "message_bytes": self._record.message_bytes}

    async def record(self) -> _Reply:
        """All that was measured so far."""
        return {name: getattr(self._record, name) for name in Record.__slots__}

    async def reference(self) -> _Reply:
        """The log of this process's first person."""
        person = self._people[0]
        log = person.log
        if log is None:
            message = "the first person is not in the meeting"
            raise RuntimeError(message)
        return {
            "events": list(log.events),
            "present": log.present,
            "unconnected": sorted(log.unconnected),
            "heard": person.heard,
        }

    async def check(self, events: list[int], present: int, unconnected: list[str]) -> _Reply:
        """Compares everybody's log with a reference."""
        logs = [person.log for person in self._people if person.log is not None]
        faults = [found for log in logs if (found := log.faults(events, present, unconnected))]
        return {"watchers": len(logs), "whole": len(logs) - len(faults), "faults": faults[:_SHOWN]}

    def _present(self, place: int) -> Person:
        return next(one for one in [*self._people[place:], *self._people[:place]] if one.name)

    async def close(self) -> None:
        """Ends everybody."""
        for task in list(self._joining):
            task.cancel()
        for person in self._people:
            await person.close()


def _connection(target: str) -> aio.Channel:
    # Channels of equal options share a connection unless told otherwise.
    return aio.insecure_channel(target, options=[*CHANNEL_OPTIONS, ("grpc.use_local_subchannel_pool", 1)])


async def _at(moment: float, do: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(max(0.0, moment - time.monotonic()))
    await do()


async def _main(target: str) -> None:
    reader = asyncio.StreamReader(limit=_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with AsyncExitStack() as stack:
        people = _People(target, stack)
        stack.push_async_callback(people.close)
        while line := await reader.readline():
            fields = json.loads(line)
            operation = fields.pop("op")
            try:
                reply = {"op": operation, **await getattr(people, operation)(**fields)}
            except Exception as error:  # noqa: BLE001 - whoever asked is told
                reply = {"op": operation, "error": f"{type(error).__name__}: {error}"}
            sys.stdout.write(json.dumps(reply) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1]))
