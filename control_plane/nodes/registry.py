"""The node registry: what every media node has said of itself, in Redis, so that every replica sees the same."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from control_plane.kernel.clock import Clock
from control_plane.kernel.records import compact_json, read_enum
from control_plane.nodes.model import (
    LoadReport,
    NodeEvent,
    NodeState,
    NodeStatus,
    Registration,
    RoomLease,
    Timing,
    loses_rooms,
    step,
)
from control_plane.platform.redis.client import (
    RedisClient,
    Script,
    from_milliseconds,
    milliseconds,
    pairs,
    store_failures,
)
from control_plane.platform.redis.client import answer as redis_answer

PREFIX: Final = "parley:{placement}:"
_ATTEMPTS: Final = 10
_MEMORY: Final = {
    NodeState.GONE: timedelta(hours=1),
    NodeState.LOST: timedelta(hours=24),
    NodeState.UNKNOWN: timedelta(days=7),
}
"""For how long a node is listed that has not been heard of in a state that serves nothing."""


@dataclass(frozen=True, slots=True)
class Fence:
    """A room that a node holds and that is not its own (any more): it refuses commands below this epoch."""

    room_id: str
    epoch: int


@dataclass(frozen=True, slots=True)
class ReportOutcome:
    """What a node is to be told after it has said something.

    Attributes:
        fences: Rooms that are not the node's own.
        draining: Whether it is to take no new rooms.
        superseded: A newer process of the same node has registered: this one's stream is to end.
        moved: Whether rooms have to be placed anew because of it.
    """

    fences: tuple[Fence, ...] = ()
    draining: bool = False
    superseded: bool = False
    moved: bool = False


class NodeRegistry:
    """Registers nodes, takes their reports and keeps their state."""

    def __init__(self, client: RedisClient, clock: Clock, timing: Timing) -> None:
        self._client = client
        self._clock = clock
        self._timing = timing
        self._write = Script.load(client, "control_plane.nodes", "node")
        self._forget = Script.load(client, "control_plane.nodes", "forget")

    async def register(self, registration: Registration, rooms: Sequence[RoomLease]) -> ReportOutcome:
        """A node opened its stream: known or new, the same process or another one.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        for _ in range(_ATTEMPTS):
            fields = await self._fields(registration.node_id)
            event = _registration_event(fields, registration)
            before = _state(fields) or NodeState.ACTIVE
            state = step(before, event)
            new_process = fields.get("instance") != registration.instance_id
            move = loses_rooms(before, event, state)
            answer = await self._run(
                registration.node_id,
                fields,
                _registration_fields(registration, state, clear=new_process),
                rooms=rooms,
                move=registration.instance_id if move else None,
                covered=10**6 if new_process else 0,
            )
            if answer[0] == "ok":
                return ReportOutcome(_fences(answer), draining=state is NodeState.DRAINING, moved=move)
        raise _contended(registration.node_id)

    async def report(
        self, node_id: str, instance_id: str, report: LoadReport, node_time: datetime | None = None
    ) -> ReportOutcome:
        """A node reported its load.

        Raises:
            DomainError: STORE_UNAVAILABLE.
            LookupError: The node is not known (any more): it has to register again.
        """
        for _ in range(_ATTEMPTS):
            fields = await self._fields(node_id)
            if not fields:
                raise LookupError(node_id)
            if fields.get("instance") != instance_id:
                return ReportOutcome(superseded=True)
            draining = fields.get("draining") == "1"
            state = step(_state(fields) or NodeState.ACTIVE, NodeEvent.REPORTED)
            if draining and state is NodeState.ACTIVE:
                state = NodeState.DRAINING
            covered = max(0, report.sessions_opened - _count(fields, "sessions_opened"))
            answer = await self._run(
                node_id,
                fields,
                _report_fields(fields, report, node_time or self._clock.now(), state),
                rooms=report.rooms,
                covered=covered,
            )
            if answer[0] == "ok":
                return ReportOutcome(_fences(answer), draining=state is NodeState.DRAINING)
        raise _contended(node_id)

    async def transition(self, node_id: str, event: NodeEvent, *, instance_id: str = "") -> bool:
        """Tells a node's state machine what happened.

        Args:
            node_id: The node.
            event: What happened.
            instance_id: Only to this process of the node; empty: whichever it is.

        Returns:
            Whether its rooms have to be placed anew.

        Raises:
            DomainError: STORE_UNAVAILABLE.
            ImpossibleTransitionError: It can't happen in the node's state.
        """
        for _ in range(_ATTEMPTS):
            fields = await self._fields(node_id)
            if not fields or (instance_id and fields.get("instance") != instance_id):
                return False
            before = _state(fields) or NodeState.ACTIVE
            state = step(before, event)
            changes = {"state": state.value}
            if event is NodeEvent.DRAIN_REQUESTED:
                changes["draining"] = "1"
            move = loses_rooms(before, event, state)
            if state is before and not move and event is not NodeEvent.DRAIN_REQUESTED:
                return False
            answer = await self._run(node_id, fields, changes, move="" if move else None)
            if answer[0] == "ok":
                return move
        raise _contended(node_id)

    async def nodes(self) -> list[NodeStatus]:
        """Returns all nodes by name.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        with store_failures():
            names = sorted(await redis_answer(self._client.smembers(f"{PREFIX}nodes")))
            pipe = self._client.pipeline(transaction=True)
            for name in names:
                pipe.hgetall(f"{PREFIX}node:{name}")
                pipe.zcard(f"{PREFIX}pending:{name}")
            flat = await pipe.execute() if names else []
        return [_status(name, flat[2 * i], flat[2 * i + 1]) for i, name in enumerate(names) if flat[2 * i]]

    async def forget_gone(self) -> int:
        """Forgets nodes that have been out of service for long: one that comes back registers as at the first time.

        Raises:
            DomainError: STORE_UNAVAILABLE.
        """
        forgotten = 0
        now = milliseconds(self._clock.now())
        with store_failures():
            names = await redis_answer(self._client.smembers(f"{PREFIX}nodes"))
        for name in names:
            fields = await self._fields(name)
            kept = _MEMORY.get(_state(fields) or NodeState.GONE)
            if kept is not None and now - _number(fields, "seen") > kept.total_seconds() * 1000:
                forgotten += await self._forget([PREFIX], [name, fields.get("state", ""), fields.get("seen", "")])
        return forgotten

    async def _fields(self, node_id: str) -> dict[str, str]:
        with store_failures():
            return dict(await redis_answer(self._client.hgetall(f"{PREFIX}node:{node_id}")))

    async def _run(
        self,
        node_id: str,
        read: Mapping[str, str],
        fields: Mapping[str, str],
        *,
        rooms: Sequence[RoomLease] = (),
        move: str | None = None,
        covered: int = 0,
    ) -> list[str]:
        now = self._clock.now()
        command: dict[str, Any] = {
            "node": node_id,
            "state": read.get("state", ""),
            "instance": read.get("instance", ""),
            "opened": read.get("sessions_opened", ""),
            "fields": fields,
            "lease_end": str(milliseconds(now + timedelta(seconds=self._timing.lease_duration))),
            "rooms": [[room.room_id, str(room.epoch)] for room in rooms],
            "covered": covered,
            "pending_since": str(milliseconds(now - timedelta(seconds=self._timing.pending))),
        }
        if move is not None:
            command["move"] = move
        if "registration" in fields or "report_time" in fields:
            command["fields"] = {**fields, "seen": str(milliseconds(now))}
        answer: list[str] = await self._write([PREFIX], [compact_json(command)])
        return answer


def _contended(node_id: str) -> RuntimeError:
    return RuntimeError(f"the state of node {node_id} changed {_ATTEMPTS} times while it was written")


def _state(fields: Mapping[str, str]) -> NodeState | None:
    return read_enum(NodeState, fields["state"]) if "state" in fields else None


def _registration_event(fields: Mapping[str, str], registration: Registration) -> NodeEvent:
    if fields and fields.get("instance") != registration.instance_id:
        return NodeEvent.RESTARTED
    return NodeEvent.REGISTERED_DRAINING if registration.draining else NodeEvent.REGISTERED


def _registration_fields(registration: Registration, state: NodeState, *, clear: bool) -> dict[str, str]:
    fields = {
        "registration": "1",
        "instance": registration.instance_id,
        "region": registration.region,
        "version": registration.version,
        "address": registration.control_address,
        "capacity": str(registration.session_capacity),
        "cores": str(registration.cpu_cores),
        "state": (NodeState.DRAINING if registration.draining else state).value,
        "draining": "1" if registration.draining or state is NodeState.DRAINING else "0",
    }
    if clear:
        # Counters begin anew with a process.
        fields |= dict.fromkeys(("sessions", "rooms", "sessions_opened", "cpu", "packets", "bytes", "report_time"), "0")
        fields |= dict.fromkeys(("cpu_rate", "packet_rate", "bit_rate"), "0")
        fields |= dict.fromkeys(("shards", "serving_shards", "shard_failures"), "0")
    return fields


def _report_fields(
    fields: Mapping[str, str], report: LoadReport, node_time: datetime, state: NodeState
) -> dict[str, str]:
    now = node_time.timestamp()
    before = _number(fields, "report_time")
    new = {
        # A state of a newer version stays what it is.
        "state": fields["state"] if state is NodeState.UNKNOWN else state.value,
        "report_time": repr(now),
        "sessions": str(sum(room.session_count for room in report.rooms)),
        "rooms": str(len(report.rooms)),
        "sessions_opened": str(report.sessions_opened),
        "cpu": repr(report.cpu_seconds),
        "packets": str(report.packets_sent),
        "bytes": str(report.bytes_sent),
        "shards": str(report.shards),
        "serving_shards": str(report.serving_shards),
        "shard_failures": str(report.shard_failures),
    }
    span = now - before
    if before and span > 0:
        new["cpu_rate"] = repr(max(0.0, (report.cpu_seconds - _number(fields, "cpu")) / span))
        new["packet_rate"] = repr(max(0.0, (report.packets_sent - _count(fields, "packets")) / span))
        new["bit_rate"] = repr(max(0.0, 8 * (report.bytes_sent - _count(fields, "bytes")) / span))
    return new


def _status(node_id: str, fields: Mapping[str, str], pending: int) -> NodeStatus:
    return NodeStatus(
        registration=Registration(
            node_id=node_id,
            instance_id=fields.get("instance", ""),
            region=fields.get("region", ""),
            version=fields.get("version", ""),
            control_address=fields.get("address", ""),
            session_capacity=_count(fields, "capacity"),
            cpu_cores=_count(fields, "cores"),
            draining=fields.get("draining") == "1",
        ),
        state=_state(fields) or NodeState.UNKNOWN,
        session_count=_count(fields, "sessions"),
        pending_joins=pending,
        room_count=_count(fields, "rooms"),
        cpu_cores_used=_number(fields, "cpu_rate"),
        packets_sent_per_second=_number(fields, "packet_rate"),
        bits_sent_per_second=_number(fields, "bit_rate"),
        last_report_time=from_milliseconds(_number(fields, "seen")),
        shards=_count(fields, "shards"),
        serving_shards=_count(fields, "serving_shards"),
        shard_failures=_count(fields, "shard_failures"),
    )


def _number(fields: Mapping[str, str], name: str) -> float:
    """Returns a number of a node's; 0 when there is none, or none that this version can read."""
    try:
        number = float(fields.get(name, "0"))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _count(fields: Mapping[str, str], name: str) -> int:
    return int(_number(fields, name))


def _fences(answer: Sequence[str]) -> tuple[Fence, ...]:
    return tuple(Fence(room, int(epoch)) for room, epoch in pairs(answer[1:]).items())
