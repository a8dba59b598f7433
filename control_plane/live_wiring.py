"""Wires everything that happens while meetings run, and its supervised tasks."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from control_plane.application.background import Background
from control_plane.application.history import StayKeeper
from control_plane.application.joining import MeetingJoiner
from control_plane.application.live_ports import (
    MeetingDirectory,
    Observer,
    ParticipantTokens,
    SignalingTimes,
    StayRepository,
)
from control_plane.application.media_ports import MediaNodes
from control_plane.application.node_events import NodeEventApplier, NodeEventConsumers
from control_plane.application.node_reports import NodeReports
from control_plane.application.outbox_relay import OutboxRelay
from control_plane.application.ports import OutboxReader
from control_plane.application.presence import PresenceSweeper
from control_plane.application.quarantine import Quarantine, RecordKind
from control_plane.application.rooms import Rooms
from control_plane.application.sessions import SessionOpener
from control_plane.application.signaling import Signaling
from control_plane.application.tasks import Tasks
from control_plane.application.treatments import QuarantineKeeper, live_treatments
from control_plane.application.watching import SessionWatcher
from control_plane.domain.clock import Clock
from control_plane.domain.ids import IdFactory
from control_plane.events.broker import BLOCK_MS, RedisEventLog
from control_plane.events.commands import Committer
from control_plane.events.consumers import RedisConsumerLeases
from control_plane.events.live_meetings import RedisLiveMeetings
from control_plane.events.quarantine import RedisQuarantine
from control_plane.events.signs import SignsOfLife
from control_plane.events.stays import RedisStayOutbox
from control_plane.placement.detector import FailureDetector, Horizon
from control_plane.placement.leases import RoomLeases
from control_plane.placement.model import Timing
from control_plane.placement.registry import NodeRegistry
from control_plane.placement.selectors import Selector, WeightedSelector
from control_plane.redis_store import RedisClient, connect
from control_plane.telemetry.live import show_census, show_quarantine
from control_plane.turn import TurnServers

_ROOM_TICK: Final = 0.25
_CONSUMER_TICK: Final = 0.5
_SWEEP_TICK: Final = 0.5
_CENSUS_TICK: Final = 5.0
_OUTBOX_WAIT: Final = 0.5
_OUTBOX_TICK: Final = 0.02
_FINISH_SECONDS: Final = 5.0
_QUARANTINE_TICK: Final = 1.0
_CLEANING_TICK: Final = 300.0
WATCHING_TASK: Final = "event log"
"""Without this task the watchers of this process hear nothing: others must not be sent to it."""


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """What a deployment can set of it."""

    redis_url: str
    timing: Timing = field(default_factory=Timing)
    times: SignalingTimes = field(default_factory=SignalingTimes)
    selector: Selector = field(default_factory=WeightedSelector)
    turn_uris: tuple[str, ...] = ()
    turn_secret: str = field(default="", repr=False)
    watcher_queue: int = 256
    max_log: int = 10_000


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What other parts of the process provide."""

    clock: Clock
    ids: IdFactory
    directory: MeetingDirectory
    tokens: ParticipantTokens
    stays: StayRepository
    outbox: OutboxReader
    nodes: MediaNodes
    observer: Observer


class LiveStores:
    """What of running meetings is in Redis; other parts of the process need it before the rest can be wired."""

    def __init__(
        self, options: LiveOptions, clock: Clock, current_trace: Callable[[], str], observer: Observer
    ) -> None:
        self.options = options
        self.client: RedisClient = connect(options.redis_url)
        self.blocking: RedisClient = connect(options.redis_url, command_timeout=BLOCK_MS / 1000 + 2, retries=0)
        self.quarantine = Quarantine(RedisQuarantine(self.client, clock), clock, observer)
        committer = Committer(self.client, clock, current_trace, max_log=options.max_log)
        signs = SignsOfLife(round(options.times.presence * 1000), round(options.times.silent * 1000))
        self.live = RedisLiveMeetings(self.client, clock, committer, signs, self.quarantine)
        self.log = RedisEventLog(self.client, self.blocking, self.quarantine, queue=options.watcher_queue)
        self.relay_awake = asyncio.Event()

    def wake_relay(self) -> None:
        """There is something in the outbox."""
        self.relay_awake.set()

    async def close(self) -> None:
        """Closes the connections."""
        await self.client.aclose()
        await self.blocking.aclose()


