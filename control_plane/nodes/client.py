"""Telling media nodes what to do, over gRPC: one channel a node, short deadlines, errors in the words of the port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from typing import Final, NoReturn, TypeVar

import grpc
from grpc import aio

from control_plane.kernel.errors import DomainError, ErrorKind, FieldViolation
from control_plane.log.convert import track_message
from control_plane.log.participant import SessionKey, Track
from control_plane.log.position import NodePosition
from control_plane.media.errors import MidUnknownError
from control_plane.media.model import MediaOffer, OpenedSession, SlotMode, SlotSelection
from control_plane.nodes.control import (
    NodeDrainingError,
    NodeFullError,
    NodeMessage,
    NodeUnreachableError,
    RoomNotServedError,
    SerializedExplanation,
)
from control_plane.nodes.convert import node_message, slot_state
from control_plane.rooms.model import Placement
from grpc_kit.channel import open_channel
from grpc_kit.errors import ErrorDetails, read_error
from parley.sfu.v1 import media_pb2, sfu_control_service_pb2, sfu_control_service_pb2_grpc

T = TypeVar("T")

_DEADLINE: Final = 4.0
_QUICK_DEADLINE: Final = 2.0
_PROBE_SECONDS: Final = 0.5
_SILENCE_SECONDS: Final = 40.0
"""A node's event stream says at least each 15 s that it lives."""
_MID_UNKNOWN: Final = "MID_UNKNOWN"
_FOR_THE_CALLER: Final = frozenset({"SDP_INVALID", "SDP_NOT_ACCEPTABLE", _MID_UNKNOWN})
_BY_REASON: Final = {"NODE_FULL": NodeFullError, "NODE_DRAINING": NodeDrainingError}
_UNREACHABLE: Final = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNKNOWN,
    }
)


class GrpcMediaNodes:
    """Implements `MediaNodes`."""

    def __init__(self, node_token: str) -> None:
        self._token = node_token
        self._channels: dict[str, aio.Channel] = {}

    async def open_room(self, placement: Placement) -> None:
        """Opens a room or takes over its newer epoch."""
        request = sfu_control_service_pb2.OpenRoomRequest(room=_room(placement.room_id, placement.epoch))
        await _answered(self._stub(placement.control_address).OpenRoom(request, timeout=_QUICK_DEADLINE))

    async def close_room(self, address: str, room_id: str, epoch: int) -> None:
        """Closes a room and all its sessions."""
        request = sfu_control_service_pb2.CloseRoomRequest(room=_room(room_id, epoch))
        await _answered(self._stub(address).CloseRoom(request, timeout=_QUICK_DEADLINE))

    async def open_session(self, placement: Placement, session: SessionKey, offer: MediaOffer) -> OpenedSession:
        """Opens a session from an offer."""
        request = sfu_control_service_pb2.OpenSessionRequest(
            room=_room(placement.room_id, placement.epoch),
            participant_id=session.participant_id,
            session_id=session.session_id,
            sdp_offer=offer.sdp,
            tracks=[track_message(track) for track in offer.tracks],
            slots=[_selection(slot) for slot in offer.slots],
        )
        call = self._stub(placement.control_address).OpenSession(request, timeout=_DEADLINE)
        response = await _answered(call, offer_path="offer.sdp", slots_path="offer.slots")
        slots = tuple(slot_state(slot) for slot in response.slots)
        return OpenedSession(response.sdp_answer, slots, response.session_id or session.session_id)

    async def close_session(self, placement: Placement, session: SessionKey) -> None:
        """Closes a session."""
        request = sfu_control_service_pb2.CloseSessionRequest(
            room=_room(placement.room_id, placement.epoch),
            participant_id=session.participant_id,
            session_id=session.session_id,
        )
        await _answered(self._stub(placement.control_address).CloseSession(request, timeout=_QUICK_DEADLINE))

    async def update_slots(self, placement: Placement, participant_id: str, slots: Sequence[SlotSelection]) -> None:
        """Sets what slots show."""
        request = sfu_control_service_pb2.UpdateSlotsRequest(
            room=_room(placement.room_id, placement.epoch),
            participant_id=participant_id,
            slots=[_selection(slot) for slot in slots],
        )
        call = self._stub(placement.control_address).UpdateSlots(request, timeout=_QUICK_DEADLINE)
        await _answered(call, slots_path="slots")

    async def update_tracks(self, placement: Placement, participant_id: str, tracks: Sequence[Track]) -> None:
        """Sets state and source of tracks."""
        request = sfu_control_service_pb2.UpdateTracksRequest(
            room=_room(placement.room_id, placement.epoch),
            participant_id=participant_id,
            tracks=[track_message(track) for track in tracks],
        )
        call = self._stub(placement.control_address).UpdateTracks(request, timeout=_QUICK_DEADLINE)
        await _answered(call, slots_path="tracks")

    async def explain(self, placement: Placement, participant_id: str) -> SerializedExplanation:
        """Says why a participant's pictures look as they do."""
        request = sfu_control_service_pb2.ExplainSessionRequest(
            room=f"rooms/{placement.room_id}", participant_id=participant_id
        )
        call = self._stub(placement.control_address).ExplainSession(request, timeout=_QUICK_DEADLINE)
        response = await _answered(call)
        return SerializedExplanation(response.explanation.SerializeToString())

    async def watch(self, address: str, position: NodePosition | None) -> AsyncIterator[NodeMessage]:
        """Streams what happens on a node, from a position on."""
        request = sfu_control_service_pb2.WatchEventsRequest(
            instance_id=position.instance_id if position else "",
            after_sequence=position.sequence if position else 0,
        )
        call = self._stub(address).WatchEvents(request)
        instance = position.instance_id if position else ""
        try:
            while True:
                async with asyncio.timeout(_SILENCE_SECONDS):
                    response = await call.read()
                if not isinstance(response, sfu_control_service_pb2.WatchEventsResponse):
                    return  # the end of the stream
                if response.WhichOneof("message") == "start":
                    instance = response.start.instance_id
                message = node_message(response, instance)
                if message is not None:
                    yield message
        except TimeoutError:
            raise NodeUnreachableError from None
        except aio.AioRpcError as error:
            _refuse(error, "", "")
        finally:
            call.cancel()

    async def reachable(self, address: str) -> bool:
        """Whether anything listens at a control address."""
        host, _, port = address.rpartition(":")
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        except (OSError, TimeoutError, ValueError):
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True

    async def forget_others(self, addresses: AbstractSet[str]) -> None:
        """Closes the channels to all control addresses but these."""
        for address in self._channels.keys() - addresses:
            await self._channels.pop(address).close()

    def _stub(self, address: str) -> sfu_control_service_pb2_grpc.SfuControlServiceAsyncStub:
        channel = self._channels.get(address)
        if channel is None:
            channel = self._channels[address] = open_channel(address, bearer_token=self._token)
        return sfu_control_service_pb2_grpc.SfuControlServiceStub(channel)


