"""Events of reacting, as the messages that clients get."""

from __future__ import annotations

from control_plane.platform.grpc.names import participant_name
from parley.signaling.v1 import event_pb2


def reaction_sent(meeting_id: str, participant_id: str, emoji: str) -> event_pb2.Event:
    """Somebody reacted."""
    name = participant_name(meeting_id, participant_id)
    return event_pb2.Event(reaction_sent=event_pb2.ReactionSent(participant=name, emoji=emoji))
