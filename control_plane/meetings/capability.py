"""Meetings as they are planned, and guests who are let into one of them."""

from __future__ import annotations

from functools import partial

from control_plane.accounts.rules import Rules
from control_plane.accounts.service import Identity
from control_plane.accounts.tokens import Tokens
from control_plane.kernel.clock import Clock
from control_plane.kernel.ids import IdFactory
from control_plane.log.state import LiveState
from control_plane.meetings.cleaning import RULES
from control_plane.meetings.directory import Directory, MeetingDirectory
from control_plane.meetings.live import HostNotices
from control_plane.meetings.rpc import GuestServicer, MeetingServicer
from control_plane.meetings.service import MeetingPlanning
from control_plane.meetings.store import MeetingStore
from control_plane.platform.capability import Capability, House, Part
from control_plane.platform.grpc.page_tokens import PageTokens
from control_plane.platform.outbox import OutboxSignal
from control_plane.platform.postgres import cleaning
from control_plane.platform.postgres.database import Database
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.attempts import Attempts
from control_plane.platform.set_aside import RecordKind


def _build(house: House) -> Part:
    house.provide(cleaning.Rules, cleaning.Rules).add(*RULES)
    clock, rules, live = house.need(Clock), house.need(Rules), house.need(LiveState)
    outbox = house.provide(OutboxSignal, OutboxSignal)
    store = MeetingStore(house.need(Database), partial(house.need(Quarantine).note, RecordKind.MEETING))
    directory = Directory(
        store=store,
        attempts=house.need(Attempts),
        clock=clock,
        rules=rules,
        outbox=outbox,
        tell_host=house.provide(HostNotices, lambda: HostNotices(live)).passcode_guessed,
    )
    house.provide(MeetingDirectory, lambda: directory)
    identity = house.need(Identity)
    meetings = MeetingPlanning(
        store=store,
        accounts=identity,
        tokens=house.need(Tokens),
        directory=directory,
        live=live,
        clock=clock,
        ids=house.need(IdFactory),
        rules=rules,
        outbox=outbox,
    )
    return Part(
        servicers={
            "parley.meeting.v1.MeetingService": MeetingServicer(meetings, house.need(PageTokens)),
            "parley.identity.v1.IdentityService": GuestServicer(identity, meetings),
        }
    )


CAPABILITY = Capability("meetings", _build)
