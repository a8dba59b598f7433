"""Coming into a meeting."""

from __future__ import annotations

from control_plane.accounts.tokens import ParticipantTokens
from control_plane.history.service import StayKeeper
from control_plane.joining.live import Places
from control_plane.joining.rpc import JoiningServicer
from control_plane.joining.service import MeetingJoiner
from control_plane.kernel.clock import Clock
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.media.sessions import SessionOpener
from control_plane.media.turn import TurnServers
from control_plane.meetings.directory import MeetingDirectory
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House, Part
from control_plane.platform.observer import Observer
from control_plane.settings import ControlPlaneSettings


def _build(house: House) -> Part:
    state, times = house.need(LiveState), house.need(SignalingTimes)
    joiner = house.provide(
        MeetingJoiner,
        lambda: MeetingJoiner(
            state=state,
            places=house.provide(Places, lambda: Places(state)),
            directory=house.need(MeetingDirectory),
            sessions=house.need(SessionOpener),
            tokens=house.need(ParticipantTokens),
            stays=house.need(StayKeeper),
            clock=house.need(Clock),
            times=times,
            observer=house.need(Observer),
            background=house.need(Background),
            ice_servers=house.need(TurnServers),
        ),
    )
    servicer = JoiningServicer(joiner, times, house.need(ControlPlaneSettings).public_url)
    return Part(servicers={"parley.signaling.v1.SignalingService": servicer})


CAPABILITY = Capability("joining", _build)
