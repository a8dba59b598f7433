"""From a media node's messages to the words of the port."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from control_plane.log.convert import tracks_from
from control_plane.log.participant import MediaStateEvent, SessionKey
from control_plane.log.position import NodePosition
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.nodes.control import (
    EncodingsEvent,
    NodeHappening,
    NodeMessage,
    NodeRoom,
    NodeSession,
    RoomClosedEvent,
    RoomEvent,
    RoomSlotStatesEvent,
    SlotStatesEvent,
    SpeakerEvent,
    WatchStarted,
)
from parley.meeting.v1 import explanation_pb2
from parley.sfu.v1 import media_pb2, sfu_control_service_pb2

_TELLING = {media_pb2.MEDIA_STATE_CONNECTED, media_pb2.MEDIA_STATE_SILENT, media_pb2.MEDIA_STATE_CLOSED}


def slot_state(message: media_pb2.SlotState) -> SlotAssignment:
    """Returns what a slot carries."""
    return SlotAssignment(message.mid, message.source.participant_id, message.source.mid)


def _encodings(messages: Iterable[explanation_pb2.TrackEncodings]) -> tuple[TrackEncodings, ...]:
    return tuple(TrackEncodings(message.mid, tuple(message.rids), message.codec) for message in messages)


def node_message(response: sfu_control_service_pb2.WatchEventsResponse, instance_id: str) -> NodeMessage | None:
    """Returns a message of a node's event stream; None for a mere sign of life."""
    match response.WhichOneof("message"):
        case "start":
            start = response.start
            return WatchStarted(NodePosition(start.instance_id, start.sequence), start.from_state)
        case "room_state":
            return _room(response.room_state)
        case "event":
            return _event(response.event, instance_id)
        case _:
            return None


def _room(message: sfu_control_service_pb2.RoomState) -> NodeRoom:
    return NodeRoom(
        room_id=message.room.room.removeprefix("rooms/"),
        epoch=message.room.epoch,
        sessions=tuple(_session(session) for session in message.sessions),
        dominant_speaker=message.dominant_speaker_participant_id,
    )


def _session(message: media_pb2.SessionState) -> NodeSession:
    return NodeSession(
        key=SessionKey(message.session_id, message.participant_id),
        connected=message.media_state == media_pb2.MEDIA_STATE_CONNECTED,
        closed=message.media_state == media_pb2.MEDIA_STATE_CLOSED,
        slots=tuple(slot_state(slot) for slot in message.slots),
        tracks=tracks_from(message.tracks),
        encodings=_encodings(message.encodings),
        silence=_silence(message),
    )


def _event(message: media_pb2.NodeEvent, instance_id: str) -> NodeHappening:
    return NodeHappening(
        position=NodePosition(instance_id, message.sequence),
        room_id=message.room.removeprefix("rooms/"),
        epoch=message.epoch,
        traceparent=message.traceparent,
        what=_what(message),
    )


def _slot_states(message: media_pb2.SlotStatesChanged) -> SlotStatesEvent:
    key = SessionKey(message.session_id, message.participant_id)
    return SlotStatesEvent(key, tuple(slot_state(slot) for slot in message.slots))


def _slots_of(message: media_pb2.NodeEvent) -> SlotStatesEvent | RoomSlotStatesEvent:
    if message.HasField("room_slot_states_changed"):
        return RoomSlotStatesEvent(tuple(_slot_states(one) for one in message.room_slot_states_changed.sessions))
    return _slot_states(message.slot_states_changed)


def _what(message: media_pb2.NodeEvent) -> RoomEvent | None:
    match message.WhichOneof("kind"):
        case "media_state_changed":
            return _media_state(message.media_state_changed)
        case "slot_states_changed" | "room_slot_states_changed":
            return _slots_of(message)
        case "encodings_changed":
            encodings = message.encodings_changed
            key = SessionKey(encodings.session_id, encodings.participant_id)
            return EncodingsEvent(key, _encodings(encodings.tracks))
        case "speaker_changed":
            return SpeakerEvent(message.speaker_changed.participant_id)
        case "room_closed":
            return RoomClosedEvent(str(message.room_closed.reason))
        case _:
            return None


def _media_state(message: media_pb2.MediaStateChanged) -> MediaStateEvent | None:
    # What a newer node says beyond these is no end of a session.
    if message.media_state not in _TELLING:
        return None
    key = SessionKey(message.session_id, message.participant_id)
    return MediaStateEvent(key, message.media_state == media_pb2.MEDIA_STATE_CONNECTED, _silence(message))


def _silence(message: media_pb2.MediaStateChanged | media_pb2.SessionState) -> timedelta | None:
    return message.silence.ToTimedelta() if message.media_state == media_pb2.MEDIA_STATE_SILENT else None
