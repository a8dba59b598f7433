"""Running meetings without media: a clock to be set, media nodes at the port, and replicas on one real Redis."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from control_plane.accounts.tokens import ParticipantTokens, SignedToken
from control_plane.app import LIVE
from control_plane.history.model import Stay, StayRepository
from control_plane.history.service import StayKeeper
from control_plane.joining.live import Places
from control_plane.joining.service import Joined, JoinRequest, MeetingJoiner
from control_plane.kernel.caller import Caller, CallerKind, CallingParticipant
from control_plane.kernel.clock import Clock
from control_plane.kernel.errors import DomainError, store_unavailable
from control_plane.kernel.ids import IdFactory, SystemIds
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.capability import CAPABILITY as LOG
from control_plane.log.participant import SessionKey, Track, TrackKind, TrackSource
from control_plane.log.position import NodePosition
from control_plane.log.reader import EventLog
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.log.state import LiveState
from control_plane.log.view import LiveView
from control_plane.media.live import LiveSessions
from control_plane.media.model import MediaOffer, OpenedSession, SlotSelection
from control_plane.media.node_watch import NodeEventConsumers
from control_plane.media.service import Media
from control_plane.meetings import model as meetings
from control_plane.meetings.directory import MeetingDirectory
from control_plane.meetings.errors import passcode_wrong
from control_plane.meetings.live import HostNotices
from control_plane.meetings.model import Meeting, MeetingSettings, MeetingState, MeetingType
from control_plane.nodes.control import (
    MediaNodes,
    NodeHappening,
    NodeMessage,
    NodeRoom,
    NodeSession,
    NodeUnreachableError,
    RoomNotServedError,
    SerializedExplanation,
    WatchStarted,
)
from control_plane.nodes.detector import FailureDetector
from control_plane.nodes.model import LoadReport, Registration, RoomLease
from control_plane.nodes.registry import NodeRegistry
from control_plane.nodes.service import NodeIsTold, NodeReports, NodeSays, Registered, Reported
from control_plane.platform.capability import House
from control_plane.platform.observer import Observer
from control_plane.platform.outbox import OutboxEntry, OutboxReader
from control_plane.platform.process import Process
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import CAPABILITY as REDIS
from control_plane.platform.redis.capability import Redis
from control_plane.platform.redis.client import connect
from control_plane.platform.replicas import Replicas
from control_plane.platform.set_aside import SetAside
from control_plane.presence.live import LivePresence
from control_plane.presence.relay import OutboxRelay
from control_plane.presence.service import Presence
from control_plane.presence.sweeper import PresenceSweeper
from control_plane.quarantine.service import QuarantineKeeper
from control_plane.reactions.live import LiveReactions
from control_plane.reactions.service import Reactions
from control_plane.rooms.leases import RoomLeases
from control_plane.rooms.live import LiveRooms
from control_plane.rooms.model import Placement
from control_plane.rooms.service import Rooms
from control_plane.settings import ControlPlaneSettings
from control_plane.watching.service import EventMessage, SessionWatcher, WatchMessage
from parley.signaling.v1 import event_pb2

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOST = Caller(CallerKind.ACCOUNT, "users/host", user_id="host")
TRACKS = (
    Track("0", TrackKind.AUDIO, TrackSource.MICROPHONE),
    Track("1", TrackKind.VIDEO, TrackSource.CAMERA),
)


class SetClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now

    def now(self) -> datetime:
        return self._now

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


class QuietObserver:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.counts: dict[str, float] = defaultdict(float)
        self.healthy: dict[str, bool] = {}

    def stage(self, name: str) -> AbstractContextManager[None]:
        del name
        return contextlib.nullcontext()

    def joined(self, outcome: str, seconds: float) -> None:
        del seconds
        self.counts[f"joined {outcome}"] += 1

    def counted(self, name: str, amount: float = 1) -> None:
        self.counts[name] += amount

    def task_healthy(self, name: str, *, healthy: bool) -> None:
        self.healthy[name] = healthy

    def task_failed(self, name: str, fault: str) -> None:
        self.counts[f"{name} failed by {fault}"] += 1

    def set_aside(self, kind: str) -> None:
        self.counts[f"{kind} set aside"] += 1


class PlainTokens:
    """Tokens that hide nothing."""

    def issue(self, meeting_id: str, participant_id: str, role: ParticipantRole) -> SignedToken:
        return SignedToken(f"{meeting_id}/{participant_id}/{role.value}", NOON + timedelta(minutes=10))


class MemoryDirectory:
    """Meetings as the database would have them, with an outbox; `down` takes it away."""

    def __init__(self) -> None:
        self.meetings: dict[str, Meeting] = {}
        self.entries: list[OutboxEntry] = []
        self.stays: dict[str, Stay] = {}
        self.down = False
        self._ids = itertools.count(1)

    def add(self, number: str = "12345678901", **settings: object) -> Meeting:
        meeting = Meeting(
            number=number,
            host_id="host",
            host_display_name="Hanna",
            passcode="123456",
            type=MeetingType.INSTANT,
            state=MeetingState.ACTIVE,
            create_time=NOON,
            update_time=NOON,
            settings=MeetingSettings(**settings),  # type: ignore[arg-type]
        )
        self.meetings[number] = meeting
        return meeting

    def _check(self) -> None:
        if self.down:
            raise store_unavailable("database")

    async def find(self, meeting_id: str) -> Meeting | None:
        self._check()
        return self.meetings.get(meeting_id)

    async def start(self, meeting_id: str) -> Meeting:
        return self._advance(meeting_id, meetings.MeetingEvent.START, "meeting_updated")

    async def end_empty(self, meeting_id: str) -> None:
        self._advance(meeting_id, meetings.MeetingEvent.END, "meeting_ended")

    def end(self, meeting_id: str, participant_id: str = "") -> None:
        self._advance(meeting_id, meetings.MeetingEvent.END, "meeting_ended", participant_id)

    def rename(self, meeting_id: str, topic: str) -> Meeting:
        meeting = meetings.changed(self.meetings[meeting_id], NOON, topic=topic)
        self.meetings[meeting_id] = meeting
        self.entries.append(OutboxEntry(next(self._ids), "meeting_updated", meeting_id))
        return meeting

    async def check_passcode(self, meeting: Meeting, passcode: str, address: str) -> None:
        del address
        if passcode != meeting.passcode:
            raise passcode_wrong(9)

    async def relay(self, handle: Callable[[OutboxEntry], Awaitable[None]], limit: int = 100) -> int:
        self._check()
        count = 0
        for entry in self.entries[:limit]:
            await handle(entry)
            self.entries.remove(entry)
            count += 1
        return count

    async def set_aside(self, limit: int) -> Sequence[SetAside]:
        del limit
        return []  # a fault of the relay is the test's: PostgreSQL's outbox alone sets entries aside

    async def retry(self, key: str) -> bool:
        del key
        return False

    async def drop(self, key: str) -> bool:
        del key
        return False

    async def record(self, stays: Sequence[Stay]) -> None:
        self._check()
        for stay in stays:
            old = self.stays.get(stay.participant.id)
            self.stays[stay.participant.id] = old if old and old.leave_time and not stay.leave_time else stay

    def _advance(self, meeting_id: str, event: meetings.MeetingEvent, kind: str, participant_id: str = "") -> Meeting:
        self._check()
        meeting = meetings.advance(self.meetings[meeting_id], event, NOON)
        if meeting is not self.meetings[meeting_id]:
            self.entries.append(OutboxEntry(next(self._ids), kind, meeting_id, participant_id))
        self.meetings[meeting_id] = meeting
        return meeting


@dataclass
class FakeNode:
    """A media node without media, behind its control address."""

    node_id: str
    address: str
    region: str = "local"
    capacity: int = 100
    instance_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    up: bool = True
    sessions: dict[str, dict[str, SessionKey]] = field(default_factory=lambda: defaultdict(dict))
    epochs: dict[str, int] = field(default_factory=dict)
    tracks: dict[str, tuple[Track, ...]] = field(default_factory=dict)
    opened: int = 0
    answers: dict[str, OpenedSession] = field(default_factory=dict)
    refuse: Exception | None = None
    slow: asyncio.Event | None = None
    watchers: list[asyncio.Queue[NodeMessage | None]] = field(default_factory=list)
    history: list[NodeHappening] = field(default_factory=list)
    encodings: dict[str, tuple[TrackEncodings, ...]] = field(default_factory=dict)
    silences: dict[str, timedelta] = field(default_factory=dict)

    def registration(self) -> Registration:
        return Registration(self.node_id, self.instance_id, self.region, "0", self.address, self.capacity, 2)

    def rooms(self) -> tuple[RoomLease, ...]:
        return tuple(RoomLease(room, epoch, len(self.sessions[room])) for room, epoch in self.epochs.items())

    def report(self) -> LoadReport:
        return LoadReport(sessions_opened=self.opened, rooms=self.rooms())

    def restart(self) -> None:
        self.crash()
        self.instance_id = str(uuid.uuid4())
        self.opened = 0
        self.history.clear()
        self.up = True

    def crash(self) -> None:
        self.up = False
        self.sessions.clear()
        self.epochs.clear()
        self.answers.clear()
        for queue in self.watchers:
            queue.put_nowait(None)
        self.watchers.clear()

    def happened(self, room_id: str, what: object) -> NodeHappening:
        happening = NodeHappening(
            NodePosition(self.instance_id, len(self.history) + 1),
            room_id,
            self.epochs.get(room_id, 0),
            "",
            what,  # type: ignore[arg-type]
        )
        self.history.append(happening)
        for queue in self.watchers:
            queue.put_nowait(happening)
        return happening


ICE_RESTART: Final = "restart"
"""An offer that the fake nodes take for one that differs from the session's in its ICE credentials alone."""
OTHER_MEDIA: Final = "other media"
"""And for one over the session's own connection with other m-lines: slots 4 and 5 instead of 3 and 4."""


