"""What the slots of a session carry and what is needed of its tracks, and the texts that the live state keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

# Between RTP stream ids, which are letters, digits, "-" and "_" (RFC 8851).
_SEPARATOR: Final = ","
_CODEC: Final = "codec="
"""Begins what names a codec among RTP stream ids, which have no such sign: a version that knows no codecs takes it for
one more stream id, which no client has."""


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """What a slot of a receiving participant carries.

    Attributes:
        mid: The slot's `a=mid` in its participant's offer.
        participant_id: Whose track; empty: none.
        source_mid: The `mid` of that track; empty: none.
    """

    mid: str
    participant_id: str = ""
    source_mid: str = ""


@dataclass(frozen=True, slots=True)
class TrackEncodings:
    """What is needed of a track.

    Attributes:
        mid: The track's `a=mid` in its participant's offer.
        rids: RTP stream ids (RFC 8851) of its encodings that somebody needs; none: it has one, or nobody needs any.
        codec: Name of the codec that those who watch have in common; empty: the one that the answer names first.
    """

    mid: str
    rids: tuple[str, ...] = ()
    codec: str = ""


def slot_values(slots: Sequence[SlotAssignment]) -> dict[str, str]:
    """Returns what slots carry, by their mid."""
    return {slot.mid: f"{slot.participant_id}/{slot.source_mid}" for slot in slots}


def slots_of(values: Mapping[str, str]) -> tuple[SlotAssignment, ...]:
    """Returns slots by their mid, from the texts that are kept of them."""
    return tuple(_slot(mid, value) for mid, value in sorted(values.items()))


def _slot(mid: str, value: str) -> SlotAssignment:
    participant_id, _, source_mid = value.partition("/")
    return SlotAssignment(mid, participant_id, source_mid)


def encoding_values(tracks: Sequence[TrackEncodings]) -> dict[str, str]:
    """Returns what is needed of tracks, by their mid."""
    codec = {track.mid: (_CODEC + track.codec,) if track.codec else () for track in tracks}
    return {track.mid: _SEPARATOR.join((*track.rids, *codec[track.mid])) for track in tracks}


def encodings_of(values: Mapping[str, str]) -> tuple[TrackEncodings, ...]:
    """Returns what is needed of tracks by their mid, from the texts that are kept of it."""
    return tuple(_track_encodings(mid, needed) for mid, needed in sorted(values.items()))


def _track_encodings(mid: str, needed: str) -> TrackEncodings:
    parts = needed.split(_SEPARATOR) if needed else []
    rids = tuple(part for part in parts if not part.startswith(_CODEC))
    codec = next((part.removeprefix(_CODEC) for part in parts if part.startswith(_CODEC)), "")
    return TrackEncodings(mid, rids, codec)