async def _answered(call: Awaitable[T], *, offer_path: str = "", slots_path: str = "") -> T:
    """Returns a call's answer.

    Raises:
        NodeUnreachableError: There is none.
        RoomNotServedError: The node does not serve the room.
        DomainError: What was asked can't be done; for the caller.
    """
    try:
        return await call
    except aio.AioRpcError as error:
        _refuse(error, offer_path, slots_path)


def _refuse(error: aio.AioRpcError, offer_path: str, slots_path: str) -> NoReturn:
    details = read_error(error)
    if details.reason in _FOR_THE_CALLER:
        raise _for_the_caller(details, offer_path, slots_path) from error
    if details.reason and details.code not in {grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED}:
        known = _BY_REASON.get(details.reason)
        raise (known() if known else RoomNotServedError(details.reason)) from error
    if details.code in _UNREACHABLE:
        raise NodeUnreachableError from error
    raise RoomNotServedError(details.code.name) from error


def _for_the_caller(details: ErrorDetails, offer_path: str, slots_path: str) -> DomainError:
    """A node's refusal of what the caller sent, with the caller's own field names."""
    path = slots_path if details.reason == _MID_UNKNOWN else offer_path
    violations = tuple(
        FieldViolation(_renamed(violation.field, path), violation.description) for violation in details.field_violations
    ) or (FieldViolation(path, details.message),)
    if details.reason == _MID_UNKNOWN:
        return MidUnknownError(details.message, violations)
    return DomainError(ErrorKind.INVALID_ARGUMENT, details.reason, details.message, field_violations=violations)


def _renamed(field: str, path: str) -> str:
    for prefix in ("sdp_offer", "slots", "tracks"):
        if field.startswith(prefix):
            parent = path.partition(".")[0] if "." in path else ""
            name = "sdp" if prefix == "sdp_offer" else prefix
            return ".".join(part for part in (parent, name + field.removeprefix(prefix)) if part)
    return field or path


def _room(room_id: str, epoch: int) -> sfu_control_service_pb2.RoomReference:
    return sfu_control_service_pb2.RoomReference(room=f"rooms/{room_id}", epoch=epoch)


def _selection(slot: SlotSelection) -> media_pb2.SlotSelection:
    message = media_pb2.SlotSelection(mid=slot.mid, max_height=slot.max_height, priority=slot.priority)
    match slot.mode:
        case SlotMode.SOURCE:
            message.source.participant_id = slot.participant_id
            message.source.mid = slot.source_mid
        case SlotMode.AUTOMATIC:
            message.automatic.SetInParent()
        case SlotMode.EMPTY:
            message.empty.SetInParent()
    return message