class FakeNodes:
    """Implements `MediaNodes` over any number of fake nodes."""

    def __init__(self, *nodes: FakeNode) -> None:
        self.by_address = {node.address: node for node in nodes}
        self.connected: set[str] = set(self.by_address)

    def _node(self, address: str) -> FakeNode:
        node = self.by_address[address]
        if not node.up:
            raise NodeUnreachableError
        return node

    def _room(self, placement: Placement) -> FakeNode:
        node = self._node(placement.control_address)
        if node.epochs.get(placement.room_id, 0) > placement.epoch:
            raise RoomNotServedError("EPOCH_STALE")
        node.epochs[placement.room_id] = placement.epoch
        return node

    async def open_room(self, placement: Placement) -> None:
        self._room(placement)

    async def close_room(self, address: str, room_id: str, epoch: int) -> None:
        node = self._node(address)
        if node.epochs.get(room_id, 0) > epoch:
            raise RoomNotServedError("EPOCH_STALE")
        node.epochs.pop(room_id, None)
        node.sessions.pop(room_id, None)

    async def open_session(self, placement: Placement, session: SessionKey, offer: MediaOffer) -> OpenedSession:
        node = self._node(placement.control_address)
        if node.refuse is not None:
            raise node.refuse
        node = self._room(placement)
        held = node.sessions[placement.room_id].get(session.participant_id)
        if held is not None and offer.sdp == ICE_RESTART:
            kept = node.answers[held.session_id]
            return replace(kept, sdp=f"restart by {session.session_id}", session_id=held.session_id)
        if held is not None and offer.sdp == OTHER_MEDIA:
            node.tracks[held.session_id] = offer.tracks
            slots = (SlotAssignment("4"), SlotAssignment("5"))
            return OpenedSession(f"{OTHER_MEDIA} by {session.session_id}", slots, session_id=held.session_id)
        if session.session_id not in node.answers:
            node.opened += 1
            slots = (SlotAssignment("3"), SlotAssignment("4"))
            node.answers[session.session_id] = OpenedSession(f"answer to {session.session_id}", slots)
        node.sessions[placement.room_id][session.participant_id] = session
        node.tracks[session.session_id] = offer.tracks
        if node.slow is not None:
            await node.slow.wait()
        return node.answers[session.session_id]

    async def close_session(self, placement: Placement, session: SessionKey) -> None:
        node = self._node(placement.control_address)
        held = node.sessions[placement.room_id].get(session.participant_id)
        if held == session:
            del node.sessions[placement.room_id][session.participant_id]
        node.answers.pop(session.session_id, None)

    async def update_slots(self, placement: Placement, participant_id: str, slots: Sequence[SlotSelection]) -> None:
        del slots
        if participant_id not in self._room(placement).sessions[placement.room_id]:
            raise RoomNotServedError("SESSION_NOT_FOUND")

    async def update_tracks(self, placement: Placement, participant_id: str, tracks: Sequence[Track]) -> None:
        node = self._room(placement)
        if participant_id not in node.sessions[placement.room_id]:
            raise RoomNotServedError("SESSION_NOT_FOUND")
        node.tracks[node.sessions[placement.room_id][participant_id].session_id] = tuple(tracks)

    async def explain(self, placement: Placement, participant_id: str) -> SerializedExplanation:
        held = self._room(placement).sessions[placement.room_id].get(participant_id)
        if held is None:
            raise RoomNotServedError("SESSION_NOT_FOUND")
        return SerializedExplanation(f"explanation of {held.session_id}".encode())

    async def watch(self, address: str, position: NodePosition | None) -> AsyncIterator[NodeMessage]:
        node = self._node(address)
        queue: asyncio.Queue[NodeMessage | None] = asyncio.Queue()
        node.watchers.append(queue)
        resumes = position is not None and position.instance_id == node.instance_id
        after = position.sequence if position is not None and resumes else len(node.history)
        yield WatchStarted(NodePosition(node.instance_id, after), from_state=not resumes)
        if not resumes:
            for room_id, epoch in node.epochs.items():
                held = [
                    NodeSession(
                        key,
                        connected=False,
                        closed=False,
                        slots=(),
                        tracks=(),
                        encodings=node.encodings.get(key.session_id, ()),
                        silence=node.silences.get(key.session_id),
                    )
                    for key in node.sessions[room_id].values()
                ]
                yield NodeRoom(room_id, epoch, tuple(held), "")
        for happening in node.history[after:]:
            yield happening
        try:
            while (message := await queue.get()) is not None:
                if isinstance(message, NodeHappening) and message.position.sequence > after:
                    yield message
        finally:
            if queue in node.watchers:
                node.watchers.remove(queue)
        raise NodeUnreachableError

    async def reachable(self, address: str) -> bool:
        return self.by_address[address].up

    async def forget_others(self, addresses: AbstractSet[str]) -> None:
        self.connected &= addresses


