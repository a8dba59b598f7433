"""Bad requests about being in a meeting and about placement."""

import uuid
from collections.abc import Callable
from typing import Any

from grpc import StatusCode

from parley.allocation.v1 import room_allocation_service_pb2 as allocation
from parley.meeting.v1 import track_pb2
from parley.operations.v1 import quarantine_service_pb2 as quarantine
from parley.signaling.v1 import session_pb2
from parley.signaling.v1 import signaling_service_pb2 as signaling
from tests.support.hostile import NOBODY, PASSCODE, Request, World, join_request
from tests.support.sdp import media_offer, offer, tracks

_BAD, _DENIED, _MISSING = StatusCode.INVALID_ARGUMENT, StatusCode.PERMISSION_DENIED, StatusCode.NOT_FOUND
_JOIN, _SLOTS = "SignalingService.JoinMeeting", "SignalingService.UpdateSlots"
_TRACKS, _REACT = "SignalingService.UpdateTracks", "SignalingService.SendReaction"
_RENEGOTIATE, _WATCH = "SignalingService.RenegotiateMedia", "SignalingService.WatchSession"
_BEAT, _EXPLAIN = "SignalingService.Heartbeat", "SignalingService.ExplainSession"
_STREAMING = ("grpc", "grpc-web")


def _participant(key: str) -> Callable[[World], str]:
    return lambda world: world.people[key].token


def _token(key: str) -> Callable[[World], str]:
    return lambda world: world.tokens[key]


def _nobody(_: World) -> None:
    return None


def _join(world: World, key: str, **fields: Any) -> signaling.JoinMeetingRequest:  # noqa: ANN401 - proto fields
    return join_request(world.meetings[key].name, **fields)


def _sdp(text: str) -> signaling.MediaOffer:
    return signaling.MediaOffer(sdp=text, tracks=tracks())


def _offer(sdp: str) -> Callable[[World], signaling.JoinMeetingRequest]:
    return lambda world: _join(world, "open", offer=_sdp(sdp))


def _named(*mids: str) -> Callable[[World], signaling.JoinMeetingRequest]:
    """Join with tracks of these mids instead of those that the offer sends."""
    audio, microphone = track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_SOURCE_MICROPHONE
    named = [track_pb2.Track(mid=mid, kind=audio, source=microphone) for mid in mids]
    return lambda world: _join(world, "open", offer=signaling.MediaOffer(sdp=offer(), tracks=named))


def _slots(*mids: str) -> list[session_pb2.SlotRequest]:
    return [session_pb2.SlotRequest(mid=mid, automatic=session_pb2.AutomaticSelection()) for mid in mids]


def _me(world: World, key: str = "guest") -> str:
    return world.people[key].name


def _react(world: World, emoji: str, request_id: str | None = None) -> signaling.SendReactionRequest:
    return signaling.SendReactionRequest(
        name=_me(world), emoji=emoji, request_id=str(uuid.uuid4()) if request_id is None else request_id
    )


def _mute(world: World, mid: str, key: str = "guest") -> signaling.UpdateTracksRequest:
    audio, microphone = track_pb2.TRACK_KIND_AUDIO, track_pb2.TRACK_SOURCE_MICROPHONE
    track = track_pb2.Track(mid=mid, kind=audio, source=microphone, muted=True)
    return signaling.UpdateTracksRequest(name=_me(world, key), tracks=[track])


_BAD_SDP = {
    "of garbage": "garbage",
    "of NULs": "\0" * 64,
    "of a megabyte of m-lines": "v=0\r\n" + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\n" * 4000,
    "with a broken m-line": offer(replace=[("m=audio 9 UDP/TLS/RTP/SAVPF 111", "m=audio x")]),
}
_UNACCEPTABLE_SDP = {
    "without an m-line": "v=0\r\n",
    "without fingerprint": offer(without=["a=fingerprint"]),
    "without ICE credentials": offer(without=["a=ice-ufrag", "a=ice-pwd"]),
    "without BUNDLE": offer(without=["a=group"]),
    "without rtcp-mux": offer(without=["a=rtcp-mux"]),
    "with a payload type out of range": offer(replace=[("rtpmap:96", "rtpmap:999")]),
    "without a codec we know": offer(replace=[("VP8/90000", "H261/90000"), ("opus/48000/2", "G722/8000")]),
}

