"""Between the contracts' messages about being in a meeting and the domain."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import datetime

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from control_plane.application.live_ports import Entry, LiveView
from control_plane.domain import event as events
from control_plane.domain.errors import invalid_argument
from control_plane.domain.look_alikes import skeleton
from control_plane.domain.media import MediaAnswer, MediaOffer, SlotMode, SlotSelection
from control_plane.domain.participant import (
    Participant,
    ParticipantRole,
    ParticipantState,
    Track,
    TrackKind,
    TrackSource,
)
from control_plane.rpc.convert_meeting import meeting_to_proto
from control_plane.rpc.enums import enum_values
from parley.meeting.v1 import explanation_pb2, participant_pb2, track_pb2
from parley.signaling.v1 import event_pb2, session_pb2, signaling_service_pb2

_ROLES = enum_values(participant_pb2.ParticipantRole, ParticipantRole)
_STATES = enum_values(participant_pb2.ParticipantState, ParticipantState)
_KINDS = enum_values(track_pb2.TrackKind, TrackKind)
_SOURCES = enum_values(track_pb2.TrackSource, TrackSource)
_REASONS = enum_values(event_pb2.LeaveReason, events.LeaveReason)
_KIND_OF = {value: kind for kind, value in _KINDS.items()}
_SOURCE_OF = {value: source for source, value in _SOURCES.items()}


def timestamp(time: datetime) -> Timestamp:
    """Returns a time as a message."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def duration(seconds: float) -> Duration:
    """Returns seconds as a message."""
    message = Duration()
    message.FromMilliseconds(round(seconds * 1000))
    return message


def participant_name(meeting_id: str, participant_id: str) -> str:
    """Returns a participant's resource name; empty for nobody."""
    return f"meetings/{meeting_id}/participants/{participant_id}" if participant_id else ""


def meeting_id_of(name: str) -> str:
    """Returns the number in `meetings/{meeting}` or in a name below it."""
    return name.split("/")[1]


# ---------------------------------------------------------------- what clients say


def track_from(message: track_pb2.Track) -> Track:
    """Returns a track. Of clients the contract's rules take no unknown values; those of a newer node stay unknown."""
    kind = _KIND_OF.get(message.kind, TrackKind.UNKNOWN)
    return Track(message.mid, kind, _SOURCE_OF.get(message.source, TrackSource.UNKNOWN), message.muted)


def tracks_from(messages: Iterable[track_pb2.Track]) -> tuple[Track, ...]:
    """Returns tracks."""
    return tuple(track_from(message) for message in messages)


def slots_from(messages: Iterable[session_pb2.SlotRequest], meeting_id: str, path: str) -> tuple[SlotSelection, ...]:
    """Returns what slots shall show.

    Raises:
        DomainError: INVALID_ARGUMENT: a source is in another meeting.
    """
    return tuple(_slot_from(message, meeting_id, f"{path}[{index}]") for index, message in enumerate(messages))


def _slot_from(message: session_pb2.SlotRequest, meeting_id: str, path: str) -> SlotSelection:
    mode = SlotMode(message.WhichOneof("selection"))
    participant_id = source_mid = ""
    if mode is SlotMode.SOURCE:
        if meeting_id_of(message.source.participant) != meeting_id:
            violated = f"{path}.source.participant"
            raise invalid_argument(violated, "is in another meeting")
        participant_id = message.source.participant.rsplit("/", 1)[1]
        source_mid = message.source.mid
    return SlotSelection(message.mid, mode, participant_id, source_mid, message.max_height, message.priority)


def offer_from(message: signaling_service_pb2.MediaOffer, meeting_id: str) -> MediaOffer:
    """Returns an offer.

    Raises:
        DomainError: INVALID_ARGUMENT.
    """
    return MediaOffer(message.sdp, tracks_from(message.tracks), slots_from(message.slots, meeting_id, "offer.slots"))


# ---------------------------------------------------------------- what clients are told


def track_message(track: Track) -> track_pb2.Track:
    """Returns a track as a message."""
    return track_pb2.Track(mid=track.mid, kind=_KINDS[track.kind], source=_SOURCES[track.source], muted=track.muted)