class LivePart:
    """What of a replica the tests reach for."""

    def __init__(self, process: Process) -> None:
        need = process.house.need
        self.background, self.tasks = process.background, process.tasks
        self.start, self.drain, self.stop = process.tasks.start, process.drain, process.stop
        self.client, self.raw = need(Redis).client, need(Redis).raw
        self.live, self.log = need(LiveState), need(EventLog)
        self.places, self.live_sessions = need(Places), need(LiveSessions)
        self.live_rooms, self.live_presence = need(LiveRooms), need(LivePresence)
        self.host_notices, self.live_reactions = HostNotices(self.live), need(LiveReactions)
        self.quarantine, self.keeper = need(Quarantine), need(QuarantineKeeper)
        self.registry, self.detector, self.reports = need(NodeRegistry), need(FailureDetector), need(NodeReports)
        self.leases, self.rooms = need(RoomLeases), need(Rooms)
        self.stays, self.sweeper, self.relay = need(StayKeeper), need(PresenceSweeper), need(OutboxRelay)
        self.joiner, self.media, self.watcher = need(MeetingJoiner), need(Media), need(SessionWatcher)
        self.presence, self.reactions = need(Presence), need(Reactions)
        self.consumers, self.replicas = need(NodeEventConsumers), need(Replicas)
        self._turns = {task.name: task.work for part in process.parts for task in part.tasks}

    async def turn(self, task: str) -> None:
        """Does one turn of a task."""
        await self._turns[task]()


