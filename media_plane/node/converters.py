"""Between the contract's messages and the agent's values; what comes in was validated by the interceptor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from media_plane.node.announcer import reference
from media_plane.node.rooms import Room, Selection, SlotChoice, Track, TrackSource
from media_plane.node.sdp.formats import MediaKind
from media_plane.node.slot_policy import TrackKey
from parley.meeting.v1 import track_pb2
from parley.sfu.v1 import media_pb2

_KINDS: Final[Mapping[int, MediaKind]] = {track_pb2.TRACK_KIND_AUDIO: "audio", track_pb2.TRACK_KIND_VIDEO: "video"}


def room_id(name: str) -> str:
    """Return the id of `rooms/{room}`."""
    return name.removeprefix("rooms/")


def tracks(messages: Iterable[track_pb2.Track]) -> list[Track]:
    """Return tracks as the agent knows them."""
    return [Track(each.mid, _KINDS[each.kind], TrackSource(each.source), each.muted) for each in messages]


def choices(messages: Iterable[media_pb2.SlotSelection]) -> list[SlotChoice]:
    """Return what slots shall show as the agent knows it."""
    return [SlotChoice(each.mid, _selection(each), each.max_height, each.priority) for each in messages]


def track_key(message: media_pb2.TrackReference) -> TrackKey:
    """Return a track's key."""
    return TrackKey(message.participant_id, message.mid)


def _selection(message: media_pb2.SlotSelection) -> Selection:
    kind = message.WhichOneof("selection")
    if kind == "source":
        return track_key(message.source)
    return "automatic" if kind == "automatic" else "empty"


def srtp_profile(name: str | None) -> str:
    """Return an SRTP profile under the name that IANA registered; empty: none yet."""
    return f"SRTP_{name}" if name else ""


def session_stats(room: Room, participant_id: str, figures: Mapping[str, Any]) -> media_pb2.SessionStats:
    """Return the engine's figures of a session in the contract's terms."""
    session = room.sessions[participant_id]
    owners = {each.session_id: each.participant_id for each in room.sessions.values()}
    return media_pb2.SessionStats(
        session_id=session.session_id,
        participant_id=participant_id,
        srtp_profile=srtp_profile(figures["srtp_profile"]),
        round_trip_time_ms=figures["round_trip_time_ms"] or 0.0,
        tracks=[
            media_pb2.TrackStats(
                mid=each["mid"],
                codec=each["codec"] or "",
                packets_received=each["packets"],
                bytes_received=each["bytes"],
                packets_lost=each["lost"],
                jitter_ms=each["jitter_ms"],
            )
            for each in figures["tracks"]
        ],
        slots=[_slot_stats(each, owners) for each in figures["slots"]],
    )


def _slot_stats(figures: Mapping[str, Any], owners: Mapping[str, str]) -> media_pb2.SlotStats:
    owner = owners.get(figures["source_session_id"] or "")
    key = TrackKey(owner, figures["source_mid"]) if owner else None
    return media_pb2.SlotStats(
        mid=figures["mid"],
        source=reference(key),
        packets_sent=figures["packets"],
        bytes_sent=figures["bytes"],
        fraction_lost=figures["fraction_lost"],
        nacks_received=figures["nacks"],
        key_frame_requests_received=figures["key_frames_requested"],
    )
