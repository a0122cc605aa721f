//! outgate decides who may send through Postfix.
//!
//! Bytes become domain types at the edge ([`front`], [`config`], [`cli`]); one pure core
//! ([`decision`]) judges facts; [`engine`] is where facts, decision and log meet. ARCHITECTURE.md
//! has the map.
#![forbid(unsafe_code)]

/// The release, from Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit that this was built from, by its first digits; `-modified` behind it when the sources were not
/// those of the commit. `None`: whoever built it could not know (build.rs).
pub const COMMIT: Option<&str> = match option_env!("OUTGATE_COMMIT") {
    Some(commit) if !commit.is_empty() => Some(commit),
    Some(_) | None => None,
};

/// What `outgate --version` says behind the name: `0.1.0 (2c5ad08f1234 2026-11-25)`.
pub fn version() -> String {
    match (COMMIT, option_env!("OUTGATE_COMMIT_DATE")) {
        (Some(commit), Some(date)) => format!("{VERSION} ({commit} {date})"),
        (Some(commit), None) => format!("{VERSION} ({commit})"),
        (None, _) => VERSION.to_owned(),
    }
}

pub mod admin;
pub mod answers;
pub mod auth;
pub mod calendar;
pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod decision;
pub mod directory;
pub mod dns;
pub mod doctor;
pub mod engine;
pub mod front;
pub mod journal;
pub mod manage;
pub mod metrics;
pub mod model;
pub mod owner;
pub mod quotas;
pub mod recent;
pub mod socket;
pub mod spf;
pub mod standing;
pub mod standings;
pub mod store;
pub mod telemetry;
pub mod transactions;
pub mod uses;
pub mod wire;