JOINS = [
    Request("a join without a token", _JOIN, lambda world: _join(world, "open", passcode=PASSCODE),
            StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", token=_nobody),
    Request("a join with an expired token", _JOIN, lambda world: _join(world, "open"), StatusCode.UNAUTHENTICATED,
            "TOKEN_EXPIRED", token=_token("expired")),
    Request("a join with a participant's token", _JOIN, lambda world: _join(world, "open"), _DENIED,
            "TOKEN_KIND_NOT_ALLOWED", token=_participant("guest")),
    Request("a join of an unknown meeting", _JOIN, lambda _: join_request("meetings/10000000000", passcode=PASSCODE),
            _MISSING, "MEETING_NOT_FOUND"),
    Request("a join of a name out of shape", _JOIN, lambda _: join_request("meetings/1"), _BAD, "INVALID_ARGUMENT",
            "meeting"),
    Request("a join of an ended meeting", _JOIN, lambda world: _join(world, "ended"), StatusCode.FAILED_PRECONDITION,
            "MEETING_ENDED"),
    Request("a join of a full meeting", _JOIN, lambda world: _join(world, "full", passcode=PASSCODE),
            StatusCode.RESOURCE_EXHAUSTED, "MEETING_FULL", token=lambda world: world.other.token),
    Request("a join before the host", _JOIN, lambda world: _join(world, "not-started", passcode=PASSCODE),
            StatusCode.FAILED_PRECONDITION, "MEETING_NOT_STARTED", token=lambda world: world.other.token),
    Request("a join with a wrong passcode", _JOIN, lambda world: _join(world, "full", passcode="0000"), _DENIED,
            "PASSCODE_WRONG", token=lambda world: world.other.token),
    Request("a join by another meeting's guest", _JOIN, lambda world: _join(world, "open", passcode=PASSCODE), _DENIED,
            "PERMISSION_DENIED", token=_token("guest-foreign")),
    Request("a join without an offer", _JOIN,
            lambda world: signaling.JoinMeetingRequest(
                meeting=world.meetings["open"].name, display_name="Probe", request_id=NOBODY),
            _BAD, "INVALID_ARGUMENT", "offer"),
    Request("a join without a request id", _JOIN, lambda world: _join(world, "open", request_id=""), _BAD,
            "INVALID_ARGUMENT", "request_id"),
    Request("a join under a name of 10,000 characters", _JOIN,
            lambda world: _join(world, "open", display_name="x" * 10_000), _BAD, "INVALID_ARGUMENT", "display_name"),
    Request("a join under a name that overrides direction", _JOIN,
            lambda world: _join(world, "open", display_name="\u202eevil"), _BAD, "INVALID_ARGUMENT", "display_name"),
    Request("a join from a region with spaces", _JOIN, lambda world: _join(world, "open", region="e u"), _BAD,
            "INVALID_ARGUMENT", "region"),
    Request("an offer of 131,073 bytes", _JOIN, _offer("v=0\r\n" + "a" * 131_068), _BAD, "INVALID_ARGUMENT",
            "offer.sdp"),
    Request("nine tracks", _JOIN, _named(*"012345678"), _BAD, "INVALID_ARGUMENT", "offer.tracks"),
    Request("fifty slots", _JOIN,
            lambda world: _join(world, "open", offer=signaling.MediaOffer(
                sdp=offer(), tracks=tracks(), slots=_slots(*(str(mid) for mid in range(50))))),
            _BAD, "INVALID_ARGUMENT", "offer.slots"),
    Request("a track that the offer does not send", _JOIN, _named("0", "1", "2", "99"), _BAD, "MID_UNKNOWN"),
    Request("a slot that the offer does not have", _JOIN,
            lambda world: _join(world, "open", offer=signaling.MediaOffer(
                sdp=offer(), tracks=tracks(), slots=_slots("99"))),
            _BAD, "MID_UNKNOWN"),
    *(Request(f"an offer {what}", _JOIN, _offer(text), _BAD, "SDP_INVALID", "offer.sdp")
      for what, text in _BAD_SDP.items() if "megabyte" not in what),
    *(Request(f"an offer {what}", _JOIN, _offer(text), _BAD, "SDP_NOT_ACCEPTABLE", "offer.sdp")
      for what, text in _UNACCEPTABLE_SDP.items()),
]  # fmt: skip

IN_MEETING = [
    Request("watching with a cursor of garbage", _WATCH,
            lambda world: signaling.WatchSessionRequest(name=_me(world), cursor="garbage"), StatusCode.OUT_OF_RANGE,
            "CURSOR_INVALID", token=_participant("guest"), only=_STREAMING),
    Request("watching with another meeting's cursor", _WATCH,
            lambda world: signaling.WatchSessionRequest(name=_me(world), cursor=world.people["foreign"].cursor),
            StatusCode.OUT_OF_RANGE, "CURSOR_INVALID", token=_participant("guest"), only=_STREAMING),
    Request("watching as somebody else", _WATCH,
            lambda world: signaling.WatchSessionRequest(name=_me(world, "host")), _DENIED, "PERMISSION_DENIED",
            token=_participant("guest"), only=_STREAMING),
    Request("watching after leaving", _WATCH,
            lambda world: signaling.WatchSessionRequest(name=_me(world, "gone")), _MISSING, "PARTICIPANT_NOT_FOUND",
            token=_participant("gone"), only=_STREAMING),
    Request("another's slots", _SLOTS,
            lambda world: signaling.UpdateSlotsRequest(name=_me(world, "host"), slots=_slots("6")), _DENIED,
            "PERMISSION_DENIED", token=_participant("guest")),
    Request("no slots", _SLOTS, lambda world: signaling.UpdateSlotsRequest(name=_me(world)), _BAD, "INVALID_ARGUMENT",
            "slots", _participant("guest")),
    Request("an unknown slot", _SLOTS, lambda world: signaling.UpdateSlotsRequest(name=_me(world), slots=_slots("99")),
            _BAD, "MID_UNKNOWN", token=_participant("guest")),
    Request("a slot without a choice", _SLOTS,
            lambda world: signaling.UpdateSlotsRequest(name=_me(world), slots=[session_pb2.SlotRequest(mid="6")]), _BAD,
            "INVALID_ARGUMENT", "slots[0].selection", _participant("guest")),
    Request("a slot name with a path in it", _SLOTS,
            lambda world: signaling.UpdateSlotsRequest(name=_me(world), slots=_slots("../6")), _BAD,
            "INVALID_ARGUMENT", "slots[0].mid", _participant("guest")),
    Request("another's explanation", _EXPLAIN,
            lambda world: signaling.ExplainSessionRequest(name=_me(world, "host")), _DENIED, "PERMISSION_DENIED",
            token=_participant("guest")),
    Request("an explanation for a user", _EXPLAIN, lambda world: signaling.ExplainSessionRequest(name=_me(world)),
            _DENIED, "TOKEN_KIND_NOT_ALLOWED"),
    Request("an explanation after leaving", _EXPLAIN,
            lambda world: signaling.ExplainSessionRequest(name=_me(world, "gone")), _MISSING, "PARTICIPANT_NOT_FOUND",
            token=_participant("gone")),
    Request("muting somebody else", _TRACKS, lambda world: _mute(world, "0", "host"), _DENIED, "PERMISSION_DENIED",
            token=_participant("guest")),
    Request("muting in another meeting", _TRACKS, lambda world: _mute(world, "0", "foreign"), _DENIED,
            "PERMISSION_DENIED", token=_participant("guest")),
    Request("muting an unknown track", _TRACKS, lambda world: _mute(world, "99"), _BAD, "MID_UNKNOWN",
            token=_participant("guest")),
    Request("no tracks", _TRACKS, lambda world: signaling.UpdateTracksRequest(name=_me(world)), _BAD,
            "INVALID_ARGUMENT", "tracks", _participant("guest")),
    Request("muting after leaving", _TRACKS, lambda world: _mute(world, "0", "gone"), _MISSING,
            "PARTICIPANT_NOT_FOUND", token=_participant("gone")),
    Request("muting with a user's token", _TRACKS, lambda world: _mute(world, "0"), _DENIED, "TOKEN_KIND_NOT_ALLOWED"),
    Request("a word as reaction", _REACT, lambda world: _react(world, "hello"), _BAD, "INVALID_ARGUMENT", "emoji",
            _participant("guest")),
    Request("markup as reaction", _REACT, lambda world: _react(world, "<b>"), _BAD, "INVALID_ARGUMENT", "emoji",
            _participant("guest")),
    Request("a reaction of 17 emoji", _REACT, lambda world: _react(world, "\U0001f600" * 17), _BAD, "INVALID_ARGUMENT",
            "emoji", _participant("guest")),
    Request("a reaction without a request id", _REACT, lambda world: _react(world, "\U0001f600", ""), _BAD,
            "INVALID_ARGUMENT", "request_id", _participant("guest")),
    Request("a heartbeat with a user's token", _BEAT, lambda world: signaling.HeartbeatRequest(name=_me(world)),
            _DENIED, "TOKEN_KIND_NOT_ALLOWED"),
    Request("a heartbeat with an expired token", _BEAT, lambda world: signaling.HeartbeatRequest(name=_me(world)),
            StatusCode.UNAUTHENTICATED, "TOKEN_EXPIRED", token=_token("expired-participant")),
    Request("a heartbeat after leaving", _BEAT, lambda world: signaling.HeartbeatRequest(name=_me(world, "gone")),
            _MISSING, "PARTICIPANT_NOT_FOUND", token=_participant("gone")),
    Request("a heartbeat of a name out of shape", _BEAT,
            lambda world: signaling.HeartbeatRequest(name=world.meetings["open"].name + "/participants/me"),
            _BAD, "INVALID_ARGUMENT", "name", _participant("guest")),
    Request("a broken offer for an open session", _RENEGOTIATE,
            lambda world: signaling.RenegotiateMediaRequest(name=_me(world), offer=_sdp("x"), request_id=NOBODY), _BAD,
            "SDP_INVALID", "offer.sdp", _participant("guest")),
    Request("another's media", _RENEGOTIATE,
            lambda world: signaling.RenegotiateMediaRequest(
                name=_me(world, "host"), offer=media_offer(), request_id=NOBODY),
            _DENIED, "PERMISSION_DENIED", token=_participant("guest")),
]  # fmt: skip

PLACEMENT = [
    Request("the nodes without a token", "RoomAllocationService.ListNodes", lambda _: allocation.ListNodesRequest(),
            StatusCode.UNAUTHENTICATED, "TOKEN_MISSING", token=_nobody),
    Request("the nodes for a user", "RoomAllocationService.ListNodes", lambda _: allocation.ListNodesRequest(), _DENIED,
            "TOKEN_KIND_NOT_ALLOWED"),
    Request("the nodes for a participant", "RoomAllocationService.ListNodes", lambda _: allocation.ListNodesRequest(),
            _DENIED, "TOKEN_KIND_NOT_ALLOWED", token=_participant("host")),
    Request("a negative page of nodes", "RoomAllocationService.ListNodes",
            lambda _: allocation.ListNodesRequest(page_size=-5), _BAD, "INVALID_ARGUMENT", "page_size",
            lambda world: world.operator_token),
    Request("a room name with a dot", "RoomAllocationService.PlaceRoom",
            lambda _: allocation.PlaceRoomRequest(room="rooms/a.b"), _BAD, "INVALID_ARGUMENT", "room",
            lambda world: world.operator_token),
    Request("a placement that is none", "RoomAllocationService.GetPlacement",
            lambda _: allocation.GetPlacementRequest(room="rooms/nowhere"), _MISSING, "PLACEMENT_NOT_FOUND",
            token=lambda world: world.operator_token),
    Request("another epoch's placement", "RoomAllocationService.ReleaseRoom",
            lambda world: allocation.ReleaseRoomRequest(
                room=world.meetings["open"].name.replace("meetings", "rooms"), epoch=999_999),
            StatusCode.ABORTED, "EPOCH_MISMATCH", token=lambda world: world.operator_token),
]  # fmt: skip

QUARANTINE = [
    Request("what is set aside, for a user", "QuarantineService.ListQuarantinedRecords",
            lambda _: quarantine.ListQuarantinedRecordsRequest(), _DENIED, "TOKEN_KIND_NOT_ALLOWED"),
    Request("a page token of another list", "QuarantineService.ListQuarantinedRecords",
            lambda _: quarantine.ListQuarantinedRecordsRequest(page_token="bm9kZXMvYQ=="), _BAD, "PAGE_TOKEN_INVALID",
            token=lambda world: world.operator_token),
    Request("a record that is none", "QuarantineService.DropQuarantinedRecord",
            lambda _: quarantine.DropQuarantinedRecordRequest(name="quarantinedRecords/outbox~0"), _MISSING,
            "RECORD_NOT_FOUND", token=lambda world: world.operator_token),
    Request("a record of no kind", "QuarantineService.RetryQuarantinedRecord",
            lambda _: quarantine.RetryQuarantinedRecordRequest(name="quarantinedRecords/x"), _MISSING,
            "RECORD_NOT_FOUND", token=lambda world: world.operator_token),
]  # fmt: skip

REQUESTS = [*JOINS, *IN_MEETING, *PLACEMENT, *QUARANTINE]