class Replica:
    """A control-plane process without a database: what happens in running meetings."""

    def __init__(
        self,
        redis_url: str,
        clock: SetClock,
        directory: MemoryDirectory,
        nodes: FakeNodes,
        *,
        given: Sequence[object] = (),
        **settings: object,
    ) -> None:
        """Build it.

        Args:
            redis_url: The Redis that all replicas of a test share.
            clock: Their clock.
            directory: Meetings as the database would have them.
            nodes: The media nodes.
            given: Things that replace what the process would make of the same type.
            settings: What the process is told besides.
        """
        self.clock = clock
        self.directory = directory
        self.nodes = nodes
        self.observer = QuietObserver()
        told = ControlPlaneSettings(redis_url=redis_url, **settings)  # type: ignore[arg-type]
        house = House(
            {
                ControlPlaneSettings: told,
                Clock: clock,
                IdFactory: SystemIds(),
                Observer: self.observer,
                MeetingDirectory: directory,
                OutboxReader: directory,
                StayRepository: directory,
                ParticipantTokens: PlainTokens(),
                MediaNodes: nodes,
                **{type(thing): thing for thing in given},
            }
        )
        self.part = LivePart(Process((REDIS, LOG, *LIVE), house))

    async def register(self, *nodes: FakeNode) -> None:
        for node in nodes:
            await self.part.registry.register(node.registration(), node.rooms())

    async def report(self, *nodes: FakeNode) -> None:
        for node in nodes:
            await self.part.registry.report(node.node_id, node.instance_id, node.report(), self.clock.now())

    async def join(
        self,
        name: str = "Ana",
        *,
        caller: Caller | None = None,
        request_id: str = "",
        meeting_id: str = "12345678901",
        offer: MediaOffer | None = None,
    ) -> Joined:
        request = JoinRequest(
            meeting_id,
            "123456",
            name,
            offer or MediaOffer("offer", TRACKS),
            request_id or str(uuid.uuid4()),
        )
        return await self.part.joiner.join(request, caller or guest(name))

    async def view(self, meeting_id: str = "12345678901", participant_id: str = "") -> LiveView:
        return await self.part.live.view(meeting_id, participant_id)

    async def steady(self, *nodes: FakeNode) -> None:
        """Lets the grace period of a fresh process pass, with the nodes reporting."""
        for _ in range(14):
            self.clock.move(0.5)
            await self.report(*[node for node in nodes if node.up])
            await self.part.detector.look()

    async def settle(self) -> None:
        """Waits for what runs in the background."""
        await self.part.background.finish(5)

    async def stop(self) -> None:
        await self.part.stop()


