"""Types of the compiled engine module `media_plane._engine` (Rust, built by maturin).

The node talks to the engine in commands and events. A command is a plain call: it checks its arguments, pushes onto
the bounded queue of the shard that owns the room and wakes that shard; no call waits for a packet. Events come back
in batches: `Engine.fileno` becomes readable, `Engine.drain_events` returns what has happened. No packet ever crosses
here.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Self, TypeAlias, TypedDict, final

MediaKind: TypeAlias = Literal["audio", "video"]
SessionState: TypeAlias = Literal["connecting", "connected", "closed"]
LayerReason: TypeAlias = Literal["best", "viewport", "bandwidth", "sender", "policy", "switching", "codec"]
BandwidthState: TypeAlias = Literal["sufficient", "increasing", "holding", "delayed", "lossy", "probing"]
CloseReason: TypeAlias = Literal["requested", "replaced", "ice_timeout", "dtls_failed", "peer_closed", "shard_failed"]

class EngineError(Exception):
    """A command that the engine refuses; `reason` says why, in a word that does not change."""

    reason: Literal[
        "unknown_room",
        "unknown_session",
        "unknown_track",
        "room_exists",
        "session_exists",
        "too_many",
        "queue_full",
        "no_shard",
        "shard_failed",
        "invalid",
        "stopped",
    ]

@final
class Codec:
    """One payload format that both ends of a session agreed on, with this session's numbers (RFC 8866 rtpmap, fmtp)."""

    def __new__(
        cls,
        *,
        name: str,
        payload_type: int,
        clock_rate: int,
        channels: int = 1,
        rtx_payload_type: int | None = None,
        fmtp: str = "",
    ) -> Self:
        """Describe a codec.

        `name` is the encoding name of the rtpmap ("opus", "VP8", "VP9", "H264", "AV1", "red"); `fmtp` tells two
        formats of the same name apart (H.264 profile and packetization mode, VP9 profile): formats are the same when
        name and `fmtp` are.
        """

@final
class HeaderExtensions:
    """The identifiers (1 to 14, RFC 8285) this session uses for the extensions that the engine reads or writes.

    None: not agreed.
    """

    def __new__(
        cls,
        *,
        mid: int | None = None,
        rid: int | None = None,
        repaired_rid: int | None = None,
        audio_level: int | None = None,
        transport_cc: int | None = None,
        abs_send_time: int | None = None,
        dependency_descriptor: int | None = None,
        video_orientation: int | None = None,
        playout_delay: int | None = None,
        layers_allocation: int | None = None,
    ) -> Self: ...

@final
class SendTrack:
    """A track that the client sends to the node (an m-line the client marked sendonly or sendrecv)."""

    def __new__(
        cls,
        *,
        mid: str,
        kind: MediaKind,
        payload_types: Sequence[int],
        ssrcs: Sequence[int] = (),
        rtx_ssrcs: Sequence[int] = (),
        rids: Sequence[str] = (),
        nack: bool = False,
        muted: bool = False,
    ) -> Self:
        """Describe a track.

        `ssrcs` and `rtx_ssrcs` (paired by position) come from `a=ssrc` lines where the offer has them, `rids` from
        `a=simulcast`; otherwise the engine learns them from the MID and RID extensions. `nack`: lost packets may be
        asked for (RFC 4585), agreed on for all of `payload_types`.
        """

@final
class Slot:
    """A place in the client's layout.

    An m-line the client only receives on, filled by the engine with one source at a time.
    """

    def __new__(cls, *, mid: str, kind: MediaKind, ssrc: int, rtx_ssrc: int | None = None) -> Self:
        """Describe a slot; its SSRCs stand in the answer and never change during the session."""

@final
class DataChannels:
    """Data channels of a session (RFC 8841)."""

    def __new__(cls, *, participant_id: str, max_message_size: int) -> Self:
        """Describe them.

        `participant_id` (1 to 64 bytes) is whose the client's messages are, as receivers see it; `max_message_size` the
        longest message in bytes that the client takes, 0: any.
        """

