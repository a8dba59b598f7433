"""Between the contracts' messages about media and the model."""

from __future__ import annotations

from collections.abc import Iterable

from control_plane.kernel.errors import invalid_argument
from control_plane.log.convert import tracks_from
from control_plane.log.slots import SlotAssignment, TrackEncodings
from control_plane.media.model import MediaAnswer, MediaOffer, SlotMode, SlotSelection
from control_plane.platform.grpc.names import meeting_id_of, participant_name
from parley.meeting.v1 import explanation_pb2
from parley.signaling.v1 import session_pb2, signaling_service_pb2


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


def slot_message(meeting_id: str, slot: SlotAssignment) -> session_pb2.SlotAssignment:
    """Returns what a slot carries as a message."""
    return session_pb2.SlotAssignment(
        mid=slot.mid, participant=participant_name(meeting_id, slot.participant_id), source_mid=slot.source_mid
    )


def encodings_message(track: TrackEncodings) -> explanation_pb2.TrackEncodings:
    """Returns what is needed of a track as a message."""
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
