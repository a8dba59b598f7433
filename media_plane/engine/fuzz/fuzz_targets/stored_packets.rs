#![no_main]

#[path = "../../core/tests/sim/mod.rs"]
mod sim;

libfuzzer_sys::fuzz_target!(|data: &[u8]| sim::stored::stored_packets(data));
