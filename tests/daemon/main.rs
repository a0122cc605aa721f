//! The daemon as a process: how it starts, what it survives, how it ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod audit;
mod backup;
mod bans;
mod control;
#[path = "../counters/mod.rs"]
mod counters;
mod crowd;
mod inherited;
mod kill;
mod last_used;
mod load;
mod quotas;
mod reload;
mod site;
#[path = "../small_disk/mod.rs"]
mod small_disk;
mod start;
mod status;
mod stop;
mod submission;
mod trouble;
mod upgrade;
