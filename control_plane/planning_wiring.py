"""Wires what must last: users, sessions and meetings as they were planned, on PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial

import structlog
from redis.asyncio import Redis

from control_plane.application.callers import CallerKind
from control_plane.application.directory import Directory
from control_plane.application.identity import Identity
from control_plane.application.meetings import MeetingPlanning
from control_plane.application.ports import HostNotices, Presence, Rules
from control_plane.application.quarantine import Quarantine, RecordKind
from control_plane.application.tasks import TaskObserver, Tasks
from control_plane.domain.clock import Clock
from control_plane.domain.errors import DomainError
from control_plane.domain.ids import IdFactory
from control_plane.passwords import Argon2Passwords
from control_plane.rpc.authenticator import TokenAuthenticator
from control_plane.rpc.page_tokens import PageTokens
from control_plane.rpc.tokens import JwtTokens, derive_key, load_signing_key
from control_plane.settings import ControlPlaneSettings
from control_plane.storage.attempts import RedisAttempts
from control_plane.storage.cleaning import PostgresCleaner
from control_plane.storage.database import Database
from control_plane.storage.migrate import migrate
from control_plane.storage.requests import PostgresOutboxReader
from control_plane.storage.stays import PostgresStays
from control_plane.storage.store import PostgresStore

_FIRST_TRY_SECONDS = 10.0
_TRY_AGAIN_SECONDS = 1.0
_SCHEMA_SECONDS = 60.0
_CLEANING_SECONDS = 3600.0

log = structlog.get_logger(__name__)


class PlanningPart:
    """Use cases of users and meetings, and what they stand on."""

    def __init__(
        self,
        settings: ControlPlaneSettings,
        clock: Clock,
        ids: IdFactory,
        *,
        redis: Redis,
        presence: Presence,
        notices: HostNotices,
        wake_relay: Callable[[], None],
        observer: TaskObserver,
        quarantine: Quarantine,
    ) -> None:
        """Wire it; nothing is connected yet.

        Args:
            settings: What the process was told.
            clock: The clock.
            ids: The id factory.
            redis: Where attempts are counted.
            presence: Who is in meetings.
            notices: Tells hosts who are in their meeting.
            wake_relay: Says that there is something in the outbox.
            observer: Measures tasks.
            quarantine: Takes note of meetings that can't be read.

        Raises:
            SigningKeyError: The signing key can't be used.
        """
        self._url = settings.database_url.get_secret_value()
        self._clock = clock
        self._database = Database(self._url)
        self._passwords = Argon2Passwords()
        self.tasks = Tasks(observer)
        self.tasks.add("schema", self._open, pause=_SCHEMA_SECONDS)
        self.tasks.add("cleaning", self._clean, pause=_CLEANING_SECONDS)
        self._cleaner = PostgresCleaner(self._database)
        key = load_signing_key(settings.signing_key_file)
        rules = Rules(sign_up=settings.sign_up, guest_hosts=settings.guest_hosts, public_url=settings.public_url)
        attempts = RedisAttempts(redis, clock)
        self.store = PostgresStore(self._database, partial(quarantine.note, RecordKind.MEETING))
        self.stays = PostgresStays(self._database)
        self.outbox = PostgresOutboxReader(self._database)
        self.tokens = JwtTokens(key, clock, ids)
        self.page_tokens = PageTokens(derive_key(key, b"parley page tokens"))
        self.directory = Directory(
            store=self.store, attempts=attempts, clock=clock, rules=rules, wake_relay=wake_relay, notices=notices
        )
        self.identity = Identity(
            store=self.store,
            tokens=self.tokens,
            passwords=self._passwords,
            attempts=attempts,
            clock=clock,
            ids=ids,
            rules=rules,
        )
        self.meetings = MeetingPlanning(
            store=self.store,
            tokens=self.tokens,
            directory=self.directory,
            presence=presence,
            clock=clock,
            ids=ids,
            rules=rules,
            wake_relay=wake_relay,
        )
        self.authenticator = TokenAuthenticator(
            self.tokens,
            self.store,
            clock,
            secrets={
                CallerKind.OPERATOR: settings.operator_token.get_secret_value(),
                CallerKind.NODE: settings.node_token.get_secret_value(),
            },
        )

    async def start(self) -> None:
        """Brings the schema up to date.

        A database that can't be reached does not keep the process from serving: meetings go on without it. The schema
        is looked after as soon as the database is back, and until then it counts as unreachable.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(_FIRST_TRY_SECONDS):
                await self._open_when_reachable()
        self.tasks.start()

    async def stop(self) -> None:
        """Closes connections and threads."""
        await self.tasks.stop()
        self._passwords.close()
        await self._database.close()

    async def _open_when_reachable(self) -> None:
        while True:
            try:
                return await self._open()
            except DomainError:
                log.warning("database.unreachable", try_again_seconds=_TRY_AGAIN_SECONDS)
                await asyncio.sleep(_TRY_AGAIN_SECONDS)

    async def _open(self) -> None:
        if not self._database.opened.is_set():
            await migrate(self._url)
            self._database.opened.set()

    async def _clean(self) -> None:
        forgotten = {name: count for name, count in (await self._cleaner.clean(self._clock.now())).items() if count}
        if forgotten:
            log.info("database.cleaned", **{name.replace(" ", "_"): count for name, count in forgotten.items()})
