#![no_main]

#[path = "../../core/tests/sim/mod.rs"]
mod sim;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sim::association::association(data));
