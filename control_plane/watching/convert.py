"""Between the contracts' messages about being in a meeting and the domain."""

from __future__ import annotations

from control_plane.kernel.roles import ParticipantRole
from control_plane.log import event as events
from control_plane.log.convert import participant_message
from control_plane.log.entry import Entry
from control_plane.log.view import LiveView
from control_plane.media.convert import encodings_message, slot_message
from control_plane.meetings.convert import meeting_to_proto
from control_plane.platform.grpc.enums import enum_values
from control_plane.platform.grpc.names import participant_name
from control_plane.platform.grpc.times import timestamp
from parley.signaling.v1 import event_pb2

_REASONS = enum_values(event_pb2.LeaveReason, events.LeaveReason)


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
        encodings=[encodings_message(track) for track in view.encodings],
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
            message.encodings_changed.tracks.extend(encodings_message(track) for track in tracks)
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
