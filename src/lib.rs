//! outgate decides who may send through Postfix.
//!
//! Bytes become domain types at the edge ([`front`], [`config`], [`cli`]); one pure core
//! ([`decision`]) judges facts; [`engine`] is where facts, decision and log meet. ARCHITECTURE.md
//! has the map.
#![forbid(unsafe_code)]

/// The commit that this was built from, where whoever built it said so.
pub const COMMIT: Option<&str> = option_env!("OUTGATE_COMMIT");

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
