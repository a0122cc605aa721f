//! The field's nouns: parsed once at the edge, normalised, printed. No I/O, no rules, no clock.

pub mod address;
pub mod domain;
pub mod header_from;
