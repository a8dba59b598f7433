"""Who is still in a meeting, and what follows when it is over."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from control_plane.accounts.tokens import ParticipantTokens
from control_plane.history.service import StayKeeper
from control_plane.kernel.clock import Clock
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.meetings.directory import MeetingDirectory
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.horizon import Horizon
from control_plane.platform.observer import Observer
from control_plane.platform.outbox import OutboxReader, OutboxSignal
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.replicas import Replicas, Share
from control_plane.presence.gauges import show_meetings
from control_plane.presence.live import LivePresence
from control_plane.presence.relay import OutboxRelay
from control_plane.presence.rpc import PresenceServicer
from control_plane.presence.service import Presence
from control_plane.presence.sweeper import PresenceSweeper
from control_plane.rooms.service import Rooms

_SWEEP_TICK: Final = 0.5
_CENSUS_TICK: Final = 5.0
_OUTBOX_WAIT: Final = 0.5
_OUTBOX_TICK: Final = 0.02
_STALL_SECONDS: Final = 5.0
_PATIENCE: Final = timedelta(seconds=5)


def _build(house: House) -> Part:
    clock, times, state = house.need(Clock), house.need(SignalingTimes), house.need(LiveState)
    live, observer, background = (
        house.provide(LivePresence, lambda: LivePresence(state)),
        house.need(Observer),
        house.need(Background),
    )
    stays, replicas = house.need(StayKeeper), house.need(Replicas)
    rooms, directory = house.need(Rooms), house.need(MeetingDirectory)
    sweeper = house.provide(
        PresenceSweeper,
        lambda: PresenceSweeper(
            state=state,
            live=live,
            rooms=rooms,
            meetings=directory,
            stays=stays,
            clock=clock,
            times=times,
            observer=observer,
            background=background,
            horizon=Horizon(clock, times.heartbeat * 2, stall=_STALL_SECONDS),
            quarantine=house.need(Quarantine),
            share=Share(replicas, clock, _PATIENCE),
        ),
    )
    presence = house.provide(
        Presence,
        lambda: Presence(
            state=state,
            live=live,
            rooms=rooms,
            tokens=house.need(ParticipantTokens),
            stays=stays,
            clock=clock,
            times=times,
            observer=observer,
            background=background,
        ),
    )
    signal = house.provide(OutboxSignal, OutboxSignal)
    relay = house.provide(OutboxRelay, lambda: OutboxRelay(house.need(OutboxReader), directory, live, rooms, signal))

    async def count() -> None:
        mine = [meeting_id for meeting_id in await state.known() if replicas.mine(meeting_id)]
        show_meetings(list((await state.counts(mine)).values()))

    async def relay_turn() -> None:
        await relay.run(_OUTBOX_WAIT)

    return Part(
        servicers={"parley.signaling.v1.SignalingService": PresenceServicer(presence, times)},
        tasks=[
            Task("presence", sweeper.sweep, _SWEEP_TICK),
            Task("census", count, _CENSUS_TICK),
            Task("outbox", relay_turn, _OUTBOX_TICK),
        ],
    )


CAPABILITY = Capability("presence", _build)
