//! Explanations as Python objects.

use std::time::Duration;

use parley_engine_core::bandwidth::BandwidthState;
use parley_engine_core::clock::Micros;
use parley_engine_core::explanation::{LayerReason, SessionExplanation, SlotExplanation, TrackExplanation, VideoLayer};
use parley_engine_core::outbox::Transport;
use parley_engine_core::params::MediaKind;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

/// Makes the Python object of an explanation.
pub(crate) fn explanation_to_python(py: Python<'_>, explanation: SessionExplanation) -> PyResult<Bound<'_, PyDict>> {
    let object = PyDict::new(py);
    let bandwidth = explanation.bandwidth;
    object.set_item("transport", explanation.transport.map(transport_name))?;
    object.set_item("estimated_bits_per_second", bandwidth.bits_per_second)?;
    object.set_item("bandwidth_state", bandwidth_name(bandwidth.state))?;
    object.set_item("queueing_delay_ms", milliseconds(bandwidth.queueing_delay))?;
    object.set_item("fraction_lost", bandwidth.fraction_lost)?;
    object.set_item("sent_bits_per_second", explanation.sent_bits_per_second)?;
    object.set_item("wanted_bits_per_second", explanation.wanted_bits_per_second)?;
    object.set_item("round_trip_time_ms", explanation.round_trip_time_ms)?;
    object.set_item("sound_repeated", explanation.sound_repeated)?;
    let slots = explanation.slots.into_iter().map(|slot| slot_to_python(py, slot));
    object.set_item("slots", PyList::new(py, slots.collect::<PyResult<Vec<_>>>()?)?)?;
    let tracks = explanation.tracks.into_iter().map(|track| track_to_python(py, track));
    object.set_item("tracks", PyList::new(py, tracks.collect::<PyResult<Vec<_>>>()?)?)?;
    Ok(object)
}

fn milliseconds(time: Micros) -> f64 {
    Duration::from_micros(time).as_secs_f64() * 1_000.0
}

fn transport_name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp(_) => "tcp",
    }
}

fn bandwidth_name(state: BandwidthState) -> Option<&'static str> {
    match state {
        BandwidthState::Unknown => None,
        BandwidthState::Sufficient => Some("sufficient"),
        BandwidthState::Increasing => Some("increasing"),
        BandwidthState::Holding => Some("holding"),
        BandwidthState::Delayed => Some("delayed"),
        BandwidthState::Lossy => Some("lossy"),
        BandwidthState::Probing => Some("probing"),
    }
}

fn reason_name(reason: LayerReason) -> Option<&'static str> {
    match reason {
        LayerReason::None => None,
        LayerReason::Best => Some("best"),
        LayerReason::Viewport => Some("viewport"),
        LayerReason::Bandwidth => Some("bandwidth"),
        LayerReason::Sender => Some("sender"),
        LayerReason::Policy => Some("policy"),
        LayerReason::Switching => Some("switching"),
        LayerReason::Codec => Some("codec"),
    }
}

fn layer_to_python(py: Python<'_>, layer: VideoLayer) -> PyResult<Bound<'_, PyDict>> {
    let object = PyDict::new(py);
    object.set_item("rid", layer.rid)?;
    object.set_item("spatial", layer.spatial)?;
    object.set_item("temporal", layer.temporal)?;
    object.set_item("width", layer.width)?;
    object.set_item("height", layer.height)?;
    object.set_item("frames_per_second", layer.frames_per_second)?;
    object.set_item("bits_per_second", layer.bits_per_second)?;
    Ok(object)
}

fn slot_to_python(py: Python<'_>, slot: SlotExplanation) -> PyResult<Bound<'_, PyDict>> {
    let object = PyDict::new(py);
    object.set_item("mid", slot.mid)?;
    object.set_item("kind", if slot.kind == MediaKind::Audio { "audio" } else { "video" })?;
    object.set_item("sent", slot.sent.map(|layer| layer_to_python(py, layer)).transpose()?)?;
    object.set_item("best", slot.best.map(|layer| layer_to_python(py, layer)).transpose()?)?;
    object.set_item("useful_height", slot.useful_height)?;
    object.set_item("reason", reason_name(slot.reason))?;
    object.set_item("max_height", slot.max_height)?;
    object.set_item("missing_bits_per_second", slot.missing_bits_per_second)?;
    object.set_item("repair_wait_ms", milliseconds(slot.repair_wait))?;
    Ok(object)
}

fn track_to_python(py: Python<'_>, track: TrackExplanation) -> PyResult<Bound<'_, PyDict>> {
    let object = PyDict::new(py);
    object.set_item("mid", track.mid)?;
    let encodings = track.encodings.into_iter().map(|layer| layer_to_python(py, layer));
    object.set_item("encodings", PyList::new(py, encodings.collect::<PyResult<Vec<_>>>()?)?)?;
    object.set_item("wanted_rids", track.wanted)?;
    object.set_item("fraction_lost", track.fraction_lost)?;
    object.set_item("codec", track.codec)?;
    Ok(object)
}
