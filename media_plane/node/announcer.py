"""Says on the event log what has happened, in the contract's messages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from media_plane.node.event_log import EventLog
from media_plane.node.rooms import NeededEncodings, Room, Session, SlotState, Track
from media_plane.node.slot_policy import TrackKey
from parley.meeting.v1 import explanation_pb2, track_pb2
from parley.sfu.v1 import media_pb2

_KINDS: Final = {"audio": track_pb2.TRACK_KIND_AUDIO, "video": track_pb2.TRACK_KIND_VIDEO}


def reference(key: TrackKey | None) -> media_pb2.TrackReference | None:
    """Return a track in the contract's terms."""
    return media_pb2.TrackReference(participant_id=key.participant_id, mid=key.mid) if key else None


def slot_state(slot: SlotState) -> media_pb2.SlotState:
    """Return a slot in the contract's terms, and remember that it was told."""
    slot.told = slot.shown
    return media_pb2.SlotState(mid=slot.mid, source=reference(slot.told))


def session_state(session: Session, now_unix_nano: int) -> media_pb2.SessionState:
    """Return a session in the contract's terms."""
    return media_pb2.SessionState(
        participant_id=session.participant_id,
        session_id=session.session_id,
        media_state=_media_state(session),
        silence=_silence(session, now_unix_nano),
        slots=[media_pb2.SlotState(mid=slot.mid, source=reference(slot.told)) for slot in session.slots.values()],
        tracks=[_track(track) for track in session.tracks.values()],
        encodings=[_encodings(mid, needed) for mid, needed in session.encodings.items()],
    )


def _slot_states(session: Session, slots: Iterable[SlotState]) -> media_pb2.SlotStatesChanged:
    return media_pb2.SlotStatesChanged(
        participant_id=session.participant_id,
        session_id=session.session_id,
        slots=[slot_state(slot) for slot in slots if slot.shown != slot.told],
    )


def _media_state(session: Session) -> media_pb2.MediaState.ValueType:
    if not session.is_connected:
        return media_pb2.MEDIA_STATE_CONNECTING
    return media_pb2.MEDIA_STATE_CONNECTED if session.silent_since_unix_nano is None else media_pb2.MEDIA_STATE_SILENT


def _silence(session: Session, now_unix_nano: int) -> Duration | None:
    since = session.silent_since_unix_nano
    if since is None:
        return None
    silence = Duration()
    silence.FromNanoseconds(max(0, now_unix_nano - since))  # the clock may have been set back
    return silence


def _track(track: Track) -> track_pb2.Track:
    return track_pb2.Track(
        mid=track.mid,
        kind=_KINDS[track.kind],
        source=track_pb2.TrackSource.ValueType(track.source.value),
        muted=track.muted,
    )


def _encodings(mid: str, needed: NeededEncodings) -> explanation_pb2.TrackEncodings:
    return explanation_pb2.TrackEncodings(mid=mid, rids=needed.rids, codec=needed.codec)


class Announcer:
    """Appends events to the log."""

    def __init__(self, log: EventLog, *, now_unix_nano: Callable[[], int] = time.time_ns) -> None:
        self._log = log
        self._now = now_unix_nano

    def media_state(self, room: Room, session: Session, time_unix_nano: int, *, closed: bool = False) -> None:
        """A session's transport changed: it is over, or what the session says of it."""
        changed = media_pb2.MediaStateChanged(
            participant_id=session.participant_id,
            session_id=session.session_id,
            media_state=media_pb2.MEDIA_STATE_CLOSED if closed else _media_state(session),
            silence=None if closed else _silence(session, time_unix_nano),
        )
        self._append(room, media_pb2.NodeEvent(media_state_changed=changed), session, time_unix_nano)

    def slots(self, room: Room, slots: Iterable[tuple[Session, Iterable[SlotState]]], time_unix_nano: int = 0) -> None:
        """Say in one event, of however many sessions, which of these slots show something else than was told last."""
        told = [(session, message) for session, some in slots if (message := _slot_states(session, some)).slots]
        if len(told) == 1:
            [(session, message)] = told
            self._append(room, media_pb2.NodeEvent(slot_states_changed=message), session, time_unix_nano)
        elif told:
            several = media_pb2.RoomSlotStatesChanged(sessions=[message for _, message in told])
            self._append(room, media_pb2.NodeEvent(room_slot_states_changed=several), None, time_unix_nano)

    def speaker(self, room: Room, time_unix_nano: int) -> None:
        """Somebody else speaks."""
        changed = media_pb2.SpeakerChanged(participant_id=room.speaker or "")
        self._append(room, media_pb2.NodeEvent(speaker_changed=changed), None, time_unix_nano)

    def encodings(self, room: Room, session: Session, mid: str, time_unix_nano: int = 0) -> None:
        """Other encodings of a session's track are needed than before, or another codec."""
        changed = media_pb2.EncodingsChanged(
            participant_id=session.participant_id,
            session_id=session.session_id,
            tracks=[_encodings(mid, session.encodings[mid])],
        )
        self._append(room, media_pb2.NodeEvent(encodings_changed=changed), session, time_unix_nano)

    def first_media(self, room: Room, session: Session, mid: str, *, outgoing: bool, time_unix_nano: int) -> None:
        """First media of a track or slot."""
        first = media_pb2.FirstMedia(
            participant_id=session.participant_id, session_id=session.session_id, mid=mid, outgoing=outgoing
        )
        self._append(room, media_pb2.NodeEvent(first_media=first), session, time_unix_nano)

    def room_closed(self, room: Room, reason: media_pb2.RoomCloseReason.ValueType) -> None:
        """A room closed by itself."""
        self._append(room, media_pb2.NodeEvent(room_closed=media_pb2.RoomClosed(reason=reason)), None, 0)

    def _append(self, room: Room, event: media_pb2.NodeEvent, session: Session | None, time_unix_nano: int) -> None:
        moment = Timestamp()
        moment.FromNanoseconds(time_unix_nano or self._now())
        event.time.CopyFrom(moment)
        event.room = room.name
        event.epoch = room.epoch
        event.traceparent = session.traceparent if session else ""
        self._log.append(event)
