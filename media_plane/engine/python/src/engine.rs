//! `Engine` as a Python object.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use parley_engine_core::engine::{self as core, CommandError, EngineConfig, EngineStartError};
use parley_engine_core::fault::Fault;
use parley_engine_core::stats::{SessionStats, SlotStats, TrackStats};
use parley_engine_core::ufrag::RemoteCredentials;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::error::{engine_error, stop_error};
use crate::events::{close_reason, state_name, to_python};
use crate::explanation::explanation_to_python;
use crate::params::{SessionParameters, SlotRequest};

/// The node's half of a session's transport.
#[pyclass(frozen, get_all, module = "media_plane._engine")]
pub(crate) struct LocalTransport {
    ice_ufrag: String,
    ice_pwd: String,
    port: u16,
    tcp_port: Option<u16>,
}

impl From<core::LocalTransport> for LocalTransport {
    fn from(local: core::LocalTransport) -> Self {
        let core::LocalTransport { credentials, port, tcp_port } = local;
        Self { ice_ufrag: credentials.ufrag, ice_pwd: credentials.pwd, port, tcp_port }
    }
}

/// The forwarding engine.
#[pyclass(frozen, module = "media_plane._engine")]
pub(crate) struct Engine {
    engine: core::Engine,
    takes_faults: AtomicBool,
}

fn refuse<T>(py: Python<'_>, result: Result<T, CommandError>) -> PyResult<T> {
    result.map_err(|error| engine_error(py, error))
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, bind_address, ports, tcp_ports=None, pin_cores=false, audio_slots_per_room=3, max_sessions_per_shard=2000, event_capacity=65536))]
    fn new(
        bind_address: &str,
        ports: Vec<u16>,
        tcp_ports: Option<Vec<u16>>,
        pin_cores: bool,
        audio_slots_per_room: usize,
        max_sessions_per_shard: usize,
        event_capacity: usize,
    ) -> PyResult<Self> {
        let bind_address: IpAddr =
            bind_address.parse().map_err(|_| PyValueError::new_err("bind_address is an IPv4 or IPv6 address"))?;
        let config = EngineConfig {
            bind_address,
            ports,
            tcp_ports,
            pin_cores,
            audio_slots_per_room,
            max_sessions_per_shard,
            event_capacity,
        };
        Ok(Self { engine: core::Engine::new(&config)?, takes_faults: AtomicBool::new(false) })
    }

    fn start(&self, py: Python<'_>) -> PyResult<()> {
        self.engine.start().map_err(|error| match error {
            EngineStartError::Stopped => engine_error(py, CommandError::Stopped),
            EngineStartError::Thread(error) => error.into(),
        })
    }

    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.engine.stop()).map_err(|error| stop_error(py, &error))
    }

    #[getter]
    fn serving_shards(&self) -> usize {
        self.engine.serving_shards()
    }

    #[getter]
    fn abandoned_threads(&self) -> usize {
        self.engine.abandoned_threads()
    }

    fn allow_faults(&self) {
        self.takes_faults.store(true, Ordering::Relaxed);
    }

    #[pyo3(signature = (shard, fault, seconds=10.0))]
    fn inject_fault(&self, py: Python<'_>, shard: usize, fault: &str, seconds: f64) -> PyResult<()> {
        if !self.takes_faults.load(Ordering::Relaxed) {
            return refuse(py, Err(CommandError::Invalid("the engine takes no faults")));
        }
        let duration =
            Duration::try_from_secs_f64(seconds).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let fault = match fault {
            "panic" => Fault::Panic,
            "sleep" => Fault::Sleep(duration),
            "spin" => Fault::Spin(duration),
            _ => return Err(PyValueError::new_err("a fault is panic, sleep or spin")),
        };
        refuse(py, self.engine.inject_fault(shard, fault))
    }

    #[getter]
    fn ports(&self) -> Vec<u16> {
        self.engine.ports()
    }

    #[getter]
    fn tcp_ports(&self) -> Vec<u16> {
        self.engine.tcp_ports()
    }

    #[getter]
    fn fingerprint(&self) -> String {
        self.engine.fingerprint()
    }

    fn fileno(&self) -> i32 {
        self.engine.as_raw_fd()
    }

    #[pyo3(signature = (max_events=1024))]
    fn drain_events(&self, py: Python<'_>, max_events: usize) -> PyResult<Vec<Py<PyAny>>> {
        self.engine.drain_events(max_events).into_iter().map(|event| to_python(py, event)).collect()
    }

    fn open_room(&self, py: Python<'_>, room_id: &str) -> PyResult<()> {
        refuse(py, self.engine.open_room(room_id))
    }

    fn close_room(&self, py: Python<'_>, room_id: &str) -> PyResult<()> {
        refuse(py, self.engine.close_room(room_id))
    }

    fn open_session(
        &self,
        py: Python<'_>,
        room_id: &str,
        session_id: &str,
        parameters: PyRef<'_, SessionParameters>,
    ) -> PyResult<LocalTransport> {
        Ok(refuse(py, self.engine.open_session(room_id, session_id, parameters.0.clone()))?.into())
    }

    fn restart_ice(
        &self,
        py: Python<'_>,
        session_id: &str,
        ice_ufrag: String,
        ice_pwd: String,
    ) -> PyResult<LocalTransport> {
        let remote = RemoteCredentials { ufrag: ice_ufrag, pwd: ice_pwd };
        Ok(refuse(py, self.engine.restart_ice(session_id, remote))?.into())
    }

    fn change_media(&self, py: Python<'_>, session_id: &str, parameters: PyRef<'_, SessionParameters>) -> PyResult<()> {
        refuse(py, self.engine.change_media(session_id, parameters.0.clone()))
    }

    #[pyo3(signature = (session_id, reason="requested"))]
    fn close_session(&self, py: Python<'_>, session_id: &str, reason: &str) -> PyResult<()> {
        let reason = close_reason(reason).ok_or(CommandError::Invalid("unknown reason"));
        refuse(py, reason.and_then(|reason| self.engine.close_session(session_id, reason)))
    }

    fn set_track_muted(&self, py: Python<'_>, session_id: &str, mid: &str, muted: bool) -> PyResult<()> {
        refuse(py, self.engine.set_track_muted(session_id, mid, muted))
    }

    fn update_slots(&self, py: Python<'_>, session_id: &str, requests: Vec<PyRef<'_, SlotRequest>>) -> PyResult<()> {
        let requests: Vec<_> = requests.iter().map(|request| request.0.clone()).collect();
        refuse(py, self.engine.update_slots(session_id, &requests))
    }

    fn request_key_frame(&self, py: Python<'_>, session_id: &str, mid: &str) -> PyResult<()> {
        refuse(py, self.engine.request_key_frame(session_id, mid))
    }

    fn counters(&self) -> HashMap<&'static str, u64> {
        self.engine.counters().into_iter().collect()
    }

    fn session_stats<'py>(&self, py: Python<'py>, session_id: &str) -> PyResult<Bound<'py, PyDict>> {
        let stats = py.detach(|| self.engine.session_stats(session_id));
        stats_to_python(py, refuse(py, stats)?)
    }

    fn explain<'py>(&self, py: Python<'py>, session_id: &str) -> PyResult<Bound<'py, PyDict>> {
        let explanation = py.detach(|| self.engine.explain(session_id));
        explanation_to_python(py, refuse(py, explanation)?)
    }
}

