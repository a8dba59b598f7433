"""Events of coming in, as the messages that clients get."""

from __future__ import annotations

from control_plane.log.convert import participant_message
from control_plane.log.participant import Participant
from parley.signaling.v1 import event_pb2


def participant_joined(meeting_id: str, participant: Participant) -> event_pb2.Event:
    """Somebody came in."""
    message = participant_message(meeting_id, participant)
    return event_pb2.Event(participant_joined=event_pb2.ParticipantJoined(participant=message))
