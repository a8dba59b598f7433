"""What a newer node says is taken as far as it is known."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from control_plane.log.participant import MediaStateEvent, TrackKind, TrackSource
from control_plane.log.position import NodePosition
from control_plane.nodes.control import NodeHappening, NodeRoom, RoomClosedEvent
from control_plane.nodes.convert import node_message
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import media_pb2, sfu_control_service_pb2

OF_TOMORROW = 99


def happened(**kind: object) -> NodeHappening:
    event = media_pb2.NodeEvent(sequence=7, room="rooms/1", epoch=2, **kind)  # type: ignore[arg-type]
    message = node_message(sfu_control_service_pb2.WatchEventsResponse(event=event), "i")
    assert isinstance(message, NodeHappening)
    assert message.position == NodePosition("i", 7), "it is not asked for again"
    return message


def test_a_state_of_media_that_is_not_known_is_no_end() -> None:
    for state, expected in [
        (OF_TOMORROW, None),
        (media_pb2.MEDIA_STATE_CONNECTING, None),
        (media_pb2.MEDIA_STATE_CONNECTED, True),
        (media_pb2.MEDIA_STATE_CLOSED, False),
    ]:
        changed = media_pb2.MediaStateChanged(session_id="s", participant_id="p", media_state=state)  # type: ignore[arg-type]
        what = happened(media_state_changed=changed).what
        assert what is None if expected is None else isinstance(what, MediaStateEvent) and what.connected is expected


def test_a_silence_is_told_with_its_age() -> None:
    silence = Duration(seconds=7, nanos=500_000_000)
    silent: dict[str, Any] = {"media_state": media_pb2.MEDIA_STATE_SILENT, "silence": silence}
    changed = media_pb2.MediaStateChanged(session_id="s", participant_id="p", **silent)
    state = sfu_control_service_pb2.RoomState(sessions=[media_pb2.SessionState(session_id="s", **silent)])

    what = happened(media_state_changed=changed).what
    room = node_message(sfu_control_service_pb2.WatchEventsResponse(room_state=state), "i")

    assert isinstance(what, MediaStateEvent)
    assert (what.connected, what.silence) == (False, timedelta(seconds=7.5))
    assert isinstance(room, NodeRoom)
    (session,) = room.sessions
    assert (session.connected, session.closed, session.silence) == (False, False, timedelta(seconds=7.5))


def test_a_kind_of_event_that_is_not_known_is_passed_over() -> None:
    newer = b"\xfa\x07\x03abc"  # a field that this version has not
    event = media_pb2.NodeEvent.FromString(media_pb2.NodeEvent(sequence=7).SerializeToString() + newer)
    message = node_message(sfu_control_service_pb2.WatchEventsResponse(event=event), "i")

    assert isinstance(message, NodeHappening)
    assert (message.what, message.position) == (None, NodePosition("i", 7))
    assert node_message(sfu_control_service_pb2.WatchEventsResponse.FromString(newer), "i") is None


def test_a_reason_that_is_not_known_closes_a_room_all_the_same() -> None:
    closed = media_pb2.RoomClosed(reason=OF_TOMORROW)  # type: ignore[arg-type]

    assert isinstance(happened(room_closed=closed).what, RoomClosedEvent)


def test_a_room_with_a_track_of_a_kind_that_is_not_known_is_read() -> None:
    track = track_pb2.Track(mid="0", kind=OF_TOMORROW, source=OF_TOMORROW)  # type: ignore[arg-type]
    session = media_pb2.SessionState(session_id="s", participant_id="p", media_state=OF_TOMORROW, tracks=[track])  # type: ignore[arg-type]
    state = sfu_control_service_pb2.RoomState(
        room=sfu_control_service_pb2.RoomReference(room="rooms/1", epoch=2), sessions=[session]
    )
    message = node_message(sfu_control_service_pb2.WatchEventsResponse(room_state=state), "i")

    assert isinstance(message, NodeRoom)
    (read,) = message.sessions
    assert (read.connected, read.closed) == (False, False)
    assert (read.tracks[0].kind, read.tracks[0].source) == (TrackKind.UNKNOWN, TrackSource.UNKNOWN)
