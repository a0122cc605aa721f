//! `outgate doctor` on real configurations: Postfix's own `postconf` on directories made from the
//! distribution's stock files and from what `outgate postfix config` prints, beside a real daemon.
//!
//! Good hosts have no finding. Each broken one has one fault, hears of that one alone, and is well again
//! after the commands of the fix.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

mod documented;
mod good;
mod host;
mod machine;
#[path = "../nameserver/mod.rs"]
mod nameserver;
mod people;
mod wiring;
