//! The command line, by running the program on directories of its own with a real SQLite store.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test that meets what it does not expect has failed; a table is as long as its cases"
)]

mod account;
mod audit;
mod backup;
mod check;
mod daemon;
mod domain;
mod explain;
mod export;
mod import;
#[path = "../nameserver/mod.rs"]
mod nameserver;
mod ownership;
mod printing;
mod quota;
mod site;
mod usage;
mod user;
