//! What operators can do: every operation of the command line, as functions over a [`Store`].
//!
//! An operation reads the operator's words into domain types, checks the rules of who may own and
//! use what, and does everything in one transaction. The API and the web page go through
//! the same functions. Knows no terminal, no options and no SQL; time comes in as an argument.

pub mod account;
pub mod checkup;
pub mod domain;
pub mod edit;
pub mod export;
pub mod import;
pub mod quota;
pub mod survey;
pub mod user;
pub mod view;
pub mod warning;

mod fault;
mod lists;
mod ownership;

pub use crate::store::ManageError;

use jiff::Timestamp;

use crate::store::{Store, StoreError, Transaction};
use warning::Warning;

/// What is now true, and what the operator should know about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Done<T> {
    /// The record as it is stored now.
    pub record: T,
    /// Allowed, but perhaps not meant.
    pub warnings: Vec<Warning>,
}

/// Runs `work` in one transaction and hands out what it found.
fn change<T>(
    store: &dyn Store,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, ManageError>,
) -> Result<T, ManageError> {
    let mut result = None;
    store.transact(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    result.ok_or_else(not_run)
}

/// Like [`change`], for reading only.
fn look<T>(
    store: &dyn Store,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, ManageError>,
) -> Result<T, ManageError> {
    let mut result = None;
    store.view(&mut |tx| {
        result = Some(work(tx)?);
        Ok(())
    })?;
    result.ok_or_else(not_run)
}

fn not_run() -> ManageError {
    StoreError::Unusable("it reported success without doing anything".to_owned()).into()
}

/// Times of records are kept to the second, so that every store and every export keeps them whole.
fn to_the_second(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}
