//! SPF without a network: the suite of RFC 7208, our own cases, an oracle, and properties.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "tests fail by panicking"
)]

mod cases;
mod departures;
mod hostile;
mod oracle;
mod properties;
mod suite;
mod zone;
