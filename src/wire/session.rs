//! One change of a Postfix configuration, from the first look to the last check.
//!
//! Everything happens in a copy. The files are put in place when the copy is right and the operator has
//! agreed: that is [`Change`]'s.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::change::Change;
use super::copy::{Copy, MAIN, MASTER, Original};
use super::failed::Failed;
use super::plan::{self, Plan, Wish};
use super::record::{Prints, Record, place_of, print};
use super::{postconf, short, undo};
use crate::config::Config;
use crate::doctor::postfix::Postfix;

/// A configuration, a copy of it, and nobody else who changes it at the same time.
pub struct Session {
    /// Postfix's configuration directory.
    pub(super) directory: PathBuf,
    /// As it was named; `None`: Postfix's own idea.
    named: Option<PathBuf>,
    pub(super) copy: Copy,
    main: Original,
    master: Original,
    /// What was known before.
    pub(super) record: Option<Record>,
    _lock: File,
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
    pub(super) fn read(&self) -> Result<Postfix, Failed> {
        let mut postfix = postconf::read(self.copy.path())?;
        postfix.directory.clone_from(&self.named);
        Ok(postfix)
    }

    /// Both files: main.cf, then master.cf.
    pub(super) fn originals(&self) -> [&Original; 2] {
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
        if record.is_open() {
            return Err(Failed::refused(
                format!(
                    "outgate was stopped while it put wiring {} in the place of another one, and the files were edited",
                    record.wiring.name()
                ),
                format!(
                    "take main.cf and master.cf from {copies}, where they are as they were before outgate"
                ),
            ));
        }
        let edits = undo::back(record, &self.read()?, &copies)?;
        postconf::edit(self.copy.path(), &edits)
    }

    /// Makes a wiring ready.
    pub fn apply(self, config: &Config, wish: &Wish, now: Timestamp) -> Result<Change, Failed> {
        let old = self.record.clone();
        let found = self.read()?;
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
            let half_done = record.is_half_done(&self.main.bytes, &self.master.bytes);
            if record.wiring == wish.wiring && !half_done {
                edits.clone_from(&record.edits);
                services.clone_from(&record.services);
            } else {
                // One wiring takes the place of another; it does not come on top. Nor does it on a half of one.
                self.take_back(record)?;
            }
        }
        let plan = plan::make(&self.read()?, config, wish)?;
        if let Some(record) = &old {
            nobody_loses(record, wish, &plan)?;
        }
        postconf::edit(self.copy.path(), &plan.edits)?;
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
                earlier: old.as_ref().map(|_| print(&self.main.bytes)),
            },
            master: Prints {
                before: print(&before[1]),
                after: print(&master),
                earlier: old.as_ref().map(|_| print(&self.master.bytes)),
            },
        };
        record.merge(new);
        record.refresh(&self.read()?);
        self.change(Some(record), before, &found, notes, services)
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
        let found = self.read()?;
        self.take_back(&record)?;
        let none = [Vec::new(), Vec::new()];
        self.change(None, none, &found, Vec::new(), record.services)
    }

    fn change(
        self,
        record: Option<Record>,
        before: [Vec<u8>; 2],
        found: &Postfix,
        notes: Vec<String>,
        services: Vec<String>,
    ) -> Result<Change, Failed> {
        let (mut diff, mut files) = (String::new(), Vec::new());
        let new = [self.copy.read(MAIN)?, self.copy.read(MASTER)?];
        for (original, new) in self.originals().into_iter().zip(&new) {
            if *new != original.bytes {
                diff.push_str(&original.diff(new));
                files.push(original.path.clone());
            }
        }
        Ok(Change {
            short: short::lines(found, &self.read()?),
            undo: place_of(&self.directory),
            record,
            before,
            new,
            notes,
            services,
            diff,
            files,
            session: self,
        })
    }
}

/// Whoever names a service does not mean that others lose the wiring that they have.
fn nobody_loses(record: &Record, wish: &Wish, plan: &Plan) -> Result<(), Failed> {
    let lost: Vec<&str> = record
        .services
        .iter()
        .filter(|service| !plan.services.contains(service))
        .map(String::as_str)
        .collect();
    if record.wiring == wish.wiring || wish.services.is_empty() || lost.is_empty() {
        return Ok(());
    }
    let (lost, now, wanted) = (lost.join(", "), record.wiring.name(), wish.wiring.name());
    Err(Failed::refused(
        format!("one wiring takes the place of another, and {lost} would lose {now}"),
        format!(
            "put the lines of {wanted} into the service by hand (outgate postfix config --wiring {wanted} prints them), \
             or take {now} out first: --undo"
        ),
    ))
}
