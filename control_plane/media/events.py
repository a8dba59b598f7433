"""Events of media sessions, as the messages that clients get. Each is for the session's participant alone."""

from __future__ import annotations

from collections.abc import Iterable

from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.convert import encodings_message, slot_message
from parley.signaling.v1 import event_pb2


def slots_changed(meeting_id: str, slots: Iterable[SlotAssignment]) -> event_pb2.Event:
    """Slots carry other tracks now."""
    messages = [slot_message(meeting_id, slot) for slot in slots]
    return event_pb2.Event(slots_changed=event_pb2.SlotsChanged(slots=messages))


def encodings_changed(tracks: Iterable[TrackEncodings]) -> event_pb2.Event:
    """Other encodings of tracks are needed now."""
    messages = [encodings_message(track) for track in tracks]
    return event_pb2.Event(encodings_changed=event_pb2.EncodingsChanged(tracks=messages))
