//! `outgate postfix config --apply` and `--undo`, with real `postconf`, `postfix check` and `postfix reload`
//! on directories that are made for a test: what distributions install, and what hosts in use look like.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

#[path = "../doctor/host.rs"]
#[allow(
    dead_code,
    reason = "shared with the tests of doctor, which need more of it"
)]
mod host;
mod in_use;
mod mail;
mod odd;
mod options;
mod refusals;
mod site;
mod undo;
