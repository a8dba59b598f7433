#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| parley_engine_core::fuzz::redundant_audio(data));
