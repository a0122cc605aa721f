//! What every store must do, asked of each store; and what can happen to a database file.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

mod backup;
mod conformance;
mod file;
mod kill;
mod ledger;
mod migration;
mod properties;
mod sample;
#[path = "../small_disk/mod.rs"]
mod small_disk;
mod uses;
