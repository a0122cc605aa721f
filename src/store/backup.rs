//! A copy of a store that is in use: how far it has come, and why it was not made.

use thiserror::Error;

use super::StoreError;

/// How far a copy has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// Bytes copied.
    pub copied: u64,
    /// Bytes in all. When all are copied, the copy is read once more and checked.
    pub total: u64,
}

/// What a copy is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Copied {
    /// How long it is.
    pub bytes: u64,
    /// The version of its tables.
    pub schema_version: usize,
}

/// Why there is no copy.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BackupError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file for the copy cannot be written.
    #[error("the copy cannot be written: {0}")]
    File(String),
    /// The copy is not what it should be.
    #[error("the copy is damaged: {0}")]
    Damaged(String),
}
