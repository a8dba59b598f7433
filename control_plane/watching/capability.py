"""Watching what happens in a meeting."""

from __future__ import annotations

from prometheus_client import Gauge

from control_plane.kernel.clock import Clock
from control_plane.kernel.ids import IdFactory
from control_plane.log.reader import EventLog
from control_plane.log.state import LiveState
from control_plane.log.times import SignalingTimes
from control_plane.platform.capability import Capability, House, Part
from control_plane.platform.observer import Observer
from control_plane.settings import ControlPlaneSettings
from control_plane.watching.live import Streams
from control_plane.watching.rpc import WatchServicer
from control_plane.watching.service import SessionWatcher

STREAMS = Gauge("parley_watch_streams", "WatchSession streams of this process.")


def _build(house: House) -> Part:
    state, log = house.need(LiveState), house.need(EventLog)
    watcher = house.provide(
        SessionWatcher,
        lambda: SessionWatcher(
            state,
            Streams(state),
            log,
            house.need(Clock),
            house.need(IdFactory),
            house.need(SignalingTimes),
            house.need(Observer),
        ),
    )
    STREAMS.set_function(lambda: log.watchers)
    servicer = WatchServicer(watcher, house.need(ControlPlaneSettings).public_url)
    return Part(servicers={"parley.signaling.v1.SignalingService": servicer})


CAPABILITY = Capability("watching", _build)
