"""RoomAllocationService: operators see nodes and placements, and place and release rooms."""

from __future__ import annotations

from typing import Any

from grpc import aio

from control_plane.kernel.errors import invalid_argument
from control_plane.nodes.model import NodeState, NodeStatus
from control_plane.nodes.registry import NodeRegistry
from control_plane.platform.background import Background
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.page_tokens import DEFAULT_PAGE_SIZE, read_token_after, token_after
from control_plane.platform.grpc.times import timestamp
from control_plane.rooms.errors import placement_not_found
from control_plane.rooms.leases import RoomLeases
from control_plane.rooms.model import Placement, PlacementRequest
from control_plane.rooms.service import Rooms
from parley.allocation.v1 import placement_pb2, room_allocation_service_pb2

_Context = aio.ServicerContext[Any, Any]
_STATES = enum_values(placement_pb2.NodeState, NodeState)
_NODES = "nodes/"


class RoomAllocationServicer:
    """Serves operators."""

    def __init__(self, leases: RoomLeases, registry: NodeRegistry, rooms: Rooms, background: Background) -> None:
        self._leases = leases
        self._registry = registry
        self._rooms = rooms
        self._background = background

    async def PlaceRoom(
        self, request: room_allocation_service_pb2.PlaceRoomRequest, context: _Context
    ) -> room_allocation_service_pb2.PlaceRoomResponse:
        """Places a room, or returns the placement it has."""
        placement = await self._leases.place(PlacementRequest(_room_id(request.room), request.region))
        return room_allocation_service_pb2.PlaceRoomResponse(placement=_placement(placement))

    async def GetPlacement(
        self, request: room_allocation_service_pb2.GetPlacementRequest, context: _Context
    ) -> room_allocation_service_pb2.GetPlacementResponse:
        """Returns a room's placement."""
        placement = await self._leases.find(_room_id(request.room))
        if placement is None:
            raise placement_not_found()
        return room_allocation_service_pb2.GetPlacementResponse(placement=_placement(placement))

    async def ReleaseRoom(
        self, request: room_allocation_service_pb2.ReleaseRoomRequest, context: _Context
    ) -> room_allocation_service_pb2.ReleaseRoomResponse:
        """Ends a room's placement."""
        released = await self._leases.release(_room_id(request.room), epoch=request.epoch)
        if released is not None:
            self._background.run("close room", self._rooms.close(released))
        return room_allocation_service_pb2.ReleaseRoomResponse()

    async def ListNodes(
        self, request: room_allocation_service_pb2.ListNodesRequest, context: _Context
    ) -> room_allocation_service_pb2.ListNodesResponse:
        """Lists the media nodes by name."""
        after = read_token_after(request.page_token, _NODES)
        if after is None:
            field, description = "page_token", "is not one of this list's"
            raise invalid_argument(field, description)
        nodes = [node for node in await self._registry.nodes() if node.registration.node_id > after]
        page = nodes[: request.page_size or DEFAULT_PAGE_SIZE]
        more = len(nodes) > len(page)
        return room_allocation_service_pb2.ListNodesResponse(
            nodes=[_node(node) for node in page],
            next_page_token=token_after(f"{_NODES}{page[-1].registration.node_id}") if more else "",
        )


def _room_id(name: str) -> str:
    return name.removeprefix("rooms/")


def _placement(placement: Placement) -> placement_pb2.Placement:
    return placement_pb2.Placement(
        room=f"rooms/{placement.room_id}",
        node=f"nodes/{placement.node_id}",
        control_address=placement.control_address,
        epoch=placement.epoch,
        expire_time=timestamp(placement.expire_time),
    )


def _node(node: NodeStatus) -> placement_pb2.Node:
    who = node.registration
    return placement_pb2.Node(
        name=f"nodes/{who.node_id}",
        region=who.region,
        version=who.version,
        control_address=who.control_address,
        state=_STATES[node.state],
        session_count=node.load,
        session_capacity=who.session_capacity,
        room_count=node.room_count,
        cpu_cores_used=node.cpu_cores_used,
        cpu_cores=who.cpu_cores,
        packets_sent_per_second=node.packets_sent_per_second,
        shard_count=node.shards,
        serving_shard_count=node.serving_shards,
        shard_failures=node.shard_failures,
        bits_sent_per_second=node.bits_sent_per_second,
        last_report_time=timestamp(node.last_report_time),
    )
