from __future__ import annotations

from dataclasses import replace

import pytest

from control_plane.joining.admission import admit
from control_plane.kernel.caller import Caller, CallerKind
from control_plane.kernel.errors import DomainError
from control_plane.kernel.roles import ParticipantRole
from control_plane.log.participant import Track, TrackKind, TrackSource
from control_plane.media.model import MediaOffer, SlotMode, SlotSelection
from control_plane.media.offers import check_offer, muted_on_entry
from control_plane.meetings.model import Meeting, MeetingSettings, MeetingState, MeetingType
from tests.support.live import HOST, TRACKS, MemoryDirectory

ACCOUNT = Caller(CallerKind.ACCOUNT, "users/other", user_id="other")
GUEST = Caller(CallerKind.GUEST, "users/guest", user_id="guest")
MEETING_GUEST = Caller(CallerKind.MEETING_GUEST, "guests/g", meeting_id="12345678901")


def meeting(state: MeetingState = MeetingState.ACTIVE, **settings: bool) -> Meeting:
    made = MemoryDirectory().add()
    return replace(made, state=state, settings=MeetingSettings(**settings))  # type: ignore[arg-type]


async def reason(caller: Caller, of: Meeting, passcode: str = "123456") -> str:
    try:
        await admit(caller, of, passcode, MemoryDirectory())
    except DomainError as error:
        return error.reason
    return "admitted"


async def test_the_host_needs_no_passcode_and_starts_the_meeting() -> None:
    admitted = await admit(HOST, meeting(MeetingState.SCHEDULED), "", MemoryDirectory())

    assert admitted.role is ParticipantRole.HOST
    assert admitted.starts


async def test_others_need_the_passcode_unless_their_token_names_the_meeting() -> None:
    assert await reason(ACCOUNT, meeting()) == "admitted"
    assert await reason(ACCOUNT, meeting(), "0") == "PASSCODE_WRONG"
    assert await reason(MEETING_GUEST, meeting(), "") == "admitted"


async def test_a_token_of_another_meeting_is_refused() -> None:
    elsewhere = replace(MEETING_GUEST, meeting_id="99999999999")

    assert await reason(elsewhere, meeting()) == "PERMISSION_DENIED"


async def test_guests_come_in_where_they_are_allowed() -> None:
    assert await reason(GUEST, meeting()) == "admitted"
    assert await reason(GUEST, meeting(guests_allowed=False)) == "GUESTS_NOT_ALLOWED"
    assert await reason(MEETING_GUEST, meeting(guests_allowed=False)) == "GUESTS_NOT_ALLOWED"
    assert await reason(ACCOUNT, meeting(guests_allowed=False)) == "admitted"


async def test_nobody_without_the_passcode_learns_anything() -> None:
    ended = meeting(MeetingState.ENDED, guests_allowed=False)

    assert await reason(GUEST, ended, "0") == "PASSCODE_WRONG"


async def test_before_the_host_others_wait_where_that_is_wanted() -> None:
    strict = meeting(MeetingState.SCHEDULED, join_before_host=False)

    assert await reason(ACCOUNT, strict) == "MEETING_NOT_STARTED"
    assert await reason(ACCOUNT, meeting(MeetingState.SCHEDULED)) == "admitted"
    assert await reason(HOST, strict) == "admitted"


async def test_an_ended_meeting_takes_nobody() -> None:
    assert await reason(HOST, meeting(MeetingState.ENDED)) == "MEETING_ENDED"
    assert await reason(ACCOUNT, meeting(MeetingState.ENDED)) == "MEETING_ENDED"


async def test_a_webinars_visitors_are_attendees() -> None:
    webinar = replace(meeting(), type=MeetingType.WEBINAR)

    assert (await admit(ACCOUNT, webinar, "123456", MemoryDirectory())).role is ParticipantRole.ATTENDEE


@pytest.mark.parametrize(
    ("offer", "field"),
    [
        (MediaOffer("x", (TRACKS[0], TRACKS[0])), "offer.tracks[1].mid"),
        (MediaOffer("x", (Track("0", TrackKind.AUDIO, TrackSource.CAMERA),)), "offer.tracks[0].source"),
        (MediaOffer("x", slots=(SlotSelection("3", SlotMode.EMPTY),) * 2), "offer.slots[1].mid"),
    ],
)
def test_what_an_offer_says_has_to_make_sense(offer: MediaOffer, field: str) -> None:
    with pytest.raises(DomainError) as refused:
        check_offer(offer, ParticipantRole.PARTICIPANT)

    assert refused.value.field_violations[0].field == field


def test_muting_on_entry_leaves_cameras_alone() -> None:
    assert [track.muted for track in muted_on_entry(TRACKS)] == [True, False]
