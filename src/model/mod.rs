//! The field's nouns: parsed once at the edge, normalised, printed. No I/O, no rules, no clock.

pub mod address;
pub mod decision_id;
pub mod display_name;
pub mod dns;
pub mod domain;
pub mod grant;
pub mod header_from;
pub mod name;
pub mod network;
pub mod password;
pub mod quota;
pub mod reply;
pub mod sender;
pub mod until;
pub mod user;
