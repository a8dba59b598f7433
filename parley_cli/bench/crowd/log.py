"""What one watcher was told of a meeting, and whether it is all that happened, once and in order."""

import hashlib
from array import array
from collections.abc import Iterable, Sequence

from parley.meeting.v1 import participant_pb2
from parley.signaling.v1 import event_pb2, signaling_service_pb2

_PRIVATE = frozenset({"slots_changed", "encodings_changed", "passcode_guessed"})
_CONNECTED = participant_pb2.PARTICIPANT_STATE_CONNECTED


class WatchLog:
    """Folds a snapshot and the events after it, in little memory: digests instead of messages.

    Attributes:
        events: A digest of each event that everybody is told of, in order.
        present: How many people are in the meeting by what was told.
        unconnected: Names of those among them whose media is not connected.
        gaps: Messages whose sequence number was not the one after that of the message before.
        snapshots: Snapshots that replaced what was known; 0 in a stream that was never behind.
    """

    def __init__(self, snapshot: event_pb2.Snapshot) -> None:
        self.events = array("Q")
        self.present = 0
        self.unconnected: set[str] = set()
        self.gaps = 0
        self.snapshots = 0
        self._sequence = 0
        self._begin(snapshot)

    def opened(self) -> None:
        """A new stream goes on from here: its sequence numbers begin anew."""
        self._sequence = 0

    def take(self, message: signaling_service_pb2.WatchSessionResponse) -> Sequence[event_pb2.Event]:
        """Folds a message of the stream; returns the events in it."""
        self._sequence += 1
        if message.sequence != self._sequence:
            self.gaps += 1
            self._sequence = message.sequence
        if message.HasField("snapshot"):
            self.snapshots += 1
            self._begin(message.snapshot)
        events = [message.event] if message.HasField("event") else list(message.event_batch.events)
        for event in events:
            self._apply(event)
        return events

    def faults(self, reference: Sequence[int], present: int, unconnected: Iterable[str]) -> Sequence[str]:
        """What this log lacks beside the one of somebody who was there from the beginning, in words.

        Args:
            reference: Digests of all events.
            present: How many people are in the meeting.
            unconnected: Those of them whose media is not connected.
        """
        found = []
        if self.gaps:
            found.append(f"{self.gaps} gaps in its sequence numbers")
        if self.snapshots:
            found.append(f"{self.snapshots} snapshots, since the stream was behind or broken")
        if list(self.events) != list(reference[len(reference) - len(self.events) :]):
            found.append("other events, or in another order")
        if self.present != present:
            found.append(f"{self.present} people, not {present}")
        if self.unconnected != set(unconnected):
            found.append("other people without media")
        return found

    def _begin(self, snapshot: event_pb2.Snapshot) -> None:
        self.events = array("Q")
        self.present = len(snapshot.participants)
        self.unconnected = {one.name for one in snapshot.participants if one.state != _CONNECTED}

    def _apply(self, event: event_pb2.Event) -> None:
        kind = event.WhichOneof("kind")
        if kind in _PRIVATE:
            return
        content = event.SerializeToString(deterministic=True)
        self.events.append(int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()))
        if kind == "participant_joined":
            self.present += 1
            self._note(event.participant_joined.participant)
        elif kind == "participant_updated":
            self._note(event.participant_updated.participant)
        elif kind == "participant_left":
            self.present -= 1
            self.unconnected.discard(event.participant_left.participant)

    def _note(self, participant: participant_pb2.Participant) -> None:
        if participant.state == _CONNECTED:
            self.unconnected.discard(participant.name)
        else:
            self.unconnected.add(participant.name)