@final
class SessionParameters:
    """What the client's offer and the node's answer agreed on."""

    def __new__(
        cls,
        *,
        ice_ufrag: str,
        ice_pwd: str,
        fingerprints: Sequence[tuple[str, str]],
        codecs: Sequence[Codec],
        extensions: HeaderExtensions,
        send_tracks: Sequence[SendTrack],
        slots: Sequence[Slot],
        cname: str,
        channels: DataChannels | None = None,
    ) -> Self:
        """Describe a session.

        `ice_ufrag` and `ice_pwd` are the client's (RFC 8839); `fingerprints` are (hash function, hex with colons)
        pairs of its DTLS certificate, at least one of them "sha-256"; `cname` is what the engine writes into SDES of
        its reports. `channels` None: the client has no data channels.
        """

@final
class LocalTransport:
    """The node's half of a session's transport, to be written into the answer."""

    ice_ufrag: str
    ice_pwd: str
    port: int
    tcp_port: int | None

@final
class SessionStateChanged:
    room_id: str
    session_id: str
    state: SessionState
    reason: CloseReason | None
    srtp_profile: str | None
    time_unix_nano: int

@final
class FirstMedia:
    """First RTP packet that came from a client's track (`direction` "in"), or went out to one of its slots ("out")."""

    room_id: str
    session_id: str
    mid: str
    direction: Literal["in", "out"]
    time_unix_nano: int

@final
class SlotSourceChanged:
    """From this moment the slot carries the given track.

    Both None: the slot is empty. For video it comes with the key frame.
    """

    room_id: str
    session_id: str
    mid: str
    source_session_id: str | None
    source_mid: str | None
    time_unix_nano: int

@final
class DominantSpeakerChanged:
    room_id: str
    session_id: str | None
    time_unix_nano: int

@final
class TrackActivityChanged:
    """Packets of a client's track began to arrive, or none came for two seconds."""

    room_id: str
    session_id: str
    mid: str
    active: bool
    time_unix_nano: int

@final
class TransportActivityChanged:
    """Nothing has come from a connected session's client for 7 s, or something has come again.

    Anything authentic counts: media, reports, connectivity checks, data. The session goes on; it is closed after 30 s
    without a check. `silent_since_unix_nano` says when the last of it came; None: just now.
    """

    room_id: str
    session_id: str
    silent_since_unix_nano: int | None
    time_unix_nano: int

@final
class EncodingsWanted:
    """Other encodings of a client's simulcast track are needed than before, or a track in another codec.

    At first all are needed. `rids` are those that are, in the order of the offer; the client may stop the others. What
    is needed is told at once, what is not needed after three seconds. The smallest is always among them. A track
    without simulcast has none. `codec` is the name of what all who watch have in common; empty: what the answer names
    first.
    """

    room_id: str
    session_id: str
    mid: str
    rids: list[str]
    codec: str
    time_unix_nano: int

@final
class ShardFailed:
    """A shard failed: its thread panicked, or made no turn for a second (a deadlock, a loop without an end).

    Its rooms are not open any more. For each of its sessions a `SessionStateChanged` to "closed" follows, with the
    reason "shard_failed". The shard serves again as soon as another thread has it, mostly within milliseconds, with
    other keys and on the same ports. `activity` is what the thread was doing: a kind of datagram, a command, "timers".
    """

    shard: int
    cause: Literal["panicked", "stalled"]
    activity: str
    room_ids: list[str]
    session_count: int
    time_unix_nano: int

Event: TypeAlias = (
    SessionStateChanged
    | FirstMedia
    | SlotSourceChanged
    | DominantSpeakerChanged
    | TrackActivityChanged
    | TransportActivityChanged
    | EncodingsWanted
    | ShardFailed
)

@final
class SlotRequest:
    """What a video slot shall show: a track, or (both None) nothing."""

    def __new__(
        cls,
        *,
        mid: str,
        source_session_id: str | None = None,
        source_mid: str | None = None,
        max_height: int = 0,
        priority: int = 0,
    ) -> Self:
        """`max_height` in pixels (0.

        No limit) and `priority` (higher first) steer the layer choice when bandwidth is short.
        """

