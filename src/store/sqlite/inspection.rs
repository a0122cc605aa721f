//! Whether a database file is whole: SQLite's own check, for a bounded time.

use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

use super::database::Database;
use crate::store::{Soundness, StoreError};

/// How many faults are named.
const FAULTS: u32 = 5;

/// Reads the pages of a database, for as long as `patience` lets. Beside a daemon that uses it, too.
pub fn inspect(path: &Path, patience: Duration) -> Result<Soundness, StoreError> {
    let database = Database::new(path);
    let connection = database.peek()?;
    let handle = connection.get_interrupt_handle();
    let (done, wait) = mpsc::channel::<()>();
    let watch = thread::spawn(move || {
        if wait.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            handle.interrupt();
        }
    });
    let checked = check(&connection);
    drop(done);
    // It only waits, and cannot panic.
    let _ = watch.join();
    match checked {
        Ok(words) if words == ["ok"] => Ok(Soundness::Whole),
        Ok(faults) => Ok(Soundness::Damaged(faults)),
        Err(error) => match error.sqlite_error_code() {
            Some(ErrorCode::OperationInterrupted) => Ok(Soundness::WholeSoFar),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Ok(Soundness::Damaged(vec![error.to_string()]))
            }
            Some(_) | None => Err(database.trouble(&error)),
        },
    }
}

fn check(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({FAULTS})"))?;
    let rows = statement.query_map((), |row| row.get(0))?;
    rows.collect()
}
