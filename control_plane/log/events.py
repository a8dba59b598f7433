"""Events of a participant's stay, as the messages that clients get. The commit sets their time."""

from __future__ import annotations

from typing import Final

from control_plane.log.convert import participant_message
from control_plane.log.participant import LeaveReason, Participant
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.names import participant_name
from parley.signaling.v1 import event_pb2

_REASONS: Final = enum_values(event_pb2.LeaveReason, LeaveReason)


def participant_updated(meeting_id: str, participant: Participant) -> event_pb2.Event:
    """Somebody's name, role, state or tracks changed."""
    message = participant_message(meeting_id, participant)
    return event_pb2.Event(participant_updated=event_pb2.ParticipantUpdated(participant=message))


def participant_left(meeting_id: str, participant_id: str, reason: LeaveReason) -> event_pb2.Event:
    """Somebody left."""
    name = participant_name(meeting_id, participant_id)
    return event_pb2.Event(participant_left=event_pb2.ParticipantLeft(participant=name, reason=_REASONS[reason]))


def dominant_speaker_changed(meeting_id: str, participant_id: str) -> event_pb2.Event:
    """Somebody else speaks now; empty: nobody."""
    name = participant_name(meeting_id, participant_id)
    return event_pb2.Event(dominant_speaker_changed=event_pb2.DominantSpeakerChanged(participant=name))
