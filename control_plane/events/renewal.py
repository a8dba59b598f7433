"""What a participant is once their new session is open, whatever was said of them while it was being opened."""

from __future__ import annotations

from dataclasses import replace

from control_plane.application.live_ports import Renewal
from control_plane.domain.participant import Participant, ParticipantEvent, Track, advance


def renewed(before: Participant, renewal: Renewal) -> Participant:
    """Returns the participant with the new session."""
    after = replace(before, session_id=renewal.session_id, epoch=renewal.epoch, tracks=_merged(before, renewal))
    if renewal.session_id == before.session_id:
        return after
    return advance(after, ParticipantEvent.MEDIA_RENEGOTIATED)[0]


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
