//! What is wrong with a record, and in which field: the commands say it about their options, an
//! import about its line.

use std::borrow::Cow;

use crate::store::{ManageError, StoreError};

/// Why a record cannot be stored.
#[derive(Debug)]
pub(super) enum Fault {
    /// It breaks a rule.
    Refused {
        /// The field as the JSON shapes call it.
        field: Cow<'static, str>,
        /// What is wrong.
        error: String,
        /// The next command, or empty.
        hint: String,
    },
    /// The store could not tell.
    Store(StoreError),
}

impl Fault {
    /// A broken rule, without advice.
    pub(super) fn new(field: &'static str, error: impl Into<String>) -> Fault {
        Fault::with_hint(field, error, "")
    }

    /// A broken rule, and what to do about it.
    pub(super) fn with_hint(
        field: &'static str,
        error: impl Into<String>,
        hint: impl Into<String>,
    ) -> Fault {
        Fault::Refused {
            field: Cow::Borrowed(field),
            error: error.into(),
            hint: hint.into(),
        }
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Fault {
        Fault::Store(error)
    }
}

impl From<Fault> for ManageError {
    fn from(fault: Fault) -> ManageError {
        match fault {
            Fault::Refused { error, hint, .. } => ManageError::refused(error, hint),
            Fault::Store(error) => ManageError::Store(error),
        }
    }
}
