"""Participants and their tracks as messages."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from control_plane.kernel.look_alikes import skeleton
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import Participant, ParticipantState, Track, TrackKind, TrackSource
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.names import participant_name
from control_plane.platform.grpc.times import timestamp
from parley.meeting.v1 import participant_pb2, track_pb2

_ROLES = enum_values(participant_pb2.ParticipantRole, ParticipantRole)
_STATES = enum_values(participant_pb2.ParticipantState, ParticipantState)
_KINDS = enum_values(track_pb2.TrackKind, TrackKind)
_SOURCES = enum_values(track_pb2.TrackSource, TrackSource)


_KIND_OF = {value: kind for kind, value in _KINDS.items()}
_SOURCE_OF = {value: source for source, value in _SOURCES.items()}


def track_from(message: track_pb2.Track) -> Track:
    """Returns a track. Of clients the contract's rules take no unknown values; those of a newer node stay unknown."""
    kind = _KIND_OF.get(message.kind, TrackKind.UNKNOWN)
    return Track(message.mid, kind, _SOURCE_OF.get(message.source, TrackSource.UNKNOWN), message.muted)


def tracks_from(messages: Iterable[track_pb2.Track]) -> tuple[Track, ...]:
    """Returns tracks."""
    return tuple(track_from(message) for message in messages)


def track_message(track: Track) -> track_pb2.Track:
    """Returns a track as a message."""
    return track_pb2.Track(mid=track.mid, kind=_KINDS[track.kind], source=_SOURCES[track.source], muted=track.muted)


@functools.lru_cache(maxsize=10_000)
def participant_message(meeting_id: str, participant: Participant) -> participant_pb2.Participant:
    """Returns a participant as everyone sees them. The message is shared: put it into others, don't change it."""
    return participant_pb2.Participant(
        name=participant_name(meeting_id, participant.id),
        display_name=participant.display_name,
        name_skeleton=skeleton(participant.display_name),
        role=_ROLES[participant.role],
        state=_STATES[participant.state],
        user=f"users/{participant.user_id}" if participant.user_id else "",
        join_time=timestamp(participant.join_time),
        tracks=[track_message(track) for track in participant.tracks],
    )
