//! `src/sender.rs` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| outgate_fuzz::sender::check(input));
