//! What every store must do, asked of each store; and what can happen to a database file.

mod conformance;
mod sample;
