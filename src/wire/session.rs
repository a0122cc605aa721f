//! One change of a Postfix configuration, from the first look to the last check.
//!
//! Everything happens in a copy. The files are put in place when the copy is right and the operator
//! has agreed; where Postfix does not like them, the old ones come back byte for byte.

use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use similar::TextDiff;

use super::failed::Failed;
use super::plan::{self, Plan, Wish};
use super::record::{Prints, Record, place_of, print};
use super::{place, postconf, undo};
use crate::config::Config;
use crate::doctor::postfix::Postfix;

const MAIN: &str = "main.cf";
const MASTER: &str = "master.cf";

/// A configuration, a copy of it, and nobody else who changes it at the same time.
pub struct Session {
    /// Postfix's configuration directory.
    directory: PathBuf,
    /// As it was named; `None`: Postfix's own idea.
    named: Option<PathBuf>,
    copy: Copy,
    main: Original,
    master: Original,
    record: Option<Record>,
    _lock: File,
}

/// A file as it was found.
struct Original {
    name: &'static str,
    /// The file itself: links are followed.
    path: PathBuf,
    bytes: Vec<u8>,
}

/// A directory for this change alone. Dropped, it is gone.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        // What stays is in the directory for what is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A change that is ready, and not yet made.
pub struct Change {
    session: Session,
    /// What will be known of it; `None`: nothing is left to undo.
    record: Option<Record>,
    /// What the files were before outgate ever changed them.
    before: [Vec<u8>; 2],
    /// What the operator should know.
    pub notes: Vec<String>,
    /// The services that it is about.
    pub services: Vec<String>,
    /// Old and new, as `diff -u` shows them; empty: nothing changes.
    pub diff: String,
    /// The files that change.
    pub files: Vec<PathBuf>,
    /// Where the old files are kept.
    pub undo: PathBuf,
}

impl Session {
    /// Looks at a configuration directory, or at the one that Postfix uses by itself.
    pub fn open(named: Option<&Path>) -> Result<Session, Failed> {
        let directory = match named {
            Some(directory) => directory.to_owned(),
            None => PathBuf::from(postconf::directory()?),
        };
        let directory = fs::canonicalize(&directory)
            .map_err(|error| Failed::io("look at", &directory, &error))?;
        let lock =
            File::open(&directory).map_err(|error| Failed::io("look at", &directory, &error))?;
        // Where there are no locks, the files are compared again before they are replaced.
        let locked = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        if locked == Err(Errno::WOULDBLOCK) {
            return Err(Failed::temporary(
                format!("another outgate is changing {}", directory.display()),
                "wait for it, then try again",
            ));
        }
        let (main, master) = (
            Original::read(&directory, MAIN)?,
            Original::read(&directory, MASTER)?,
        );
        let copy = Copy::make(&[&main, &master])?;
        Ok(Session {
            record: Record::load(&directory)?,
            named: named.map(|_| directory.clone()),
            directory,
            copy,
            main,
            master,
            _lock: lock,
        })
    }

    /// The copy, as `postconf` shows it.
    fn read(&self) -> Result<Postfix, Failed> {
        let mut postfix = postconf::read(&self.copy.0)?;
        postfix.directory.clone_from(&self.named);
        Ok(postfix)
    }

    fn originals(&self) -> [&Original; 2] {
        [&self.main, &self.master]
    }

    /// Whether both files are as outgate left or found them.
    fn is_untouched(&self, record: &Record) -> bool {
        record.exact && record.main.know(&self.main.bytes) && record.master.know(&self.master.bytes)
    }

    /// Takes back what a record says, in the copy.
    fn take_back(&self, record: &Record) -> Result<(), Failed> {
        if self.is_untouched(record) {
            for original in self.originals() {
                let bytes = Record::before(&self.directory, original.name)?;
                self.copy.write(original.name, &bytes)?;
            }
            return Ok(());
        }
        let copies = place_of(&self.directory).display().to_string();
        let edits = undo::back(record, &self.read()?, &copies)?;
        postconf::edit(&self.copy.0, &edits)
    }

    /// Makes a wiring ready.
    pub fn apply(self, config: &Config, wish: &Wish, now: Timestamp) -> Result<Change, Failed> {
        let old = self.record.clone();
        let before = match &old {
            Some(_) => [
                Record::before(&self.directory, MAIN)?,
                Record::before(&self.directory, MASTER)?,
            ],
            None => [self.main.bytes.clone(), self.master.bytes.clone()],
        };
        let exact = old.as_ref().is_none_or(|record| self.is_untouched(record));
        let mut edits = Vec::new();
        let mut services = Vec::new();
        if let Some(record) = &old {
            if record.wiring == wish.wiring {
                edits.clone_from(&record.edits);
                services.clone_from(&record.services);
            } else {
                // One wiring takes the place of another; it does not come on top.
                self.take_back(record)?;
            }
        }
        let plan = plan::make(&self.read()?, config, wish)?;
        postconf::edit(&self.copy.0, &plan.edits)?;
        let Plan {
            edits: new,
            notes,
            services: wired,
        } = plan;
        let [main, master] = [self.copy.read(MAIN)?, self.copy.read(MASTER)?];
        services.extend(wired);
        services.sort();
        services.dedup();
        let mut record = Record {
            time: now,
            wiring: wish.wiring,
            services: services.clone(),
            edits,
            exact,
            main: Prints {
                before: print(&before[0]),
                after: print(&main),
            },
            master: Prints {
                before: print(&before[1]),
                after: print(&master),
            },
        };
        record.merge(new);
        record.refresh(&self.read()?);
        self.change(Some(record), before, notes, services)
    }

