"""The table of the engine's defaults says what the source says."""

import importlib.util
import sys
from pathlib import Path

_SCRIPT = Path(__file__).parents[3] / "docs" / "engine_defaults.py"
_SPEC = importlib.util.spec_from_file_location("engine_defaults", _SCRIPT)
assert _SPEC
assert _SPEC.loader
engine_defaults = importlib.util.module_from_spec(_SPEC)
sys.modules[_SPEC.name] = engine_defaults
_SPEC.loader.exec_module(engine_defaults)


def test_the_table_is_that_of_the_source() -> None:
    assert engine_defaults.PAGE.read_text() == engine_defaults.page(), "run python docs/engine_defaults.py"


def test_constants_are_read_with_unit_and_meaning() -> None:
    source = """
/// How long, and how often
/// (RFC 1).
const LONG: Micros = 40 * MILLISECOND;
pub(crate) const OFTEN: u8 = 5;

const BARE: u8 = 1;
/// A window.
const WINDOW: Duration = Duration::from_secs(15);
/// A size.
const SIZE: usize = 1_024;
#[cfg(test)]
/// Not this.
const TEST: u8 = 1;
"""
    read = [(each.name, each.value, each.meaning) for each in engine_defaults.read_defaults(source)]
    assert read == [
        ("LONG", "40 ms", "How long, and how often (RFC 1)."),
        ("OFTEN", "5", "How long, and how often (RFC 1)."),
        ("WINDOW", "15 s", "A window."),
        ("SIZE", "1,024", "A size."),
    ]
