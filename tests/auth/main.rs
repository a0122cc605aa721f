//! The auth front end over real sockets: what an smtpd hears, what it costs, what is logged.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod cost;
mod dialogue;
mod memory;
mod socket;
mod throttle;
mod trouble;
#[path = "../world/mod.rs"]
mod world;
