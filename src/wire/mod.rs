//! `outgate postfix config`: what this host's Postfix needs, and putting it there and back.
//!
//! [`lines`] says what to write; [`plan`] compares it with the configuration that a host has, and
//! is pure; [`session`] works on a copy of that configuration and puts the copy in its place;
//! [`record`] is what [`undo`] goes by. Every edit is `postconf`'s own. Judges nobody's mail, and
//! never makes Postfix read its files again by itself.

pub mod change;
mod choice;
mod copy;
pub mod edit;
pub mod failed;
pub mod lines;
mod messages;
mod place;
pub mod plan;
mod postconf;
pub mod record;
mod service;
pub mod session;
mod short;
pub mod snippet;
pub mod undo;
pub mod wiring;
