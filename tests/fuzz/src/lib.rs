//! What has to hold of any bytes from a stranger, one module for each target.
//!
//! A check takes the bytes and panics where something does not hold. The fuzzer calls it (`make
//! fuzz`), and so does `tests/corpus.rs`, which includes this file, with the seeds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a check fails by panicking"
)]

pub mod auth;
pub mod config;
pub mod domain;
pub mod header_from;
pub mod header_readers;
pub mod import;
pub mod lockdown;
pub mod milter_frames;
pub mod policy;
pub mod sender;
pub mod spf_record;
pub mod spf_walk;

/// A check and the name of its target.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 12] = [
    ("auth", auth::check),
    ("config", config::check),
    ("domain", domain::check),
    ("header_from", header_from::check),
    ("header_readers", header_readers::check),
    ("import", import::check),
    ("lockdown", lockdown::check),
    ("milter_frames", milter_frames::check),
    ("policy", policy::check),
    ("sender", sender::check),
    ("spf_record", spf_record::check),
    ("spf_walk", spf_walk::check),
];

/// The first byte says where the rest is cut in two, so that the fuzzer can move the cut.
fn cut(input: &[u8]) -> (&[u8], &[u8], &[u8]) {
    let (at, whole) = match input.split_first() {
        Some((at, whole)) => (usize::from(*at).min(whole.len()), whole),
        None => (0, input),
    };
    let (before, behind) = whole.split_at(at);
    (whole, before, behind)
}
