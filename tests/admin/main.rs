//! The admin listener of a daemon as a process, over real sockets: what it shows, and what it survives.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod counts;
mod documents;
mod exposition;
mod health;
mod hostile;
#[path = "../daemon/site.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod site;
#[path = "../daemon/submission.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod submission;
mod web;
