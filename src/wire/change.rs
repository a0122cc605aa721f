//! A change that is ready: shown, made, or forgotten.
//!
//! Where Postfix does not like the new files, the old ones come back byte for byte.

use std::fs;
use std::path::{Path, PathBuf};

use super::copy::{MAIN, MASTER};
use super::failed::Failed;
use super::place;
use super::record::Record;
use super::session::Session;

/// A change that is ready, and not yet made.
pub struct Change {
    pub(super) session: Session,
    /// What will be known of it; `None`: nothing is left to undo.
    pub(super) record: Option<Record>,
    /// What the files were before outgate ever changed them.
    pub(super) before: [Vec<u8>; 2],
    /// What they are to be, in the order of [`Session::originals`].
    pub(super) new: [Vec<u8>; 2],
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The services that it is about.
    pub services: Vec<String>,
    /// Old and new, as `diff -u` shows them; empty: nothing changes.
    pub diff: String,
    /// What that means, each setting in one line.
    pub short: Vec<String>,
    /// The files that change.
    pub files: Vec<PathBuf>,
    /// Where the old files are kept.
    pub undo: PathBuf,
}

impl Change {
    /// Whether anything changes.
    pub fn is_any(&self) -> bool {
        !self.files.is_empty()
    }

    /// The configuration as it would be: a directory for `postconf -c`, until it is left.
    pub fn copy(&self) -> &Path {
        self.session.copy.path()
    }

    /// Takes the copy away. Nothing needs it any more, and whoever is asked may go without an answer.
    pub fn leave_copy(&self) {
        self.session.copy.remove();
    }

    /// The words for what makes Postfix read its files.
    pub fn reload(&self) -> Result<String, Failed> {
        Ok(self.session.read()?.reload())
    }

    /// Makes Postfix read its files again.
    pub fn run_reload(&self) -> Result<(), Failed> {
        place::postfix(&self.session.directory, "reload").map_err(|said| {
            Failed::temporary(
                format!("the files are in place, and Postfix was not told: {said}"),
                "start it, or try postfix reload",
            )
        })
    }

    /// Whether this process may make it.
    pub fn is_permitted(&self) -> Result<(), Failed> {
        match rustix::process::geteuid().is_root() {
            true => Ok(()),
            false => Err(Failed::refused(
                format!(
                    "{} is for root to change: so is the postfix command",
                    self.session.directory.display()
                ),
                "run this as root; --dry-run shows the change to everybody",
            )),
        }
    }

    /// Puts the files in place, and has Postfix check them. On any trouble the old ones are back; only
    /// an undo is not held up by what Postfix says.
    pub fn make(&self) -> Result<(), Failed> {
        for original in self.session.originals() {
            place::sweep(&original.path);
        }
        match &self.record {
            Some(record) => self.wire(record),
            None => self.unwire(),
        }
    }

    fn wire(&self, record: &Record) -> Result<(), Failed> {
        let directory = &self.session.directory;
        place::postfix(directory, "check").map_err(|said| {
            Failed::refused(
                format!("postfix check does not like the configuration as it is: {said}"),
                "mend that first; nothing was changed",
            )
        })?;
        self.is_still_wanted()?;
        record.save(directory, self.before())?;
        let done = self.put().and_then(|()| {
            place::postfix(directory, "check").map_err(|said| {
                Failed::refused(
                    format!("postfix check does not like the new files: {said}"),
                    "--dry-run shows them",
                )
            })
        });
        let done = done.and_then(|()| match record.is_open() {
            true => record.closed().save(directory, self.before()),
            false => Ok(()),
        });
        done.or_else(|failed| {
            let failed = self.put_back(failed);
            match &self.session.record {
                Some(old) => old.save(directory, self.before())?,
                None => Record::remove(directory)?,
            }
            Err(failed)
        })
    }

    fn unwire(&self) -> Result<(), Failed> {
        let directory = &self.session.directory;
        self.is_still_wanted()?;
        self.put().map_err(|failed| self.put_back(failed))?;
        Record::remove(directory)?;
        place::postfix(directory, "check").map_err(|said| {
            Failed::refused(
                format!(
                    "outgate's changes are taken out, and postfix check does not like what is left: {said}"
                ),
                "mend that before Postfix reads its files again",
            )
        })
    }

    /// The files as they were before the first change.
    fn before(&self) -> [(&str, &[u8]); 2] {
        let [main, master] = &self.before;
        [(MAIN, main), (MASTER, master)]
    }

    /// Whether the files are still those that the change was made from.
    fn is_still_wanted(&self) -> Result<(), Failed> {
        let originals = self.session.originals();
        originals.iter().try_for_each(|file| file.is_unchanged())
    }

    fn put(&self) -> Result<(), Failed> {
        // What a service says for itself first, then what is said for all.
        let originals = self.session.originals();
        for (original, new) in originals.into_iter().zip(&self.new).rev() {
            if *new != original.bytes {
                place::replace(&original.path, new)?;
            }
        }
        Ok(())
    }

    /// The files as they were found, and the words for it.
    fn put_back(&self, failed: Failed) -> Failed {
        for original in self.session.originals() {
            let there = fs::read(&original.path);
            if there.is_ok_and(|bytes| bytes == original.bytes) {
                continue;
            }
            if let Err(worse) = place::replace(&original.path, &original.bytes) {
                let error = format!(
                    "{}; and the old file is not back: {}",
                    failed.error, worse.error
                );
                return Failed { error, ..failed };
            }
        }
        let error = format!("{}; the old files are as they were", failed.error);
        Failed { error, ..failed }
    }
}
