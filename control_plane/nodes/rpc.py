"""NodeService: media nodes register, report and are told what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC
from typing import Any

from grpc import aio

from control_plane.nodes.model import LoadReport, Registration, RoomLease
from control_plane.nodes.registry import Fence
from control_plane.nodes.service import Configure, NodeIsTold, NodeReports, NodeSays, Registered, Reported, SaidGoodbye
from control_plane.platform.grpc.times import duration
from control_plane.platform.quarantine import Quarantine
from control_plane.platform.set_aside import RecordKind
from parley.node.v1 import node_service_pb2

_Context = aio.ServicerContext[Any, Any]


class NodeServicer:
    """Serves media nodes."""

    def __init__(self, reports: NodeReports, quarantine: Quarantine) -> None:
        self._reports = reports
        self._quarantine = quarantine

    async def Report(
        self, request_iterator: AsyncIterator[node_service_pb2.ReportRequest], context: _Context
    ) -> AsyncIterator[node_service_pb2.ReportResponse]:
        """Listens to a node and answers."""
        sequence = 0
        async for told in self._reports.converse(self._said(request_iterator)):
            sequence += 1
            yield _response(told, sequence)

    async def _said(self, requests: AsyncIterator[node_service_pb2.ReportRequest]) -> AsyncIterator[NodeSays]:
        name = ""
        async for request in requests:
            name = request.registration.node.removeprefix("nodes/") or name
            try:
                said = _what_is_said(request)
            except (ValueError, OverflowError) as error:
                # A time that is none, say. What is kept of the node is its report before.
                self._quarantine.note(RecordKind.NODE_EVENT, name, error)
                continue
            if said is not None:
                yield said


def _what_is_said(request: node_service_pb2.ReportRequest) -> NodeSays | None:
    match request.WhichOneof("message"):
        case "registration":
            return _registered(request.registration)
        case "load_report":
            time = request.time.ToDatetime(UTC) if request.HasField("time") else None
            return Reported(_load(request.load_report), time)
        case "goodbye":
            return SaidGoodbye()
        case _:
            return None


def _registered(message: node_service_pb2.Registration) -> Registered:
    registration = Registration(
        node_id=message.node.removeprefix("nodes/"),
        instance_id=message.instance_id,
        region=message.region,
        version=message.version,
        control_address=message.control_address,
        session_capacity=message.session_capacity,
        cpu_cores=message.cpu_cores,
        draining=message.draining,
    )
    return Registered(registration, tuple(_lease(room) for room in message.rooms))


def _lease(message: node_service_pb2.RoomLease) -> RoomLease:
    return RoomLease(message.room.removeprefix("rooms/"), message.epoch, message.session_count)


def _load(message: node_service_pb2.LoadReport) -> LoadReport:
    return LoadReport(
        cpu_seconds=message.cpu_time.ToTimedelta().total_seconds(),
        packets_sent=message.packets_sent,
        bytes_sent=message.bytes_sent,
        sessions_opened=message.sessions_opened,
        sessions_closed=message.sessions_closed,
        rooms=tuple(_lease(room) for room in message.rooms),
        shards=message.shard_count,
        serving_shards=message.serving_shard_count,
        shard_failures=message.shard_failures,
    )


def _response(told: NodeIsTold, sequence: int) -> node_service_pb2.ReportResponse:
    response = node_service_pb2.ReportResponse(sequence=sequence)
    match told:
        case Configure(report_interval, lease_duration):
            response.configuration.report_interval.CopyFrom(duration(report_interval))
            response.configuration.lease_duration.CopyFrom(duration(lease_duration))
        case Fence(room_id, epoch):
            response.fence_room.room = f"rooms/{room_id}"
            response.fence_room.epoch = epoch
        case _:
            response.drain.SetInParent()
    return response
