"""The gRPC services of running meetings."""

from __future__ import annotations

from control_plane.application.live_ports import SignalingTimes
from control_plane.live_wiring import LivePart
from control_plane.rpc.allocation_servicer import RoomAllocationServicer
from control_plane.rpc.node_servicer import NodeServicer
from control_plane.rpc.quarantine_servicer import QuarantineServicer
from control_plane.rpc.signaling_servicer import SignalingServicer
from grpc_kit.server import Service
from parley.allocation.v1.room_allocation_service_pb2_grpc import add_RoomAllocationServiceServicer_to_server
from parley.node.v1.node_service_pb2_grpc import add_NodeServiceServicer_to_server
from parley.operations.v1.quarantine_service_pb2_grpc import add_QuarantineServiceServicer_to_server
from parley.signaling.v1.signaling_service_pb2_grpc import add_SignalingServiceServicer_to_server


def live_services(part: LivePart, times: SignalingTimes, public_url: str) -> list[Service]:
    """Returns what a control-plane server serves besides identity and meetings.

    Args:
        part: Running meetings.
        times: Their periods.
        public_url: Beginning of join links.
    """
    signaling = SignalingServicer(part.joiner, part.signaling, part.watcher, times, public_url, part.quarantine)
    allocation = RoomAllocationServicer(part.leases, part.registry, part.rooms, part.background)
    node = NodeServicer(part.reports, part.quarantine)
    quarantine = QuarantineServicer(part.keeper)
    return [
        Service(
            "parley.signaling.v1.SignalingService",
            lambda server: add_SignalingServiceServicer_to_server(signaling, server),
        ),
        Service(
            "parley.allocation.v1.RoomAllocationService",
            lambda server: add_RoomAllocationServiceServicer_to_server(allocation, server),
        ),
        Service("parley.node.v1.NodeService", lambda server: add_NodeServiceServicer_to_server(node, server)),
        Service(
            "parley.operations.v1.QuarantineService",
            lambda server: add_QuarantineServiceServicer_to_server(quarantine, server),
        ),
    ]
