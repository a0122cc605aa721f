//! Why a configuration was not changed, and what to do next.

use std::io::{self, ErrorKind};
use std::path::Path;

/// What went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failed {
    /// Whether the same command may work later.
    pub temporary: bool,
    /// What was attempted on what, and why not.
    pub error: String,
    /// The next command or step.
    pub hint: String,
}

impl Failed {
    /// Something that has to be changed first.
    pub fn refused(error: impl Into<String>, hint: impl Into<String>) -> Failed {
        Failed {
            temporary: false,
            error: error.into(),
            hint: hint.into(),
        }
    }

    /// Something that may pass.
    pub fn temporary(error: impl Into<String>, hint: impl Into<String>) -> Failed {
        Failed {
            temporary: true,
            ..Failed::refused(error, hint)
        }
    }

    /// What the file system says.
    pub fn io(what: &str, path: &Path, error: &io::Error) -> Failed {
        let text = format!("cannot {what} {}: {error}", path.display());
        let kind = error.kind();
        if kind == ErrorKind::PermissionDenied {
            // EPERM is what root hears of an immutable file.
            Failed::refused(
                text,
                "run this as root; if you are root, see lsattr: an immutable file is changed by nobody",
            )
        } else if kind == ErrorKind::ReadOnlyFilesystem {
            Failed::refused(text, "the file system is mounted read-only")
        } else if kind == ErrorKind::ResourceBusy {
            Failed::refused(
                text,
                "it is mounted by itself, as containers have it: mount its directory instead, or change the file where it comes from",
            )
        } else if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&kind) {
            let hint = "name the configuration directory of Postfix: --postfix DIR";
            Failed::refused(text, hint)
        } else {
            let hint = "look at the space and health of that disk, then try again";
            Failed::temporary(text, hint)
        }
    }
}
