//! `src/header_from.rs` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| outgate_fuzz::header_from::check(input));
