//! Parameters as Python objects.

use parley_engine_core::params as core;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

fn media_kind(name: &str) -> PyResult<core::MediaKind> {
    match name {
        "audio" => Ok(core::MediaKind::Audio),
        "video" => Ok(core::MediaKind::Video),
        other => Err(PyValueError::new_err(format!("kind is \"audio\" or \"video\", not {other:?}"))),
    }
}

/// One payload format.
#[pyclass(frozen, module = "media_plane._engine")]
#[derive(Clone)]
pub(crate) struct Codec(core::Codec);

#[pymethods]
impl Codec {
    #[new]
    #[pyo3(signature = (*, name, payload_type, clock_rate, channels=1, rtx_payload_type=None, fmtp=""))]
    fn new(
        name: String,
        payload_type: u8,
        clock_rate: u32,
        channels: u8,
        rtx_payload_type: Option<u8>,
        fmtp: &str,
    ) -> Self {
        Self(core::Codec { name, payload_type, clock_rate, channels, rtx_payload_type, fmtp: fmtp.to_owned() })
    }
}

/// Identifiers of header extensions.
#[pyclass(frozen, module = "media_plane._engine")]
#[derive(Clone)]
pub(crate) struct HeaderExtensions(core::HeaderExtensions);

#[pymethods]
impl HeaderExtensions {
    #[new]
    #[pyo3(signature = (*, mid=None, rid=None, repaired_rid=None, audio_level=None, transport_cc=None, abs_send_time=None, dependency_descriptor=None, video_orientation=None, playout_delay=None, layers_allocation=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python interface names each extension")]
    fn new(
        mid: Option<u8>,
        rid: Option<u8>,
        repaired_rid: Option<u8>,
        audio_level: Option<u8>,
        transport_cc: Option<u8>,
        abs_send_time: Option<u8>,
        dependency_descriptor: Option<u8>,
        video_orientation: Option<u8>,
        playout_delay: Option<u8>,
        layers_allocation: Option<u8>,
    ) -> Self {
        Self(core::HeaderExtensions {
            mid,
            rid,
            repaired_rid,
            audio_level,
            transport_cc,
            abs_send_time,
            dependency_descriptor,
            video_orientation,
            playout_delay,
            layers_allocation,
        })
    }
}

/// A track that the client sends.
#[pyclass(frozen, module = "media_plane._engine")]
#[derive(Clone)]
pub(crate) struct SendTrack(core::SendTrack);

#[pymethods]
impl SendTrack {
    #[new]
    #[pyo3(
        signature = (*, mid, kind, payload_types, ssrcs=Vec::new(), rtx_ssrcs=Vec::new(), rids=Vec::new(), nack=false, muted=false),
        text_signature = "(*, mid, kind, payload_types, ssrcs=(), rtx_ssrcs=(), rids=(), nack=False, muted=False)"
    )]
    #[expect(clippy::too_many_arguments, reason = "the Python interface names each of them")]
    fn new(
        mid: &str,
        kind: &str,
        payload_types: Vec<u8>,
        ssrcs: Vec<u32>,
        rtx_ssrcs: Vec<u32>,
        rids: Vec<String>,
        nack: bool,
        muted: bool,
    ) -> PyResult<Self> {
        let kind = media_kind(kind)?;
        Ok(Self(core::SendTrack { mid: mid.into(), kind, payload_types, ssrcs, rtx_ssrcs, rids, nack, muted }))
    }
}

/// A place in the client's layout.
#[pyclass(frozen, module = "media_plane._engine")]
#[derive(Clone)]
pub(crate) struct Slot(core::SlotSpec);

#[pymethods]
impl Slot {
    #[new]
    #[pyo3(signature = (*, mid, kind, ssrc, rtx_ssrc=None))]
    fn new(mid: &str, kind: &str, ssrc: u32, rtx_ssrc: Option<u32>) -> PyResult<Self> {
        Ok(Self(core::SlotSpec { mid: mid.into(), kind: media_kind(kind)?, ssrc, rtx_ssrc }))
    }
}

/// Data channels.
#[pyclass(frozen, module = "media_plane._engine")]
pub(crate) struct DataChannels(core::ChannelParameters);

#[pymethods]
impl DataChannels {
    #[new]
    #[pyo3(signature = (*, participant_id, max_message_size))]
    fn new(participant_id: &str, max_message_size: u32) -> Self {
        Self(core::ChannelParameters { participant_id: participant_id.into(), max_message_size })
    }
}

/// What offer and answer agreed on.
#[pyclass(frozen, module = "media_plane._engine")]
pub(crate) struct SessionParameters(pub(crate) core::SessionParameters);

#[pymethods]
impl SessionParameters {
    #[new]
    #[pyo3(signature = (*, ice_ufrag, ice_pwd, fingerprints, codecs, extensions, send_tracks, slots, cname, channels=None))]
    #[expect(clippy::too_many_arguments, reason = "the Python interface names each part")]
    fn new(
        ice_ufrag: String,
        ice_pwd: String,
        fingerprints: Vec<(String, String)>,
        codecs: Vec<PyRef<'_, Codec>>,
        extensions: PyRef<'_, HeaderExtensions>,
        send_tracks: Vec<PyRef<'_, SendTrack>>,
        slots: Vec<PyRef<'_, Slot>>,
        cname: String,
        channels: Option<PyRef<'_, DataChannels>>,
    ) -> Self {
        Self(core::SessionParameters {
            ice_ufrag,
            ice_pwd,
            fingerprints,
            codecs: codecs.iter().map(|codec| codec.0.clone()).collect(),
            extensions: extensions.0,
            send_tracks: send_tracks.iter().map(|track| track.0.clone()).collect(),
            slots: slots.iter().map(|slot| slot.0.clone()).collect(),
            cname,
            channels: channels.map(|channels| channels.0.clone()),
        })
    }
}

/// What a video slot shall show.
#[pyclass(frozen, module = "media_plane._engine")]
pub(crate) struct SlotRequest(pub(crate) parley_engine_core::engine::NamedSlotRequest);

#[pymethods]
impl SlotRequest {
    #[new]
    #[pyo3(signature = (*, mid, source_session_id=None, source_mid=None, max_height=0, priority=0))]
    fn new(
        mid: String,
        source_session_id: Option<String>,
        source_mid: Option<String>,
        max_height: u32,
        priority: i32,
    ) -> PyResult<Self> {
        let source = match (source_session_id, source_mid) {
            (Some(session), Some(mid)) => Some((session, mid)),
            (None, None) => None,
            _ => return Err(PyValueError::new_err("a source has both a session and a mid")),
        };
        Ok(Self(parley_engine_core::engine::NamedSlotRequest { mid, source, max_height, priority }))
    }
}
