"""Commands to a meeting's live state: checks and steps that `commit.lua` carries out as one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.kernel.records import compact_json, encode
from control_plane.log.participant import Participant
from control_plane.log.position import NodePosition, StatePosition
from control_plane.platform.redis.client import Argument, Call, RedisClient, Script, milliseconds
from parley.signaling.v1 import event_pb2

KEEP_EMPTY_MS: Final = 24 * 3600 * 1000
"""For how long the log of a meeting that nobody is in stays."""
KEEP_ENDED_MS: Final = 3600 * 1000
"""For how long the log of an ended meeting stays, so that late readers see the end."""
_OPERATION_MS: Final = 3600 * 1000
_MAX_LOG: Final = 10_000


def prefix(meeting_id: str) -> str:
    """Returns what all keys of a meeting begin with; the hash tag keeps them in one slot of a cluster."""
    return f"parley:{{{meeting_id}}}:"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command.

    Attributes:
        status: `ok`, `done` (it was carried out before), or the check that failed.
        detail: The earlier result, for `done`; `silent` if the media of who has signalled is.
        position: Stream id of the log's last entry.
        generation: Which log of the meeting it is.
    """

    status: str
    detail: str
    position: str
    generation: str


@dataclass(slots=True)
class Command:
    """Checks and steps, in order.

    Attributes:
        checks: Conditions, each with its arguments.
        steps: Changes, each with its arguments.
        events: The events that steps tell of, which name them by their places.
    """

    checks: list[Sequence[object]] = field(default_factory=list)
    steps: list[Sequence[object]] = field(default_factory=list)
    events: list[event_pb2.Event] = field(default_factory=list)

    def check(self, name: str, *arguments: object) -> Command:
        """Adds a condition."""
        self.checks.append((name, *arguments))
        return self

    def step(self, name: str, *arguments: object) -> Command:
        """Adds a change."""
        self.steps.append((name, *arguments))
        return self

    def attach(self, event: event_pb2.Event) -> int:
        """Returns the place of an event, for a step that may tell of it."""
        self.events.append(event)
        return len(self.events)

    def tell(self, event: event_pb2.Event, recipient: str = "") -> Command:
        """Appends an event, for everyone or for one participant."""
        return self.step("event", recipient, self.attach(event))

    def once(self, source: NodePosition | None) -> Command:
        """Carries it out only if the node's event was not seen before. Has to be the last check.

        A state is carried out unless an event after it was seen.
        """
        if source is None:
            return self
        kind = "node_state" if isinstance(source, StatePosition) else "node_event"
        return self.check(kind, source.instance_id, str(source.sequence))

    def history(self, participant: Participant, leave_time: datetime | None, reason: str) -> Command:
        """Notes a stay for the database."""
        left = "" if leave_time is None else str(milliseconds(leave_time))
        return self.step("history", encode(participant), left, reason)


class Committer:
    """Carries commands out."""

    def __init__(
        self, client: RedisClient, clock: Clock, current_trace: Callable[[], str], *, max_log: int = _MAX_LOG
    ) -> None:
        self._clock = clock
        self._current_trace = current_trace
        self._max_log = max_log
        self.script = Script.load(client, "control_plane.log", "commit")

    async def __call__(
        self,
        meeting_id: str,
        command: Command,
        *,
        operation: str = "",
        result: str = "",
        traceparent: str | None = None,
    ) -> Outcome:
        """Carries a command out, or finds that it was done before or that a check fails.

        Raises:
            DomainError: STORE_UNAVAILABLE: whether it was carried out is not known; the same operation may be sent
                again.
        """
        arguments = self._arguments(command, operation, result, traceparent)
        return Outcome(*await self.script([prefix(meeting_id)], arguments))

    def call(self, meeting_id: str, command: Command, *, operation: str = "", result: str = "") -> Call:
        """Returns the call that carries a command out, for `together`; its answer has the fields of an `Outcome`."""
        return self.script.call([prefix(meeting_id)], self._arguments(command, operation, result, None))

    def _arguments(self, command: Command, operation: str, result: str, traceparent: str | None) -> list[Argument]:
        now = milliseconds(self._clock.now())
        text = compact_json(
            {
                "op": operation,
                "op_ttl_ms": _OPERATION_MS,
                "op_result": result,
                "time": str(now),
                "trace": self._current_trace() if traceparent is None else traceparent,
                "max_length": self._max_log,
                "keep_ms": KEEP_EMPTY_MS,
                "generation": secrets.token_hex(4),
                "checks": command.checks,
                "steps": command.steps,
            }
        )
        return [text, *_serialized(command.events, now)]


def _serialized(events: Sequence[event_pb2.Event], now: int) -> list[bytes]:
    for event in events:
        event.time.FromMilliseconds(now)
    return [event.SerializeToString() for event in events]
