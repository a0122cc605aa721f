//! A file that a command writes: for nobody but its owner, whole or not there at all.
//!
//! It grows under another name in the same directory, and takes its own when everything is in it and
//! on the disk. What is there already is kept, unless it is to be replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};

use super::failure::Failure;

/// A file in the making. Dropped before it is finished, it is gone.
pub struct NewFile {
    target: PathBuf,
    making: PathBuf,
    file: File,
    replace: bool,
    finished: bool,
}

impl NewFile {
    /// Begins a file; `replace`: a plain file of that name may be there, and goes when this one is
    /// finished.
    pub fn create(target: &Path, replace: bool) -> Result<NewFile, Failure> {
        let names_a_file = !target.as_os_str().as_bytes().ends_with(b"/");
        let Some(name) = target.file_name().filter(|_| names_a_file) else {
            return Err(Failure::refused(
                format!("{} does not name a file", target.display()),
                "write the path of a file",
            ));
        };
        match fs::symlink_metadata(target) {
            Ok(found) if !found.is_file() => {
                return Err(Failure::refused(
                    format!("{} is there and is not a plain file", target.display()),
                    "name another file",
                ));
            }
            Ok(_) if !replace => return Err(there_already(target)),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(cannot("write", target, &error)),
        }
        let mut random = [0; 8];
        getrandom::fill(&mut random)
            .map_err(|error| Failure::temporary(format!("cannot name a new file: {error}"), ""))?;
        let mut making = std::ffi::OsString::from(".");
        making.push(name);
        making.push(format!(".{:016x}.part", u64::from_ne_bytes(random)));
        let making = target.with_file_name(making);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&making)
            .map_err(|error| cannot("write", target, &error))?;
        Ok(NewFile {
            target: target.to_owned(),
            making,
            file,
            replace,
            finished: false,
        })
    }

    /// Where it grows.
    pub fn path(&self) -> &Path {
        &self.making
    }

    /// What is written into.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Leaves it without any name: what is in it is gone when it is closed.
    pub fn nameless(self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Gives it its name, durably.
    pub fn finish(mut self) -> Result<(), Failure> {
        let done = self.file.sync_all().and_then(|()| self.rename());
        match done {
            Ok(()) => self.finished = true,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(there_already(&self.target));
            }
            Err(error) => return Err(cannot("finish", &self.target, &error)),
        }
        let directory = match self.target.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            Some(_) | None => Path::new("."),
        };
        File::open(directory)
            .and_then(|directory| directory.sync_all())
            // Who may write into a directory may yet be kept from reading it, and not every file
            // system has directories that can be synced: then all of it is.
            .or_else(|_| Ok(rustix::fs::syncfs(&self.file)?))
            .map_err(|error: io::Error| cannot("finish", &self.target, &error))
    }

    fn rename(&self) -> io::Result<()> {
        if self.replace {
            return fs::rename(&self.making, &self.target);
        }
        let flags = RenameFlags::NOREPLACE;
        match rustix::fs::renameat_with(CWD, &self.making, CWD, &self.target, flags) {
            // A file system that cannot do that in one step. A link does not replace anything either.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
                fs::hard_link(&self.making, &self.target)?;
                fs::remove_file(&self.making)
            }
            renamed => Ok(renamed?),
        }
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.finished {
            // What cannot be removed is a hidden file that says what it is.
            let _ = fs::remove_file(&self.making);
        }
    }
}

fn there_already(target: &Path) -> Failure {
    Failure::refused(
        format!("{} is there already", target.display()),
        "name another file, or give --force to replace it",
    )
}

/// What is wrong with the place is refused; what may pass, like a full disk, is temporary.
pub fn cannot(what: &str, target: &Path, error: &io::Error) -> Failure {
    let text = format!("cannot {what} {}: {error}", target.display());
    let kind = error.kind();
    if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&kind) {
        Failure::refused(text, "make its directory first, or name another file")
    } else if [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem].contains(&kind) {
        Failure::refused(text, "name a file in a directory that you may write")
    } else if kind == ErrorKind::InvalidFilename {
        Failure::refused(text, "choose a shorter name")
    } else {
        let hint = "look at the space and health of that disk, then try again";
        Failure::temporary(text, hint)
    }
}
