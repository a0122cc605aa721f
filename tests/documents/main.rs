//! The book against the program: what it says about replies, commands and configuration is what the program does,
//! and every page is reached by links that lead somewhere.
//!
//! Wants root and Debian's postfix: `make test` installs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that meets what it does not expect has failed"
)]

mod case;
#[path = "../../packaging/commands.rs"]
mod command_page;
#[path = "../counters/mod.rs"]
#[allow(dead_code, reason = "the tests of Postfix use it")]
mod counters;
#[path = "../postfix/held.rs"]
#[allow(dead_code, reason = "the tests of Postfix use the rest")]
mod held;
#[path = "../postfix/host.rs"]
#[allow(dead_code, reason = "the tests of Postfix use the rest")]
mod host;
mod json;
mod links;
#[path = "../nameserver/mod.rs"]
mod nameserver;
mod page;
mod reference;
mod replies;
#[path = "../postfix/smtp.rs"]
#[allow(dead_code, reason = "the tests of Postfix use the rest")]
mod smtp;
