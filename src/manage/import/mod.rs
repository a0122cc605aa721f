//! `import outgate`: JSON Lines, one record a line, all of them or none.
//!
//! The file is read as it comes, never held; the records of one file are checked against the store
//! and against each other inside the one transaction that also writes them, so that a dry run
//! finds exactly what a real one would. A file that is imported again changes nothing.

mod line;
mod merge;

use std::io::{BufRead, Read};

use jiff::Timestamp;
use serde::Serialize;

use super::fault::Fault;
use super::{ManageError, change};
use crate::store::{Store, Transaction};
use merge::Merge;

/// At most this many bytes a line: a user with every list full, of the longest entries that there
/// are, needs less than half of it.
const MAX_LINE: u64 = 4 << 20;

/// How often progress is told: after so many records.
const PROGRESS_EVERY: u64 = 512;

/// How an import is done.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Check everything, change nothing.
    pub dry_run: bool,
    /// The time that new records carry.
    pub now: Timestamp,
    /// What a password hash has to be.
    pub check_hash: fn(&str) -> Result<(), String>,
}

/// How far an import has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Records read.
    pub records: u64,
    /// Bytes read.
    pub bytes: u64,
}

/// What became of the records of one kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Count {
    /// Not there before.
    pub added: u64,
    /// There before, and different.
    pub replaced: u64,
    /// There before, and the same.
    pub unchanged: u64,
}

/// What an import did, or would do.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Summary {
    /// Accounts.
    pub accounts: Count,
    /// Domains.
    pub domains: Count,
    /// Users.
    pub users: Count,
    /// Nothing was written.
    pub dry_run: bool,
}

/// Imports all records of a file, or none. An error names the line and the field.
pub fn run(
    store: &dyn Store,
    input: &mut dyn BufRead,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, ManageError> {
    let mut checked = None;
    let imported = change(store, |tx| {
        let summary = read_all(tx, &mut *input, options, progress)?;
        if options.dry_run {
            checked = Some(summary);
            // Only an error makes the store take everything back.
            return Err(ManageError::refused("a dry run", ""));
        }
        Ok(summary)
    });
    match checked {
        Some(summary) => Ok(summary),
        None => imported,
    }
}

/// Hands out the lines of a file that comes in its own time, up to the first that is no record: for
/// keeping them until [`run`] can have them without waiting, as the store is locked meanwhile.
/// `keep` says whether to go on.
pub fn gather(
    input: &mut dyn BufRead,
    keep: &mut dyn FnMut(&str) -> bool,
) -> Result<(), ManageError> {
    let mut lines = Lines::new(input);
    while let Some(line) = lines.next()? {
        if !line.text.trim_ascii().is_empty() {
            line::read(line.text).map_err(|fault| at(line.number, fault))?;
        }
        if !keep(line.text) {
            return Err(ManageError::refused("the import was broken off", ""));
        }
    }
    Ok(())
}

fn read_all(
    tx: &mut dyn Transaction,
    input: &mut dyn BufRead,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Summary, ManageError> {
    let mut merge = Merge::new(tx, options);
    let mut lines = Lines::new(input);
    let mut so_far = Progress::default();
    while let Some(line) = lines.next()? {
        so_far.bytes += line.length;
        if line.text.trim_ascii().is_empty() {
            continue;
        }
        let record = line::read(line.text).map_err(|fault| at(line.number, fault))?;
        merge
            .record(line.number, record)
            .map_err(|fault| at(line.number, fault))?;
        so_far.records += 1;
        if so_far.records.is_multiple_of(PROGRESS_EVERY) {
            progress(so_far);
        }
    }
    progress(so_far);
    let mut summary = merge
        .finish()
        .map_err(|(number, fault)| at(number, fault))?;
    summary.dry_run = options.dry_run;
    Ok(summary)
}

/// Says where a fault lies.
fn at(line: u64, fault: Fault) -> ManageError {
    match fault {
        Fault::Refused { field, error, hint } => {
            let field = match &*field {
                "" => String::new(),
                field => format!(", field {}", field.escape_debug()),
            };
            let hint = match &*hint {
                "" => "nothing was imported: correct the line and import the file again".to_owned(),
                hint => format!("nothing was imported; {hint}"),
            };
            ManageError::refused(format!("line {line}{field}: {error}"), hint)
        }
        Fault::Store(error) => ManageError::Store(error),
    }
}

/// One line of a file.
struct Line<'a> {
    /// From 1.
    number: u64,
    /// In bytes, the line end included.
    length: u64,
    /// Without byte order mark.
    text: &'a str,
}

/// The lines of a file, in one buffer that is used again and again.
struct Lines<'a> {
    input: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    number: u64,
}

impl<'a> Lines<'a> {
    fn new(input: &'a mut dyn BufRead) -> Lines<'a> {
        Lines {
            input,
            buffer: Vec::new(),
            number: 0,
        }
    }

    fn next(&mut self) -> Result<Option<Line<'_>>, ManageError> {
        let number = self.number + 1;
        let wrong = |error: String| at(number, Fault::new("", error));
        self.buffer.clear();
        let length = (&mut *self.input)
            .take(MAX_LINE + 1)
            .read_until(b'\n', &mut self.buffer)
            .map_err(|error| wrong(format!("cannot be read: {error}")))?
            as u64;
        if length == 0 {
            return Ok(None);
        }
        if length > MAX_LINE {
            return Err(wrong(format!("longer than {MAX_LINE} bytes")));
        }
        self.number = number;
        let text = std::str::from_utf8(&self.buffer)
            .map_err(|error| wrong(format!("not UTF-8 at byte {}", error.valid_up_to() + 1)))?;
        let text = match text.strip_prefix('\u{feff}') {
            Some(text) if number == 1 => text,
            Some(_) | None => text,
        };
        Ok(Some(Line {
            number,
            length,
            text,
        }))
    }
}
