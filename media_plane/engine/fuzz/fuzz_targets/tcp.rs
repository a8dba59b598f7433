#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| parley_engine_core::fuzz::tcp(data));
