//! The decision log in the store: what lands, what may be lost, how it is found again and forgotten.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

mod commands;
mod file;
mod losses;
mod pages;
mod sample;
#[path = "../daemon/site.rs"]
#[allow(dead_code, reason = "the daemon's own tests use the rest")]
mod site;
#[path = "../small_disk/mod.rs"]
mod small_disk;
#[path = "../agreement/smtpd.rs"]
mod smtpd;
#[path = "../daemon/submission.rs"]
#[allow(dead_code, reason = "the daemon's own tests use the rest")]
mod submission;
mod trimming;
