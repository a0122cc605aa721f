//! The daemon as a process: how it starts, what it survives, how it ends.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test")]

mod control;
mod crowd;
mod inherited;
mod load;
mod reload;
mod site;
mod start;
mod stop;
mod trouble;
