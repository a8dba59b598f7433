//! The binding: `media_plane._engine`, whose interface is `media_plane/_engine.pyi`. It converts and does nothing else.

#![expect(clippy::needless_pass_by_value, reason = "PyO3 hands arguments over by value")]

mod engine;
mod error;
mod events;
mod explanation;
mod params;

use std::collections::HashMap;

use pyo3::prelude::*;

/// Version of the engine, of the Rust compiler, target and whether GSO and GRO are in use on this kernel.
#[pyfunction]
fn build_info() -> HashMap<&'static str, String> {
    let (gso, gro) = parley_engine_core::net::offload_support();
    HashMap::from([
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("rustc", env!("PARLEY_RUSTC_VERSION").to_owned()),
        ("target", env!("PARLEY_TARGET").to_owned()),
        ("gso", gso.to_string()),
        ("gro", gro.to_string()),
    ])
}

/// Adds the names of the interface that only describe others: unions of words and of events.
fn add_type_aliases(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let literal = module.py().import("typing")?.getattr("Literal")?;
    module.add("MediaKind", literal.get_item(("audio", "video"))?)?;
    module.add("SessionState", literal.get_item(("connecting", "connected", "closed"))?)?;
    let reasons = ("requested", "replaced", "ice_timeout", "dtls_failed", "peer_closed", "shard_failed");
    module.add("CloseReason", literal.get_item(reasons)?)?;
    let event = module.getattr("SessionStateChanged")?;
    let others = [
        "FirstMedia",
        "SlotSourceChanged",
        "DominantSpeakerChanged",
        "TrackActivityChanged",
        "TransportActivityChanged",
        "EncodingsWanted",
        "ShardFailed",
    ];
    module.add("Event", others.iter().try_fold(event, |union, name| union.bitor(module.getattr(*name)?))?)
}

/// The compiled engine.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("EngineError", error::engine_error_type(module.py())?)?;
    module.add_class::<params::Codec>()?;
    module.add_class::<params::HeaderExtensions>()?;
    module.add_class::<params::SendTrack>()?;
    module.add_class::<params::Slot>()?;
    module.add_class::<params::DataChannels>()?;
    module.add_class::<params::SessionParameters>()?;
    module.add_class::<params::SlotRequest>()?;
    module.add_class::<events::SessionStateChanged>()?;
    module.add_class::<events::FirstMedia>()?;
    module.add_class::<events::SlotSourceChanged>()?;
    module.add_class::<events::DominantSpeakerChanged>()?;
    module.add_class::<events::TrackActivityChanged>()?;
    module.add_class::<events::TransportActivityChanged>()?;
    module.add_class::<events::EncodingsWanted>()?;
    module.add_class::<events::ShardFailed>()?;
    module.add_class::<engine::LocalTransport>()?;
    module.add_class::<engine::Engine>()?;
    module.add_function(wrap_pyfunction!(build_info, module)?)?;
    add_type_aliases(module)
}
