"""What being in a meeting needs from outside: live state with its event log, and other parts of the control plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

from control_plane.log.participant import Participant, ParticipantEvent, Track, advance
from control_plane.log.slots import SlotAssignment


@dataclass(frozen=True, slots=True)
class Renewal:
    """A participant's new session that is open.

    Attributes:
        read: The participant as they were when it was asked for.
        begun_id: The session that was begun.
        session_id: The session it became: the same, or their present one where the offer only restarted its ICE.
        tracks: What the offer sends.
        slots: What its slots carried when it was opened.
        epoch: Fencing epoch under which it was opened.
        operation: Id of the operation; a retry has the same. Empty: it was carried out before.
    """

    read: Participant
    begun_id: str
    session_id: str
    tracks: tuple[Track, ...]
    slots: tuple[SlotAssignment, ...]
    epoch: int
    operation: str = ""


def renewed(before: Participant, renewal: Renewal) -> Participant:
    """Returns the participant with the new session."""
    after = replace(before, session_id=renewal.session_id, epoch=renewal.epoch, tracks=_merged(before, renewal))
    if renewal.session_id == before.session_id:
        return after
    return advance(after, ParticipantEvent.MEDIA_RENEGOTIATED)


def _merged(now: Participant, renewal: Renewal) -> tuple[Track, ...]:
    """Returns the offer's tracks; of one that was muted, say, while the offer was under way, that counts."""
    known = {(track.mid, track.kind): track for track in now.tracks}
    was = {(track.mid, track.kind): track for track in renewal.read.tracks}

    def merged(offered: Track) -> Track:
        name = (offered.mid, offered.kind)
        track = known.get(name)
        if track is None:
            return offered
        if track == was.get(name):
            return replace(track, source=offered.source, muted=offered.muted)
        return track

    return tuple(merged(track) for track in renewal.tracks)