fn stats_to_python(py: Python<'_>, stats: SessionStats) -> PyResult<Bound<'_, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("state", state_name(stats.state))?;
    figures.set_item("srtp_profile", stats.srtp_profile)?;
    figures.set_item("remote_address", stats.remote_address.map(|address| address.to_string()))?;
    figures.set_item("round_trip_time_ms", stats.round_trip_time_ms)?;
    let tracks = stats.tracks.into_iter().map(|track| track_to_python(py, track));
    figures.set_item("tracks", PyList::new(py, tracks.collect::<PyResult<Vec<_>>>()?)?)?;
    let slots = stats.slots.into_iter().map(|slot| slot_to_python(py, slot));
    figures.set_item("slots", PyList::new(py, slots.collect::<PyResult<Vec<_>>>()?)?)?;
    Ok(figures)
}

fn track_to_python(py: Python<'_>, track: TrackStats) -> PyResult<Bound<'_, PyDict>> {
    let figures = PyDict::new(py);
    figures.set_item("mid", track.mid)?;
    figures.set_item("packets", track.packets)?;
    figures.set_item("bytes", track.bytes)?;
    figures.set_item("lost", track.lost)?;
    figures.set_item("jitter_ms", track.jitter_ms)?;
    figures.set_item("codec", track.codec)?;
    figures.set_item("audio_level", track.audio_level)?;
    Ok(figures)
}

fn slot_to_python(py: Python<'_>, slot: SlotStats) -> PyResult<Bound<'_, PyDict>> {
    let figures = PyDict::new(py);
    let source = slot.source.as_ref();
    figures.set_item("mid", slot.mid)?;
    figures.set_item("source_session_id", source.map(|source| source.session.to_string()))?;
    figures.set_item("source_mid", source.map(|source| source.mid.to_string()))?;
    figures.set_item("packets", slot.packets)?;
    figures.set_item("bytes", slot.bytes)?;
    figures.set_item("fraction_lost", slot.fraction_lost)?;
    figures.set_item("nacks", slot.nacks)?;
    figures.set_item("key_frames_requested", slot.key_frames_requested)?;
    Ok(figures)
}