class VideoLayer(TypedDict):
    """A quality of a track: an encoding of simulcast, or layers of one; measured over the last second it came."""

    rid: str
    spatial: int
    temporal: int
    width: int
    height: int
    frames_per_second: float
    bits_per_second: int

class SlotExplanation(TypedDict):
    """What a slot carries, and why it is not more.

    `best` is the best that its track has, switched off at the sender or not; `useful_height` is that of the layer that
    suffices for the layout. `reason` is None for an empty slot and for sound.
    """

    mid: str
    kind: MediaKind
    sent: VideoLayer | None
    best: VideoLayer | None
    useful_height: int
    reason: LayerReason | None
    max_height: int
    missing_bits_per_second: int
    repair_wait_ms: float

class TrackExplanation(TypedDict):
    """What a client sends on a track: the encodings that come, the smallest first, and the rids that are needed."""

    mid: str
    encodings: list[VideoLayer]
    wanted_rids: list[str]
    fraction_lost: float
    codec: str

class SessionExplanation(TypedDict):
    """What is known of a session's way, and what its slots carry; the figures of `parley.meeting.v1.MediaExplanation`.

    `bandwidth_state` None: the client gives no feedback, and the estimate means nothing.
    """

    transport: Literal["udp", "tcp"] | None
    estimated_bits_per_second: int
    bandwidth_state: BandwidthState | None
    queueing_delay_ms: float
    fraction_lost: float
    sent_bits_per_second: int
    wanted_bits_per_second: int
    round_trip_time_ms: float | None
    sound_repeated: bool
    slots: list[SlotExplanation]
    tracks: list[TrackExplanation]

