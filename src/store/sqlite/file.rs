//! The database as files: making them with the right owner and mode, and knowing them again.
//!
//! Never opens an existing database file: closing any descriptor of it would drop the locks that
//! SQLite holds on it for the whole process (POSIX advisory locks, fcntl(2)). Looks by path only.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use crate::owner;
use crate::store::StoreError;

/// Makes an empty database file where there is none, mode 0600, in a directory of mode 0700 if
/// that is missing too. SQLite gives `-wal` and `-shm` the mode and owner of the database.
///
/// What root makes gets the owner of the directory around it, so that the daemon can use what
/// an administrator's command made.
pub fn create(path: &Path) -> io::Result<()> {
    if path.try_exists()? {
        return Ok(());
    }
    if let Some(directory) = path.parent() {
        owner::create_directory(directory)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    match options.open(path) {
        Ok(file) => match owner::around(path)? {
            Some((user, group)) => fchown(&file, Some(user), Some(group)),
            None => Ok(()),
        },
        // Somebody else was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Which files a database consists of: device and inode of each.
///
/// Without its log, or with another one, a database is a different one, and two processes that do
/// not share one log and one index destroy it: so all three are watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    files: Vec<(PathBuf, u64, u64)>,
}

impl Identity {
    /// The files that are there now, while a connection is open.
    pub fn of(path: &Path) -> io::Result<Identity> {
        let database = fs::metadata(path)?;
        let mut files = vec![(path.to_owned(), database.dev(), database.ino())];
        for suffix in ["-wal", "-shm"] {
            let beside = beside(path, suffix);
            // On a medium that cannot be written there may be none.
            if let Ok(found) = fs::metadata(&beside) {
                files.push((beside, found.dev(), found.ino()));
            }
        }
        Ok(Identity { files })
    }

    /// Fails if one of the files was removed or replaced. Holds again once it is moved back.
    pub fn check(&self) -> Result<(), StoreError> {
        for (path, device, inode) in &self.files {
            let what = match fs::metadata(path) {
                Ok(found) if (found.dev(), found.ino()) == (*device, *inode) => continue,
                Ok(_) => "was replaced by another file".to_owned(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => "was removed".to_owned(),
                Err(error) => format!("cannot be looked at ({error})"),
            };
            return Err(StoreError::Unusable(format!(
                "{} {what} while it was in use: move it back, or restart outgate to go on with what is there",
                path.display()
            )));
        }
        Ok(())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
