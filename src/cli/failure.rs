//! Why a command did not do what it was asked, and the exit status that says so to scripts.
//!
//! For every command; printing it is `output`'s business.

use std::process::ExitCode;

use crate::store::{ManageError, StoreError};
use crate::wire::failed::Failed;

/// The exit statuses; scripts hold on to the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exit {
    /// Done; for `explain`: would be allowed.
    Done = 0,
    /// Refused by a rule; for `explain`: would be refused or deferred.
    Refused = 1,
    /// The command line cannot be understood.
    Usage = 2,
    /// Worth another try (`EX_TEMPFAIL` of sysexits.h).
    Temporary = 75,
    /// The configuration is wrong (`EX_CONFIG` of sysexits.h).
    Configuration = 78,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit as u8)
    }
}

/// What went wrong, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// Who can mend it: the caller, the operator, or time.
    pub exit: Exit,
    /// What was attempted on what, and why not.
    pub error: String,
    /// The next command or step; may be empty.
    pub hint: String,
}

impl Failure {
    /// Breaks a rule, or names something that is not there.
    pub fn refused(error: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Refused, error, hint)
    }

    /// Worth another try.
    pub fn temporary(error: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure::new(Exit::Temporary, error, hint)
    }

    /// The configuration file has to be changed first.
    pub fn configuration(error: impl Into<String>) -> Failure {
        let hint =
            "every key and its default: man outgate.toml; `outgate check-config` checks a file";
        Failure::new(Exit::Configuration, error, hint)
    }

    /// Any of them.
    pub fn new(exit: Exit, error: impl Into<String>, hint: impl Into<String>) -> Failure {
        Failure {
            exit,
            error: error.into(),
            hint: hint.into(),
        }
    }
}

impl From<StoreError> for Failure {
    /// Nothing was judged, so this is not a refusal: the same command may work later, or the configuration names
    /// a store that this program cannot use.
    fn from(error: StoreError) -> Failure {
        let hint = match &error {
            StoreError::Busy(_) => "another process is writing: try again",
            StoreError::ReadOnly(_) => {
                "check the free space, and run this as root or as the owner of the store"
            }
            StoreError::Unusable(_) => {
                "check [store] url, and run this as root or as the owner of the store"
            }
            StoreError::Mismatch(_) => {
                let hint = "`outgate --version` says which outgate this is; check [store] url";
                return Failure::new(Exit::Configuration, error.to_string(), hint);
            }
        };
        Failure::temporary(error.to_string(), hint)
    }
}

impl From<Failed> for Failure {
    fn from(failed: Failed) -> Failure {
        match failed.temporary {
            true => Failure::temporary(failed.error, failed.hint),
            false => Failure::refused(failed.error, failed.hint),
        }
    }
}

impl From<ManageError> for Failure {
    fn from(error: ManageError) -> Failure {
        match error {
            ManageError::Refused { error, hint } => Failure::refused(error, hint),
            ManageError::Store(error) => error.into(),
        }
    }
}