class LivePart:
    """Use cases and loops of running meetings."""

    def __init__(self, stores: LiveStores, around: Surroundings) -> None:
        options, clock, observer = stores.options, around.clock, around.observer
        timing, times = options.timing, options.times
        self._stores = stores
        self._client = stores.client
        self._nodes = around.nodes
        self._tasks: list[asyncio.Task[None]] = []
        self.tasks = Tasks(observer)
        self.background = Background()
        self.quarantine = stores.quarantine
        self.horizon = Horizon(clock, timing.grace)
        self.live = stores.live
        self.log = stores.log
        self.registry = NodeRegistry(self._client, clock, timing)
        self.detector = FailureDetector(self.registry, clock, timing, self.horizon)
        self.leases = RoomLeases(self._client, clock, timing, self.registry, options.selector, self.horizon)
        self.rooms = Rooms(
            self.leases, self.registry, around.nodes, self.live, clock, observer, self.background, self.quarantine
        )
        stay_outbox = RedisStayOutbox(self._client, self.quarantine)
        self.stays = StayKeeper(stay_outbox, around.stays, self.quarantine)
        treatments = live_treatments(self.live, self.rooms, self.stays, stay_outbox, around.outbox)
        self.keeper = QuarantineKeeper(self.quarantine, around.outbox, treatments)
        self.relay = OutboxRelay(around.outbox, around.directory, self.live, self.rooms, stores.relay_awake)
        sessions = SessionOpener(self.rooms, around.nodes, observer)
        ice_servers = TurnServers(clock, options.turn_uris, options.turn_secret)
        self.joiner = MeetingJoiner(
            live=self.live,
            directory=around.directory,
            sessions=sessions,
            tokens=around.tokens,
            stays=self.stays,
            clock=clock,
            times=times,
            observer=observer,
            background=self.background,
            ice_servers=ice_servers,
        )
        self.signaling = Signaling(
            live=self.live,
            rooms=self.rooms,
            nodes=around.nodes,
            sessions=sessions,
            tokens=around.tokens,
            stays=self.stays,
            clock=clock,
            times=times,
            observer=observer,
            background=self.background,
            ice_servers=ice_servers,
        )
        self.watcher = SessionWatcher(self.live, self.log, clock, around.ids, times, observer)
        self.reports = NodeReports(self.registry, self.rooms, timing, observer, self.background, self.quarantine)
        self.sweeper = PresenceSweeper(
            live=self.live,
            rooms=self.rooms,
            meetings=around.directory,
            stays=self.stays,
            clock=clock,
            times=times,
            observer=observer,
            background=self.background,
            horizon=Horizon(clock, times.heartbeat * 2, stall=5.0),
            quarantine=self.quarantine,
        )
        applier = NodeEventApplier(self.live, around.nodes, self.rooms, observer, self.background)
        leases = RedisConsumerLeases(self._client)
        self.consumers = NodeEventConsumers(
            self.registry, leases, around.nodes, self.rooms, applier, self.quarantine, observer
        )
        self._add_tasks()

    def start(self) -> None:
        """Starts the tasks."""
        self._tasks = self.tasks.start()

    def _add_tasks(self) -> None:
        tasks = self.tasks
        tasks.add(WATCHING_TASK, self.log.read, pause=0.0)
        tasks.add("rooms", self.keep_rooms, pause=0.0)
        tasks.add("node events", self.consumers.tend, pause=_CONSUMER_TICK)
        tasks.add("presence", self.sweeper.sweep, pause=_SWEEP_TICK)
        tasks.add("census", self.count, pause=_CENSUS_TICK)
        tasks.add("outbox", lambda: self.relay.run(_OUTBOX_WAIT), pause=_OUTBOX_TICK)
        tasks.add("cleaning of live state", self.clean, pause=_CLEANING_TICK)
        tasks.add("quarantine", self.quarantine.flush, pause=_QUARANTINE_TICK)

    async def keep_rooms(self) -> None:
        """Notices lost nodes and moves their rooms; returns when there is something to move, or after a tick."""
        await self.detector.look()
        await self.rooms.move_void()
        await self.rooms.wait_for_move(_ROOM_TICK)

    async def count(self) -> None:
        """Brings the gauges up to date."""
        counts = await self.live.counts(await self.live.known())
        kinds = Counter(record.kind for record in await self.quarantine.records())
        show_quarantine({kind.value: kinds[kind] for kind in RecordKind if kind is not RecordKind.OUTBOX})
        show_census(list(counts.values()), self.log.watchers, await self.registry.nodes())

    async def clean(self) -> None:
        """Forgets nodes that have been gone for long, and connections to where none is."""
        await self.registry.forget_gone()
        await self._nodes.forget_others({node.registration.control_address for node in await self.registry.nodes()})

    async def drain(self) -> None:
        """Tells streams to go elsewhere."""
        self.log.shut_down()
        self.reports.shut_down()

    async def stop(self) -> None:
        """Ends the loops when no call is under way any more, and closes what was opened."""
        await self.tasks.stop()
        await self.consumers.stop()
        await self.background.finish(_FINISH_SECONDS)
        await self._stores.close()
