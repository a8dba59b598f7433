"""The events of a meeting's log as the names and JSON that the log keeps."""

from __future__ import annotations

from typing import Final

from control_plane.kernel.records import decode, encode
from control_plane.log import event as events

__all__ = ["decode", "decode_event", "encode", "event_name"]

_KINDS: Final[dict[str, type[events.Event]]] = {
    "participant_joined": events.ParticipantJoined,
    "participant_updated": events.ParticipantUpdated,
    "participant_left": events.ParticipantLeft,
    "dominant_speaker_changed": events.DominantSpeakerChanged,
    "slots_changed": events.SlotsChanged,
    "encodings_changed": events.EncodingsChanged,
    "reaction_sent": events.ReactionSent,
    "meeting_updated": events.MeetingUpdated,
    "meeting_ended": events.MeetingEnded,
    "media_moved": events.MediaMoved,
    "passcode_guessed": events.PasscodeGuessed,
    "stream_opened": events.StreamOpened,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def event_name(event: events.Event) -> str:
    """Returns the name under which the log keeps an event of this kind."""
    return _NAMES[type(event)]


def decode_event(name: str, text: str) -> events.Event | None:
    """Returns an event of the log; None for a kind that this version does not know.

    Raises:
        UnreadableRecordError: The data are not of the form that this kind has.
    """
    kind = _KINDS.get(name)
    return None if kind is None else decode(kind, text)
