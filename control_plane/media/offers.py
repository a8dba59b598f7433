"""What can be known of an offer without reading its SDP."""

from __future__ import annotations

from dataclasses import replace

from control_plane.kernel.errors import invalid_argument
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import Track, TrackKind, TrackSource
from control_plane.media.errors import publish_not_allowed
from control_plane.media.model import MediaOffer, SlotMode, SlotSelection

_KINDS = {
    TrackSource.MICROPHONE: TrackKind.AUDIO,
    TrackSource.CAMERA: TrackKind.VIDEO,
    TrackSource.SCREEN: TrackKind.VIDEO,
    TrackSource.SCREEN_AUDIO: TrackKind.AUDIO,
}


def check_offer(offer: MediaOffer, role: ParticipantRole, path: str = "offer") -> None:
    """Checks what can be known of an offer without reading its SDP.

    Raises:
        DomainError: PUBLISH_NOT_ALLOWED, INVALID_ARGUMENT.
    """
    if offer.tracks and not role.may_publish:
        raise publish_not_allowed()
    check_tracks(offer.tracks, f"{path}.tracks")
    check_slots(offer.slots, f"{path}.slots")


def check_tracks(tracks: tuple[Track, ...], path: str) -> None:
    """Checks that tracks are named once, and that kind and source agree.

    Raises:
        DomainError: INVALID_ARGUMENT.
    """
    seen: set[str] = set()
    for index, track in enumerate(tracks):
        if track.mid in seen:
            raise invalid_argument(f"{path}[{index}].mid", "names a track for the second time")
        if _KINDS.get(track.source) is not track.kind:
            raise invalid_argument(f"{path}[{index}].source", f"is no source of {track.kind.value}")
        seen.add(track.mid)


def check_slots(slots: tuple[SlotSelection, ...], path: str) -> None:
    """Checks that slots are named once.

    Raises:
        DomainError: INVALID_ARGUMENT.
    """
    seen: set[str] = set()
    for index, slot in enumerate(slots):
        if slot.mid in seen:
            raise invalid_argument(f"{path}[{index}].mid", "names a slot for the second time")
        if slot.mode is SlotMode.SOURCE and not slot.participant_id:
            raise invalid_argument(f"{path}[{index}].source.participant", "is no participant of this meeting")
        seen.add(slot.mid)


def muted_on_entry(tracks: tuple[Track, ...]) -> tuple[Track, ...]:
    """Returns tracks with microphones muted."""
    return tuple(replace(t, muted=True) if t.source is TrackSource.MICROPHONE else t for t in tracks)
