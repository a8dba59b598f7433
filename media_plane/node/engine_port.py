"""What the agent needs of the engine, and how offers become its parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from media_plane._engine import (
    CloseReason,
    Codec,
    DataChannels,
    Event,
    HeaderExtensions,
    LocalTransport,
    SendTrack,
    SessionParameters,
    Slot,
    SlotRequest,
)
from media_plane.node.sdp.negotiation import Agreement

if TYPE_CHECKING:
    from media_plane._engine import SessionExplanation


class EnginePort(Protocol):
    """The commands of `media_plane._engine.Engine` that the agent uses."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the DTLS certificate."""
        ...

    def fileno(self) -> int:
        """File descriptor that is readable when events wait."""
        ...

    def drain_events(self, max_events: int = 1024) -> list[Event]:
        """Return what has happened."""
        ...

    @property
    def serving_shards(self) -> int:
        """How many shards serve."""
        ...

    @property
    def abandoned_threads(self) -> int:
        """Threads that hang and were replaced."""
        ...

    @property
    def ports(self) -> list[int]:
        """UDP port of each shard."""
        ...

    def open_room(self, room_id: str) -> None:
        """Open a room."""
        ...

    def close_room(self, room_id: str) -> None:
        """Close a room with its sessions."""
        ...

    def open_session(self, room_id: str, session_id: str, parameters: SessionParameters) -> LocalTransport:
        """Open a session."""
        ...

    def restart_ice(self, session_id: str, ice_ufrag: str, ice_pwd: str) -> LocalTransport:
        """Give a session new ICE credentials."""
        ...

    def change_media(self, session_id: str, parameters: SessionParameters) -> None:
        """Change what a session sends and receives."""
        ...

    def close_session(self, session_id: str, reason: CloseReason = "requested") -> None:
        """Close a session."""
        ...

    def set_track_muted(self, session_id: str, mid: str, muted: bool) -> None:  # noqa: FBT001 - the engine's signature
        """Stop or resume forwarding a track."""
        ...

    def update_slots(self, session_id: str, requests: Sequence[SlotRequest]) -> None:
        """Set what video slots show."""
        ...

    def request_key_frame(self, session_id: str, mid: str) -> None:
        """Ask a sender for a key frame."""
        ...

    def counters(self) -> Mapping[str, int]:
        """Monotonic counters."""
        ...

    def session_stats(self, session_id: str) -> Mapping[str, object]:
        """Figures of a session."""
        ...

    def explain(self, session_id: str) -> SessionExplanation:
        """Say why a session's pictures look as they do."""
        ...


def session_parameters(agreement: Agreement, participant_id: str) -> SessionParameters:
    """Return an agreement in the engine's terms; messages on data channels go out in the participant's name."""
    transport, offered = agreement.offer.transport, agreement.offer.channels
    channels = None
    if offered is not None:
        channels = DataChannels(participant_id=participant_id, max_message_size=offered.max_message_size)
    codecs = [
        Codec(
            name=each.name,
            payload_type=each.payload_type,
            clock_rate=each.clock_rate,
            channels=each.channels,
            rtx_payload_type=each.rtx_payload_type,
            fmtp=each.identity,
        )
        for each in agreement.formats
    ]
    tracks = [
        SendTrack(
            mid=mid,
            kind=track.media.kind,
            payload_types=[each.payload_type for each in track.media.formats],
            ssrcs=[] if track.media.ssrc is None else [track.media.ssrc],
            rtx_ssrcs=[] if track.media.rtx_ssrc is None else [track.media.rtx_ssrc],
            rids=track.media.rids,
            nack=all("nack" in each.feedback for each in track.media.formats),
            muted=track.muted,
        )
        for mid, track in agreement.tracks.items()
    ]
    slots = [
        Slot(mid=mid, kind=slot.media.kind, ssrc=slot.ssrc, rtx_ssrc=slot.rtx_ssrc)
        for mid, slot in agreement.slots.items()
    ]
    return SessionParameters(
        ice_ufrag=transport.ice_ufrag,
        ice_pwd=transport.ice_pwd,
        fingerprints=list(transport.fingerprints),
        codecs=codecs,
        extensions=HeaderExtensions(**agreement.extensions),
        send_tracks=tracks,
        slots=slots,
        cname=agreement.cname,
        channels=channels,
    )
