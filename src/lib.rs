//! outgate decides who may send through Postfix.
#![forbid(unsafe_code)]

pub mod decision;
pub mod model;
pub mod store;
