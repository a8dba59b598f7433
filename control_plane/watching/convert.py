"""What is streamed to watchers, as messages of the contract."""

from __future__ import annotations

import functools
from typing import Final

from control_plane.kernel.roles import ParticipantRole
from control_plane.log.convert import participant_message
from control_plane.log.entry import Batch
from control_plane.log.view import LiveView
from control_plane.media.convert import encodings_message, slot_message
from control_plane.meetings.convert import meeting_to_proto
from control_plane.platform.grpc.names import participant_name
from parley.signaling.v1 import event_pb2, signaling_service_pb2

_EVENT: Final = signaling_service_pb2.WatchSessionResponse.EVENT_FIELD_NUMBER
_EVENT_BATCH: Final = signaling_service_pb2.WatchSessionResponse.EVENT_BATCH_FIELD_NUMBER
_BATCH_EVENTS: Final = signaling_service_pb2.EventBatch.EVENTS_FIELD_NUMBER
_KEPT: Final = 128
"""Batches that are kept as responses: those that some watcher is still to be told."""


def snapshot_message(view: LiveView, participant_id: str, public_url: str) -> event_pb2.Snapshot:
    """Returns a meeting's state as one participant sees it; the host sees passcode and link too."""
    meeting, watcher = view.meeting, view.participant(participant_id)
    is_host = watcher is not None and watcher.role is ParticipantRole.HOST
    return event_pb2.Snapshot(
        meeting=None
        if meeting is None
        else meeting_to_proto(
            meeting,
            participant_count=len(view.participants),
            join_uri=meeting.join_uri(public_url),
            for_host=is_host,
        ),
        participants=[participant_message(view.meeting_id, one) for one in view.participants],
        slots=[slot_message(view.meeting_id, slot) for slot in view.slots],
        encodings=[encodings_message(track) for track in view.encodings],
        dominant_speaker=participant_name(view.meeting_id, view.dominant_speaker),
    )


@functools.lru_cache(maxsize=_KEPT)
def shared_response(batch: Batch) -> bytes:
    """Returns a serialised response without its number: all that those who get a batch are sent alike.

    The events are the bytes of the log. What a newer version wrote reaches newer clients as it was.
    """
    response = signaling_service_pb2.WatchSessionResponse(cursor=batch.cursor)
    if len(batch.entries) > 1:
        events = b"".join(_field(_BATCH_EVENTS, entry.event) for entry in batch.entries)
        return response.SerializeToString() + _field(_EVENT_BATCH, events)
    (entry,) = batch.entries
    if entry.traceparent:
        response.trace_context.traceparent = entry.traceparent
    return response.SerializeToString() + _field(_EVENT, entry.event)


def _field(number: int, value: bytes) -> bytes:
    """Returns a field of a serialised message: its number and that a length follows, the length, and the value."""
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    """Returns a number as Protocol Buffers write it: seven bits a byte, the lowest first, all but the last marked."""
    digits = bytearray()
    while value >> 7:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    digits.append(value)
    return bytes(digits)
