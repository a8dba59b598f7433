"""The texts that the live state keeps of slots and encodings in hashes, and what a broken document shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from control_plane.log.event import SlotAssignment, TrackEncodings

# Between RTP stream ids, which are letters, digits, "-" and "_" (RFC 8851).
_SEPARATOR: Final = ","
_CODEC: Final = "codec="
"""Begins what names a codec among RTP stream ids, which have no such sign: a version that knows no codecs takes it for
one more stream id, which no client has."""
_ID: Final = re.compile(r'"id":"([0-9a-zA-Z-]{1,64})"')


def slot_values(slots: Sequence[SlotAssignment]) -> dict[str, str]:
    """Returns what slots carry, by their mid."""
    return {slot.mid: f"{slot.participant_id}/{slot.source_mid}" for slot in slots}


def slot(mid: str, value: str) -> SlotAssignment:
    """Returns what a slot carries."""
    participant_id, _, source_mid = value.partition("/")
    return SlotAssignment(mid, participant_id, source_mid)


def encoding_values(tracks: Sequence[TrackEncodings]) -> dict[str, str]:
    """Returns what is needed of tracks, by their mid."""
    codec = {track.mid: (_CODEC + track.codec,) if track.codec else () for track in tracks}
    return {track.mid: _SEPARATOR.join((*track.rids, *codec[track.mid])) for track in tracks}


def track_encodings(mid: str, needed: str) -> TrackEncodings:
    """Returns what is needed of a track."""
    parts = needed.split(_SEPARATOR) if needed else []
    rids = tuple(part for part in parts if not part.startswith(_CODEC))
    codec = next((part.removeprefix(_CODEC) for part in parts if part.startswith(_CODEC)), "")
    return TrackEncodings(mid, rids, codec)


def id_in(document: str) -> str:
    """Returns the id in a document that can't be read, as far as it shows one."""
    match = _ID.search(document)
    return match[1] if match else "unknown"