@functools.lru_cache(maxsize=10_000)
def participant_message(meeting_id: str, participant: Participant) -> participant_pb2.Participant:
    """Returns a participant as everyone sees them. The message is shared: put it into others, don't change it."""
    return participant_pb2.Participant(
        name=participant_name(meeting_id, participant.id),
        display_name=participant.display_name,
        name_skeleton=skeleton(participant.display_name),
        role=_ROLES[participant.role],
        state=_STATES[participant.state],
        user=f"users/{participant.user_id}" if participant.user_id else "",
        join_time=timestamp(participant.join_time),
        tracks=[track_message(track) for track in participant.tracks],
    )


def slot_message(meeting_id: str, slot: events.SlotAssignment) -> session_pb2.SlotAssignment:
    """Returns what a slot carries as a message."""
    return session_pb2.SlotAssignment(
        mid=slot.mid, participant=participant_name(meeting_id, slot.participant_id), source_mid=slot.source_mid
    )


def _encodings_message(track: events.TrackEncodings) -> explanation_pb2.TrackEncodings:
    return explanation_pb2.TrackEncodings(mid=track.mid, rids=track.rids, codec=track.codec)


def answer_message(meeting_id: str, answer: MediaAnswer) -> signaling_service_pb2.MediaAnswer:
    """Returns an answer as a message."""
    return signaling_service_pb2.MediaAnswer(
        sdp=answer.sdp,
        slots=[slot_message(meeting_id, slot) for slot in answer.slots],
        ice_servers=[
            session_pb2.IceServer(uris=server.uris, username=server.username, credential=server.credential)
            for server in answer.ice_servers
        ],
        epoch=answer.epoch,
    )


def snapshot_message(view: LiveView, participant_id: str, public_url: str) -> event_pb2.Snapshot:
    """Returns a meeting's state as one participant sees it; the host sees passcode and link too."""
    meeting, watcher = view.meeting, view.participant(participant_id)
    is_host = watcher is not None and watcher.role is ParticipantRole.HOST
    return event_pb2.Snapshot(
        meeting=None
        if meeting is None
        else meeting_to_proto(
            meeting,
            participant_count=len(view.participants),
            join_uri=meeting.join_uri(public_url),
            for_host=is_host,
        ),
        participants=[participant_message(view.meeting_id, one) for one in view.participants],
        slots=[slot_message(view.meeting_id, slot) for slot in view.slots],
        encodings=[_encodings_message(track) for track in view.encodings],
        dominant_speaker=participant_name(view.meeting_id, view.dominant_speaker),
    )


def event_message(meeting_id: str, entry: Entry) -> event_pb2.Event:
    """Returns an event as a message.

    Raises:
        TypeError: It is none that clients are told of.
    """
    message = event_pb2.Event(time=timestamp(entry.time))
    event = entry.event
    match event:
        case events.ParticipantJoined(participant):
            message.participant_joined.participant.CopyFrom(participant_message(meeting_id, participant))
        case events.ParticipantUpdated(participant):
            message.participant_updated.participant.CopyFrom(participant_message(meeting_id, participant))
        case events.ParticipantLeft(participant_id, reason):
            message.participant_left.participant = participant_name(meeting_id, participant_id)
            message.participant_left.reason = _REASONS[reason]
        case events.DominantSpeakerChanged(participant_id):
            message.dominant_speaker_changed.participant = participant_name(meeting_id, participant_id)
        case events.SlotsChanged(slots):
            message.slots_changed.slots.extend(slot_message(meeting_id, slot) for slot in slots)
        case events.EncodingsChanged(tracks):
            message.encodings_changed.tracks.extend(_encodings_message(track) for track in tracks)
        case _:
            _rare_event(meeting_id, event, message)
    return message


def _rare_event(meeting_id: str, event: events.Event | None, message: event_pb2.Event) -> None:
    match event:
        case events.ReactionSent(participant_id, emoji):
            message.reaction_sent.participant = participant_name(meeting_id, participant_id)
            message.reaction_sent.emoji = emoji
        case events.MeetingUpdated(meeting):
            message.meeting_updated.meeting.CopyFrom(meeting_to_proto(meeting))
        case events.MeetingEnded(participant_id):
            message.meeting_ended.participant = participant_name(meeting_id, participant_id)
        case events.MediaMoved(epoch):
            message.media_moved.epoch = epoch
        case events.PasscodeGuessed(failures):
            message.passcode_guessed.failure_count = failures
        case _:
            text = f"clients are told of no {type(event).__name__}"
            raise TypeError(text)
