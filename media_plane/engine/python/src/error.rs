//! `EngineError`.

use parley_engine_core::engine::{CommandError, EngineStopError};
use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

static ENGINE_ERROR: PyOnceLock<Py<PyType>> = PyOnceLock::new();

/// The exception type. It is made here because the stable interface of Python 3.11 cannot derive one from a Rust class.
pub(crate) fn engine_error_type(py: Python<'_>) -> PyResult<Py<PyType>> {
    let make = || {
        let attributes = PyDict::new(py);
        attributes.set_item("reason", "invalid")?;
        let doc = c"A command that the engine refuses; `reason` says why, in a word that does not change.";
        let name = c"media_plane._engine.EngineError";
        let base = py.get_type::<PyException>();
        // `new_type` drops its own reference before Python reads the dictionary: ours must outlive the call.
        PyErr::new_type(py, name, Some(doc), Some(&base), Some(attributes.clone().into_any().unbind()))
    };
    ENGINE_ERROR.get_or_try_init(py, make).map(|kind| kind.clone_ref(py))
}

/// Turns a refusal into an exception.
pub(crate) fn engine_error(py: Python<'_>, error: CommandError) -> PyErr {
    make(py, &error.to_string(), error.reason())
}

/// Turns what was left by a stop into an exception.
pub(crate) fn stop_error(py: Python<'_>, error: &EngineStopError) -> PyErr {
    make(py, &error.to_string(), "shard_failed")
}

fn make(py: Python<'_>, message: &str, reason: &str) -> PyErr {
    let raise = || {
        let instance = engine_error_type(py)?.bind(py).call1((message,))?;
        instance.setattr("reason", reason)?;
        Ok(PyErr::from_value(instance))
    };
    raise().unwrap_or_else(|failure: PyErr| failure)
}
