//! Events as Python objects.

use parley_engine_core::event::{CloseReason, Direction, Event, EventKind, SessionState};
use pyo3::prelude::*;

/// A session's transport changed state.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct SessionStateChanged {
    room_id: String,
    session_id: String,
    state: &'static str,
    reason: Option<&'static str>,
    srtp_profile: Option<&'static str>,
    time_unix_nano: u64,
}

/// The first RTP packet of a track or to a slot.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct FirstMedia {
    room_id: String,
    session_id: String,
    mid: String,
    direction: &'static str,
    time_unix_nano: u64,
}

/// A slot carries another track.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct SlotSourceChanged {
    room_id: String,
    session_id: String,
    mid: String,
    source_session_id: Option<String>,
    source_mid: Option<String>,
    time_unix_nano: u64,
}

/// Another participant speaks.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct DominantSpeakerChanged {
    room_id: String,
    session_id: Option<String>,
    time_unix_nano: u64,
}

/// Packets of a track began to arrive, or stopped.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct TrackActivityChanged {
    room_id: String,
    session_id: String,
    mid: String,
    active: bool,
    time_unix_nano: u64,
}

/// Nothing comes from a client any more, or something does again.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct TransportActivityChanged {
    room_id: String,
    session_id: String,
    silent_since_unix_nano: Option<u64>,
    time_unix_nano: u64,
}

/// Other encodings of a track are needed, or another codec.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct EncodingsWanted {
    room_id: String,
    session_id: String,
    mid: String,
    rids: Vec<String>,
    codec: String,
    time_unix_nano: u64,
}

/// A shard failed.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct ShardFailed {
    shard: usize,
    cause: &'static str,
    activity: &'static str,
    room_ids: Vec<String>,
    session_count: usize,
    time_unix_nano: u64,
}

/// The word for a state.
pub(crate) fn state_name(state: SessionState) -> &'static str {
    match state {
        SessionState::Connecting => "connecting",
        SessionState::Connected => "connected",
        SessionState::Closed => "closed",
    }
}

const CLOSE_REASONS: [(CloseReason, &str); 6] = [
    (CloseReason::Requested, "requested"),
    (CloseReason::Replaced, "replaced"),
    (CloseReason::IceTimeout, "ice_timeout"),
    (CloseReason::DtlsFailed, "dtls_failed"),
    (CloseReason::PeerClosed, "peer_closed"),
    (CloseReason::ShardFailed, "shard_failed"),
];

fn reason_name(reason: CloseReason) -> Option<&'static str> {
    CLOSE_REASONS.iter().find(|(known, _)| *known == reason).map(|(_, name)| *name)
}

/// The reason behind a word.
pub(crate) fn close_reason(name: &str) -> Option<CloseReason> {
    CLOSE_REASONS.iter().find(|(_, known)| *known == name).map(|(reason, _)| *reason)
}

/// Makes the Python object of an event.
pub(crate) fn to_python(py: Python<'_>, event: Event) -> PyResult<Py<PyAny>> {
    let time_unix_nano = event.time_unix_nano;
    Ok(match event.kind {
        EventKind::SessionState { subject, state, reason, srtp_profile } => Py::new(
            py,
            SessionStateChanged {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                state: state_name(state),
                reason: reason.and_then(reason_name),
                srtp_profile,
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::FirstMedia { subject, mid, direction } => Py::new(
            py,
            FirstMedia {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                mid: mid.to_string(),
                direction: if direction == Direction::In { "in" } else { "out" },
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::SlotSource { subject, mid, source } => Py::new(
            py,
            SlotSourceChanged {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                mid: mid.to_string(),
                source_session_id: source.as_ref().map(|source| source.session.to_string()),
                source_mid: source.map(|source| source.mid.to_string()),
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::DominantSpeaker { room, session } => Py::new(
            py,
            DominantSpeakerChanged {
                room_id: room.to_string(),
                session_id: session.map(|session| session.to_string()),
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::TrackActivity { subject, mid, active } => Py::new(
            py,
            TrackActivityChanged {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                mid: mid.to_string(),
                active,
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::TransportActivity { subject, silent_since } => Py::new(
            py,
            TransportActivityChanged {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                silent_since_unix_nano: silent_since,
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::EncodingsWanted { subject, mid, rids, codec } => Py::new(
            py,
            EncodingsWanted {
                room_id: subject.room.to_string(),
                session_id: subject.session.to_string(),
                mid: mid.to_string(),
                rids: rids.into_iter().map(String::from).collect(),
                codec: codec.map(|codec| codec.name).unwrap_or_default(),
                time_unix_nano,
            },
        )?
        .into_any(),
        EventKind::ShardFailed { shard, cause, activity, rooms, sessions } => Py::new(
            py,
            ShardFailed {
                shard,
                cause: cause.name(),
                activity,
                room_ids: rooms.iter().map(ToString::to_string).collect(),
                session_count: sessions,
                time_unix_nano,
            },
        )?
        .into_any(),
    })
}
