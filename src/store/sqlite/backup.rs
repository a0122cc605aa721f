//! Copying a database that is in use, with SQLite's own means.
//!
//! The copy is made from one view, held open to the end: those who write meanwhile neither wait for it
//! nor make it begin anew (as they would if each step took a view of its own), and whatever one
//! transaction wrote is in it whole or not at all. Their writing stays in the log (`-wal`) until then.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::database::Database;
use super::schema;
use crate::store::StoreError;
use crate::store::backup::{BackupError, Copied, Progress};

/// Pages of a step, a mebibyte together: progress is told after each, and others get their turn.
const PAGES: i32 = 256;

/// Copies a database into a file that is there and empty, and reads the copy once more. One with the
/// tables of an older version is copied with them: that is the copy to go back to.
pub fn back_up(
    path: &Path,
    file: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    let database = &Database::new(path);
    let trouble = |error: rusqlite::Error| BackupError::Store(database.trouble(&error));
    let Some((source, identity)) = database.look()? else {
        let nothing = format!("there is nothing in {} yet", path.display());
        return Err(StoreError::Unusable(nothing).into());
    };
    let view = source.unchecked_transaction().map_err(trouble)?;
    // A view begins with the first look.
    let look = "SELECT page_size FROM pragma_page_size, sqlite_schema LIMIT 1";
    let page: u32 = view
        .query_row(look, [], |row| row.get(0))
        .map_err(trouble)?;
    copy(database, &view, file, page.into(), progress)?;
    identity.check()?;
    verify(file)
}

fn copy(
    database: &Database,
    view: &Connection,
    file: &Path,
    page: u64,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), BackupError> {
    let mut copy = open(file).map_err(unwritable)?;
    let backup = Backup::new(view, &mut copy).map_err(unwritable)?;
    loop {
        let step = backup.step(PAGES).map_err(|error| {
            // Which of the two files it was is not said.
            match database.trouble(&error) {
                StoreError::ReadOnly(_) => unwritable(error),
                other @ (StoreError::Busy(_)
                | StoreError::Unusable(_)
                | StoreError::Mismatch(_)) => other.into(),
            }
        })?;
        let pages = backup.progress();
        let bytes = |pages: i32| u64::try_from(pages).unwrap_or(0) * page;
        progress(Progress {
            copied: bytes(pages.pagecount - pages.remaining),
            total: bytes(pages.pagecount),
        });
        match step {
            StepResult::Done => break,
            StepResult::More => std::thread::yield_now(),
            StepResult::Busy | StepResult::Locked | _ => {
                let why = "somebody has locked it or the copy: try again in a moment";
                return Err(StoreError::Busy(why.to_owned()).into());
            }
        }
    }
    drop(backup);
    copy.close().map_err(|(_, error)| unwritable(error))
}

/// Nobody else uses the copy before it is whole, and whoever asked for it makes it durable.
fn open(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let copy = Connection::open_with_flags(file, flags)?;
    copy.pragma_update_and_check(None, "journal_mode", "off", |_| Ok(()))?;
    copy.pragma_update(None, "synchronous", "off")?;
    Ok(copy)
}

/// Reads the copy as a whole.
fn verify(file: &Path) -> Result<Copied, BackupError> {
    let damaged = |error: String| BackupError::Damaged(error);
    let copy = unchanging(file).map_err(|error| damaged(error.to_string()))?;
    let found: String = copy
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| damaged(error.to_string()))?;
    if found != "ok" {
        return Err(damaged(found));
    }
    let schema_version =
        schema::version(&copy, &schema::STATE).map_err(|error| damaged(error.to_string()))?;
    if schema_version == 0 {
        return Err(damaged("it is empty".to_owned()));
    }
    let bytes = fs::metadata(file)
        .map_err(|error| damaged(error.to_string()))?
        .len();
    Ok(Copied {
        bytes,
        schema_version,
    })
}

/// Opens a file for reading that nobody changes. Leaves nothing beside it, as looking at a database
/// with a log would. Every byte of the path is escaped: what a slash or a `?` says in a URI is not
/// what it says in a path.
fn unchanging(file: &Path) -> rusqlite::Result<Connection> {
    let mut uri = "file:".to_owned();
    for &byte in file.as_os_str().as_bytes() {
        uri.push_str(&format!("%{byte:02X}"));
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(uri, flags)
}

fn unwritable(error: rusqlite::Error) -> BackupError {
    BackupError::File(error.to_string())
}