    /// Makes the way back ready.
    pub fn undo(self) -> Result<Change, Failed> {
        let Some(record) = self.record.clone() else {
            return Err(Failed::refused(
                format!(
                    "there is nothing to undo: outgate has no record of a change in {}",
                    self.directory.display()
                ),
                "a wiring that was made by hand is taken out by hand",
            ));
        };
        self.take_back(&record)?;
        self.change(None, [Vec::new(), Vec::new()], Vec::new(), record.services)
    }

    fn change(
        self,
        record: Option<Record>,
        before: [Vec<u8>; 2],
        notes: Vec<String>,
        services: Vec<String>,
    ) -> Result<Change, Failed> {
        let (mut diff, mut files) = (String::new(), Vec::new());
        for original in self.originals() {
            let new = self.copy.read(original.name)?;
            if new != original.bytes {
                diff.push_str(&unified(original, &new));
                files.push(original.path.clone());
            }
        }
        Ok(Change {
            undo: place_of(&self.directory),
            record,
            before,
            notes,
            services,
            diff,
            files,
            session: self,
        })
    }
}

impl Change {
    /// Whether anything changes.
    pub fn is_any(&self) -> bool {
        !self.files.is_empty()
    }

    /// The configuration as it would be: a directory for `postconf -c`.
    pub fn copy(&self) -> &Path {
        &self.session.copy.0
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

    /// Puts the files in place, and has Postfix check them. On any trouble the old ones are back.
    pub fn make(&self) -> Result<(), Failed> {
        let session = &self.session;
        place::postfix(&session.directory, "check").map_err(|said| {
            Failed::refused(
                format!("postfix check does not like the configuration as it is: {said}"),
                "mend that first; nothing was changed",
            )
        })?;
        for original in session.originals() {
            original.is_unchanged()?;
        }
        if let Some(record) = &self.record {
            let before = [(MAIN, &*self.before[0]), (MASTER, &*self.before[1])];
            record.save(&session.directory, before)?;
        }
        self.put().or_else(|failed| self.put_back(failed))?;
        match &self.record {
            Some(_) => Ok(()),
            None => Record::remove(&session.directory),
        }
    }

    fn put(&self) -> Result<(), Failed> {
        for original in self.session.originals() {
            let new = self.session.copy.read(original.name)?;
            if new != original.bytes {
                place::replace(&original.path, &new)?;
            }
        }
        place::postfix(&self.session.directory, "check").map_err(|said| {
            Failed::refused(
                format!("postfix check does not like the new files: {said}"),
                "this should not happen: please report it with the output of --dry-run",
            )
        })
    }

    /// The old files, and the old record.
    fn put_back(&self, failed: Failed) -> Result<(), Failed> {
        let session = &self.session;
        for original in session.originals() {
            let there = fs::read(&original.path);
            if there.is_ok_and(|bytes| bytes == original.bytes) {
                continue;
            }
            if let Err(worse) = place::replace(&original.path, &original.bytes) {
                return Err(Failed {
                    error: format!(
                        "{}; and the old file is not back: {}",
                        failed.error, worse.error
                    ),
                    ..failed
                });
            }
        }
        match &session.record {
            Some(record) => {
                let before = [(MAIN, &*self.before[0]), (MASTER, &*self.before[1])];
                // An undo leaves the record where it is.
                if self.record.is_some() {
                    record.save(&session.directory, before)?;
                }
            }
            None => Record::remove(&session.directory)?,
        }
        Err(Failed {
            error: format!("{}; the old files are as they were", failed.error),
            ..failed
        })
    }
}

impl Original {
    fn read(directory: &Path, name: &'static str) -> Result<Original, Failed> {
        let path = directory.join(name);
        let path = fs::canonicalize(&path).map_err(|error| Failed::io("read", &path, &error))?;
        let bytes = fs::read(&path).map_err(|error| Failed::io("read", &path, &error))?;
        Ok(Original { name, path, bytes })
    }

    fn is_unchanged(&self) -> Result<(), Failed> {
        let now = fs::read(&self.path).map_err(|error| Failed::io("read", &self.path, &error))?;
        match now == self.bytes {
            true => Ok(()),
            false => Err(Failed::temporary(
                format!(
                    "{} was changed meanwhile by somebody else",
                    self.path.display()
                ),
                "nothing was changed by outgate: run this again",
            )),
        }
    }
}

impl Copy {
    fn make(originals: &[&Original]) -> Result<Copy, Failed> {
        let path = std::env::temp_dir().join(format!("outgate-postfix.{}", place::random()?));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| Failed::io("make", &path, &error))?;
        let copy = Copy(path);
        for original in originals {
            copy.write(original.name, &original.bytes)?;
        }
        Ok(copy)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        let path = self.0.join(name);
        fs::write(&path, bytes).map_err(|error| Failed::io("write", &path, &error))
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, Failed> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|error| Failed::io("read", &path, &error)),
        }
    }
}

fn unified(original: &Original, new: &[u8]) -> String {
    let (old, new) = (
        String::from_utf8_lossy(&original.bytes),
        String::from_utf8_lossy(new),
    );
    let path = original.path.display().to_string();
    let diff = TextDiff::from_lines(&*old, &*new);
    diff.unified_diff()
        .header(&path, &format!("{path} (new)"))
        .to_string()
}
