"""A meeting as a client knows it: snapshot and events reduced to one state."""

from __future__ import annotations

from collections.abc import Iterable

from parley.meeting.v1 import participant_pb2
from parley.signaling.v1 import event_pb2, session_pb2, signaling_service_pb2


class MeetingView:
    """Applies snapshots and events in their order.

    Attributes:
        participants: Who is in the meeting, by name.
        slots: Whose track each slot carries: (participant's name, mid), by the slot's mid.
        speaker: Name of who speaks; empty: nobody.
        has_ended: Whether the meeting is over.
        moves: How often the room moved to another node.
    """

    def __init__(self) -> None:
        self.participants: dict[str, participant_pb2.Participant] = {}
        self.slots: dict[str, tuple[str, str]] = {}
        self.speaker = ""
        self.has_ended = False
        self.moves = 0

    def replace(self, snapshot: event_pb2.Snapshot) -> None:
        """Begin anew."""
        self.participants = {each.name: each for each in snapshot.participants}
        self.slots = {}
        self.assign(snapshot.slots)
        self.speaker = snapshot.dominant_speaker

    def assign(self, assignments: Iterable[session_pb2.SlotAssignment]) -> None:
        """Set what slots carry."""
        for each in assignments:
            if each.participant:
                self.slots[each.mid] = (each.participant, each.source_mid)
            else:
                self.slots.pop(each.mid, None)

    def apply(self, message: signaling_service_pb2.WatchSessionResponse) -> None:
        """Apply a message of the stream."""
        kind = message.WhichOneof("message")
        if kind == "snapshot":
            self.replace(message.snapshot)
        elif kind == "event":
            self._apply_event(message.event)
        elif kind == "event_batch":
            for event in message.event_batch.events:
                self._apply_event(event)

    def _apply_event(self, event: event_pb2.Event) -> None:
        kind = event.WhichOneof("kind")
        if kind == "participant_joined":
            self.participants[event.participant_joined.participant.name] = event.participant_joined.participant
        elif kind == "participant_updated":
            self.participants[event.participant_updated.participant.name] = event.participant_updated.participant
        elif kind == "participant_left":
            self.participants.pop(event.participant_left.participant, None)
        elif kind == "dominant_speaker_changed":
            self.speaker = event.dominant_speaker_changed.participant
        elif kind == "slots_changed":
            self.assign(event.slots_changed.slots)
        elif kind == "meeting_ended":
            self.has_ended = True
        elif kind == "media_moved":
            self.moves += 1
