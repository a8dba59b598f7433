"""What automatic video slots show: shared screens first, then who spoke last, then who came first.

Pure functions. Ranking is done once a room, assigning once a receiver, so that a change in a room of n participants
costs n log n and not n squared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class TrackKey(NamedTuple):
    """A track in a room: whose, and which of theirs."""

    participant_id: str
    mid: str


@dataclass(frozen=True, slots=True)
class Candidate:
    """A video track that may be shown: not muted, its sender connected.

    Attributes:
        key: The track.
        is_screen: A shared screen and not a camera.
        last_spoke: Grows with each change of speaker; the participant's latest turn, 0: has not spoken.
        joined: Grows with each participant who comes in.
    """

    key: TrackKey
    is_screen: bool
    last_spoke: int
    joined: int


def rank(candidates: Iterable[Candidate]) -> list[TrackKey]:
    """Order tracks by how much they deserve a slot, the most deserving first."""

    def order(candidate: Candidate) -> tuple[bool, int, int, str]:
        return (not candidate.is_screen, -candidate.last_spoke, candidate.joined, candidate.key.mid)

    return [candidate.key for candidate in sorted(candidates, key=order)]


def assign(
    ranking: Sequence[TrackKey],
    *,
    receiver: str,
    slots: Sequence[str],
    current: Mapping[str, TrackKey | None],
    shown_elsewhere: Collection[TrackKey] = (),
) -> dict[str, TrackKey | None]:
    """Fill a receiver's automatic slots.

    Nobody moves without need: a track that keeps its place among the chosen keeps its slot.

    Args:
        ranking: The room's tracks, the most deserving first.
        receiver: Participant who looks; never sees their own tracks.
        slots: Mids of the automatic slots in layout order.
        current: What these slots show now.
        shown_elsewhere: Tracks that the receiver has chosen for other slots.

    Returns:
        What each slot shall show; None: nothing.
    """
    chosen: dict[TrackKey, None] = {}
    for key in ranking:
        if len(chosen) == len(slots):
            break
        if key.participant_id != receiver and key not in shown_elsewhere:
            chosen[key] = None
    result: dict[str, TrackKey | None] = dict.fromkeys(slots)
    for mid in slots:
        key_now = current.get(mid)
        if key_now in chosen:
            result[mid] = key_now
            del chosen[key_now]
    waiting = iter(chosen)
    for mid in slots:
        if result[mid] is None:
            result[mid] = next(waiting, None)
    return result
