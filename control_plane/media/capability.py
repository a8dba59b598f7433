"""Media sessions of participants: opened, renewed, and what their nodes say of them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.log.state import LiveState
from control_plane.media.consumers import ConsumerLeases
from control_plane.media.live import LiveSessions
from control_plane.media.node_events import NodeEventApplier
from control_plane.media.node_watch import NodeEventConsumers
from control_plane.media.rpc import MediaServicer
from control_plane.media.service import Media
from control_plane.media.sessions import SessionOpener
from control_plane.media.turn import TurnServers
from control_plane.nodes.control import MediaNodes
from control_plane.nodes.liveness import Liveness
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.observer import Observer
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import Redis
from control_plane.platform.replicas import Replicas, Share
from control_plane.rooms.service import Rooms
from control_plane.settings import ControlPlaneSettings

_CONSUMER_TICK: Final = 0.5
_PATIENCE: Final = timedelta(seconds=2)


def _build(house: House) -> Part:
    settings, observer = house.need(ControlPlaneSettings), house.need(Observer)
    rooms, nodes, state = house.need(Rooms), house.need(MediaNodes), house.need(LiveState)
    background, live = house.need(Background), house.provide(LiveSessions, lambda: LiveSessions(state))
    sessions = house.provide(SessionOpener, lambda: SessionOpener(rooms, nodes, observer))
    ice_servers = house.provide(
        TurnServers,
        lambda: TurnServers(house.need(Clock), tuple(settings.turn_uris), settings.turn_secret.get_secret_value()),
    )
    applier = NodeEventApplier(state, live, nodes, rooms, observer, background)
    replicas = house.need(Replicas)
    leases = ConsumerLeases(house.need(Redis).client)
    consumers = house.provide(
        NodeEventConsumers,
        lambda: NodeEventConsumers(
            house.need(NodeRegistry),
            leases,
            nodes,
            house.need(Liveness),
            applier,
            house.need(Quarantine),
            observer,
            replicas,
            Share(replicas, house.need(Clock), _PATIENCE),
        ),
    )
    media = house.provide(
        Media,
        lambda: Media(
            state=state,
            live=live,
            rooms=rooms,
            nodes=nodes,
            sessions=sessions,
            observer=observer,
            background=background,
            ice_servers=ice_servers,
        ),
    )
    return Part(
        servicers={"parley.signaling.v1.SignalingService": MediaServicer(media)},
        tasks=[Task("node events", consumers.tend, _CONSUMER_TICK)],
        stop=[consumers.stop],
    )


CAPABILITY = Capability("media", _build)