def guest(name: str) -> Caller:
    return Caller(CallerKind.MEETING_GUEST, f"guests/{name}", meeting_id="12345678901")


def attendee(joined: Joined) -> CallingParticipant:
    return CallingParticipant(joined.view.meeting_id, joined.participant.id)


class Watching:
    """A participant's stream, read in the background."""

    def __init__(self, replica: Replica, joined: Joined, cursor: str | None = None, *, batches: bool = False) -> None:
        self.messages: list[WatchMessage] = []
        self.error: BaseException | None = None
        self._stream = replica.part.watcher.watch(
            joined.view.meeting_id,
            joined.participant.id,
            joined.view.cursor if cursor is None else cursor,
            batches=batches,
        )
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            async for message in self._stream:
                self.messages.append(message)
        except DomainError as error:
            self.error = error

    @property
    def events(self) -> list[event_pb2.Event]:
        """What the stream brought, without times."""
        found = [
            event_pb2.Event.FromString(entry.event)
            for m in self.messages
            if isinstance(m.message, EventMessage)
            for entry in m.message.batch.entries
        ]
        for event in found:
            event.ClearField("time")
        return found

    def of(self, kind: str) -> list[Any]:
        """What the stream brought of one kind."""
        return [getattr(event, kind) for event in self.events if event.HasField(kind)]  # type: ignore[arg-type]

    @property
    def reactions(self) -> list[str]:
        return [one.emoji for one in self.of("reaction_sent")]

    @property
    def cursor(self) -> str:
        return self.messages[-1].cursor

    async def stop(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


async def eventually(condition: Callable[[], object], within: float = 20.0) -> None:
    """Waits until something holds."""
    deadline = asyncio.get_running_loop().time() + within
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "did not come true in time"
        await asyncio.sleep(0.01)


def other_host(meeting: Meeting, user_id: str) -> Meeting:
    return replace(meeting, host_id=user_id)


async def keys_of(redis_url: str, pattern: str) -> Mapping[str, str]:
    client = connect(redis_url)
    try:
        return {str(name): str(await client.type(name)) async for name in client.scan_iter(pattern)}
    finally:
        await client.aclose()


def says(*messages: NodeSays) -> AsyncIterator[NodeSays]:
    async def stream() -> AsyncIterator[NodeSays]:
        for message in messages:
            yield message

    return stream()


def registered(node: FakeNode) -> Registered:
    return Registered(node.registration(), node.rooms())


def reported(node: FakeNode) -> Reported:
    return Reported(node.report(), None)


__all__ = ["NodeIsTold"]
