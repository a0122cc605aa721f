//! outgate decides who may send through Postfix.
#![forbid(unsafe_code)]

pub mod model;
