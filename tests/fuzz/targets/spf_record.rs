//! `src/spf_record.rs` under the fuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| outgate_fuzz::spf_record::check(input));
