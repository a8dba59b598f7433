"""Who may come into a meeting, and as what."""

from __future__ import annotations

from dataclasses import dataclass, replace

from control_plane.application.callers import Caller, CallerKind
from control_plane.application.live_ports import MeetingDirectory
from control_plane.domain.errors import invalid_argument, permission_denied
from control_plane.domain.identity_errors import guests_not_allowed
from control_plane.domain.media import MediaOffer, SlotMode, SlotSelection
from control_plane.domain.meeting import Meeting, MeetingState, MeetingType
from control_plane.domain.meeting_errors import meeting_ended, meeting_not_started
from control_plane.domain.participant import ParticipantRole, Track, TrackKind, TrackSource
from control_plane.domain.signaling_errors import publish_not_allowed

_KINDS = {
    TrackSource.MICROPHONE: TrackKind.AUDIO,
    TrackSource.CAMERA: TrackKind.VIDEO,
    TrackSource.SCREEN: TrackKind.VIDEO,
    TrackSource.SCREEN_AUDIO: TrackKind.AUDIO,
}


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who may come in.

    Attributes:
        role: What they may do.
        starts: Whether their coming begins the meeting.
    """

    role: ParticipantRole
    starts: bool


async def admit(caller: Caller, meeting: Meeting, passcode: str, directory: MeetingDirectory) -> Admitted:
    """Returns as what somebody may come in.

    Raises:
        DomainError: PERMISSION_DENIED, GUESTS_NOT_ALLOWED, PASSCODE_WRONG, PASSCODE_ATTEMPTS_EXCEEDED, MEETING_ENDED,
            MEETING_NOT_STARTED.
    """
    is_host = bool(caller.user_id) and caller.user_id == meeting.host_id
    if caller.meeting_id and caller.meeting_id != meeting.number:
        raise permission_denied("This token is good for another meeting.")
    if not is_host:
        await _check_visitor(caller, meeting, passcode, directory)
    if meeting.state is MeetingState.ENDED:
        raise meeting_ended()
    if not is_host and meeting.state is MeetingState.SCHEDULED and not meeting.settings.join_before_host:
        raise meeting_not_started()
    return Admitted(_role(meeting, is_host=is_host), starts=is_host and meeting.state is MeetingState.SCHEDULED)


async def _check_visitor(caller: Caller, meeting: Meeting, passcode: str, directory: MeetingDirectory) -> None:
    # Passcode first: to somebody without it even whether guests are welcome is nobody's business.
    if not caller.meeting_id:
        await directory.check_passcode(meeting, passcode, caller.address)
    if caller.kind is not CallerKind.ACCOUNT and not meeting.settings.guests_allowed:
        raise guests_not_allowed()


def _role(meeting: Meeting, *, is_host: bool) -> ParticipantRole:
    if is_host:
        return ParticipantRole.HOST
    # In a type of meeting that only a newer version knows, nobody is given more than the least.
    listens = meeting.type in {MeetingType.WEBINAR, MeetingType.UNKNOWN}
    return ParticipantRole.ATTENDEE if listens else ParticipantRole.PARTICIPANT


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
