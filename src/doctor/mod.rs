//! `outgate doctor`: what is wrong with this host, and the commands that mend it.
//!
//! [`look`] gathers facts from Postfix, the file system, DNS and the store; [`examine`] judges them
//! and is pure, so that every finding can be tested without a host. Changes nothing anywhere.

mod checks;
pub mod facts;
pub mod finding;
pub mod look;
pub mod postfix;
pub mod wiring;

pub use checks::{examine, has_nul, needs_dns};
pub use facts::Facts;
pub use finding::{Finding, Severity};