@final
class Engine:
    """The forwarding engine.

    One thread, one UDP port and, if wanted, one TCP port a shard. A room lives on one shard, the one with the fewest
    sessions.
    """

    def __new__(
        cls,
        *,
        bind_address: str,
        ports: Sequence[int],
        tcp_ports: Sequence[int] | None = None,
        pin_cores: bool = False,
        audio_slots_per_room: int = 3,
        max_sessions_per_shard: int = 2000,
        event_capacity: int = 65536,
    ) -> Self:
        """Bind one UDP socket a port (0.

        Any free port) and make the DTLS certificate; raises OSError when a port is taken. `tcp_ports` are as many, for
        clients whose network lets no UDP through (RFC 6544); None: no TCP. `event_capacity` events wait as they
        happened; beyond, only the last on each topic is kept.
        """

    def start(self) -> None: ...
    def stop(self) -> None:
        """End every session (RTCP BYE, DTLS close_notify), join the shard threads; takes four seconds at most.

        Raises EngineError("shard_failed") when a shard panicked meanwhile, or did not end in time and was left behind.
        Further commands raise EngineError("stopped").
        """

    @property
    def serving_shards(self) -> int:
        """How many shards serve now; those that failed are missing until they are replaced."""

    @property
    def abandoned_threads(self) -> int:
        """Threads that hang and were replaced. They can't be ended, but get only what time the cores have to spare."""

    def allow_faults(self) -> None:
        """Let `inject_fault` work, which raises EngineError("invalid") otherwise; for tests and drills."""

    def inject_fault(self, shard: int, fault: Literal["panic", "sleep", "spin"], seconds: float = 10.0) -> None:
        """Make a shard's thread panic, sleep or spin for so long, to see what follows."""

    @property
    def ports(self) -> list[int]: ...
    @property
    def tcp_ports(self) -> list[int]: ...
    @property
    def fingerprint(self) -> str:
        """SHA-256 of the engine's DTLS certificate, upper-case hex with colons (RFC 8122)."""

    def fileno(self) -> int: ...
    def drain_events(self, max_events: int = 1024) -> list[Event]: ...
    def open_room(self, room_id: str) -> None: ...
    def close_room(self, room_id: str) -> None: ...
    def open_session(self, room_id: str, session_id: str, parameters: SessionParameters) -> LocalTransport: ...
    def restart_ice(self, session_id: str, ice_ufrag: str, ice_pwd: str) -> LocalTransport:
        """Give a session new ICE credentials (RFC 8445 section 9); its keys and streams stay.

        The former ones hold until the client nominates a path with the new ones. `ice_ufrag` and `ice_pwd` are the
        client's new ones: the engine asks each address that the client's checks come from for an answer.
        """

    def change_media(self, session_id: str, parameters: SessionParameters) -> None:
        """Change what a session sends and receives to what a later offer and its answer agreed on (RFC 3264 section 8).

        Tracks and slots that go on are not touched, nor is anybody who watches; a track in other formats or encodings
        is another one, and its viewers are told that it ended. A new slot needs SSRCs that no slot of the session had
        before, or the call is "invalid". The transport, the keys and `cname` stay, whatever `parameters` says of them.
        """

    def close_session(self, session_id: str, reason: CloseReason = "requested") -> None: ...
    def set_track_muted(self, session_id: str, mid: str, muted: bool) -> None:
        """Stop (or resume) forwarding a track.

        A muted track's packets are dropped at the node, whatever the client sends.
        """

    def update_slots(self, session_id: str, requests: Sequence[SlotRequest]) -> None:
        """Set what the named video slots show.

        Slots not named keep theirs. Audio slots belong to the engine: the loudest get them.
        """

    def request_key_frame(self, session_id: str, mid: str) -> None: ...
    def counters(self) -> Mapping[str, int]:
        """Monotonic counters of all shards since start.

        Keys: packets_received, bytes_received, packets_sent, bytes_sent, packets_lost, packets_recovered,
        nacks_received, nacks_sent, key_frame_requests_sent, key_frame_requests_received, transport_feedback_received,
        rtcp_work (units of 20 ns), layer_allocations (times a session's bandwidth was divided), retransmissions_sent,
        paced_out (times that waiting pictures of a slot were dropped), send_runs, send_calls, receive_calls,
        calls_over_limit (calls that made more datagrams than any should: a defect), cpu_nanoseconds (of the shard
        threads), sessions_opened, sessions_closed, shard_panics, shard_stalls (shards that failed,
        by cause), of data channels
        channel_messages_received, channel_messages_sent, channel_messages_dropped_rate, channel_messages_dropped_room
        (over what one sender, or all of a room, may send to everyone in it), channel_messages_dropped_slow,
        channel_messages_dropped_malformed, channels_opened, channels_refused, channels_closed_slow (reliable ones whose
        receiver fell behind), channel_associations_lost, and `dropped_<kind>`
        for each kind of refused datagram: dropped_stun, dropped_dtls, dropped_srtp_auth, dropped_srtp_replay,
        dropped_rtp, dropped_rtcp, dropped_rtcp_rate, dropped_sctp_rate (over what a session may ask for),
        dropped_late (its place in the ring belongs to a newer packet, or its stream to another), dropped_reuse (not
        sent, since its number had been used for another packet), dropped_unknown_ssrc, dropped_unknown_source,
        dropped_noise, dropped_rate, dropped_unanswered (kept back from an address that has not shown that it receives
        anything), dropped_send_buffer, dropped_send_oversized (longer than any datagram that leaves),
        dropped_tcp_connections (over a limit), dropped_tcp_silent (no valid check in time), dropped_tcp_oversized.
        """

    def session_stats(self, session_id: str) -> Mapping[str, object]:
        """Figures of one session.

        State, srtp_profile, remote_address, round_trip_time_ms, and a list each for `tracks` (mid, packets, bytes,
        lost, jitter_ms, codec, audio_level) and `slots` (mid, source_session_id, source_mid, packets, bytes,
        fraction_lost, nacks, key_frames_requested). A snapshot taken by the shard; waits at most 200 ms.
        """

    def explain(self, session_id: str) -> SessionExplanation:
        """Say why a session's pictures look as they do; waits for its shard for at most 200 ms."""

def build_info() -> Mapping[str, str]:
    """Version of the engine, of the Rust compiler, target and whether GSO and GRO are in use on this kernel."""
