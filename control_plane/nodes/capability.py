"""Media nodes: who they are, what they report, whether they live."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from control_plane.kernel.clock import Clock
from control_plane.nodes.client import GrpcMediaNodes
from control_plane.nodes.control import MediaNodes
from control_plane.nodes.detector import FailureDetector
from control_plane.nodes.gauges import show_nodes
from control_plane.nodes.liveness import Liveness, MoveSignal
from control_plane.nodes.model import Timing
from control_plane.nodes.registry import NodeRegistry
from control_plane.nodes.rpc import NodeServicer
from control_plane.nodes.service import NodeReports
from control_plane.platform.background import Background
from control_plane.platform.capability import Capability, House, Part, Task
from control_plane.platform.horizon import Horizon
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.redis.capability import Redis
from control_plane.platform.replicas import Replicas, Share
from control_plane.settings import ControlPlaneSettings

_CENSUS_TICK: Final = 5.0
_CLEANING_TICK: Final = 300.0
_PATIENCE: Final = timedelta(seconds=1)
"""So much later is a node lost that ends together with the replica that should notice it."""


def _build(house: House) -> Part:
    clock, quarantine = house.need(Clock), house.need(Quarantine)
    timing = house.provide(Timing, Timing)
    registry = house.provide(NodeRegistry, lambda: NodeRegistry(house.need(Redis).client, clock, timing))
    horizon = house.provide(Horizon, lambda: Horizon(clock, timing.grace))
    share = Share(house.need(Replicas), clock, _PATIENCE)
    house.provide(FailureDetector, lambda: FailureDetector(registry, clock, timing, horizon, share))
    token = house.need(ControlPlaneSettings).node_token.get_secret_value()
    nodes = house.provide(MediaNodes, lambda: GrpcMediaNodes(token))
    signal = house.provide(MoveSignal, MoveSignal)
    liveness = house.provide(Liveness, lambda: Liveness(registry, nodes, clock, signal))
    background = house.need(Background)
    reports = house.provide(NodeReports, lambda: NodeReports(registry, liveness, timing, background, quarantine))

    async def clean() -> None:
        await registry.forget_gone()
        await nodes.forget_others({node.registration.control_address for node in await registry.nodes()})

    async def count() -> None:
        show_nodes(await registry.nodes())

    async def shut_down() -> None:
        reports.shut_down()

    async def close() -> None:
        await nodes.forget_others(frozenset())

    return Part(
        servicers={"parley.node.v1.NodeService": NodeServicer(reports, quarantine)},
        tasks=[Task("census of nodes", count, _CENSUS_TICK), Task("cleaning of live state", clean, _CLEANING_TICK)],
        drain=[shut_down],
        close=[close],
    )


CAPABILITY = Capability("nodes", _build)
