//! One database file: opening it, connections to it, and whether it can be used now.
//!
//! Everybody who wants to use it waits here for the opening, for a bounded time. Asks nothing of
//! the tables but their version.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, MAIN_DB, OpenFlags, ffi};

use super::file::{self, Identity};
use super::schema::{self, Schema, SchemaError};
use crate::clock::Clock;
use crate::store::figures::Figures;
use crate::store::{Age, StoreError, Trouble, Writing};

/// How long a connection waits for a lock of somebody else.
pub const BUSY: Duration = Duration::from_secs(2);
/// How long anybody waits for the database to be opened.
const PATIENCE: Duration = Duration::from_secs(5);
/// The log of changes shrinks to this size when it has been worked in.
const LOG_SIZE_LIMIT: i64 = 64 * 1024 * 1024;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Access {
    /// Looking things up.
    Read,
    /// Changing things.
    Write,
}

/// A database file and its state.
pub struct Database {
    path: PathBuf,
    schema: &'static Schema,
    clock: Clock,
    state: Mutex<State>,
    changed: Condvar,
    /// What was done with it.
    pub figures: Figures,
    writing: Mutex<Writing>,
}

enum State {
    /// Being made, migrated, or waited for.
    Opening,
    /// These files are it, for as long as this process runs.
    Open(Identity),
    /// The last try to open it failed so; there will be another.
    Failed(StoreError),
    Closed,
}

impl Database {
    /// Nothing is touched yet.
    pub fn new(path: &Path) -> Database {
        Database::holding(path, &schema::STATE)
    }

    /// One of another kind.
    pub fn holding(path: &Path, schema: &'static Schema) -> Database {
        Database {
            path: path.to_owned(),
            schema,
            clock: Clock::system(),
            state: Mutex::new(State::Opening),
            changed: Condvar::new(),
            figures: Figures::default(),
            writing: Mutex::default(),
        }
    }

    /// The monotonic time.
    pub fn now(&self) -> Instant {
        self.clock.instant()
    }

    /// Until when a question asked now may wait for the opening.
    pub fn deadline(&self) -> Instant {
        self.in_future(PATIENCE)
    }

    /// So long from now.
    pub fn in_future(&self, wait: Duration) -> Instant {
        self.clock.instant() + wait
    }

    /// How long it is until then.
    pub fn left_until(&self, then: Instant) -> Duration {
        then.saturating_duration_since(self.clock.instant())
    }

    /// Makes the file if there is none, brings its tables to the newest version, and lets the
    /// others in.
    pub fn open(&self) -> Result<(Connection, Identity), StoreError> {
        let opened = self.prepare();
        self.set(match &opened {
            Ok((_, identity)) => State::Open(identity.clone()),
            Err(error) => State::Failed(error.clone()),
        });
        opened
    }

    /// What the file is to this program; looks, and makes nothing.
    pub fn age(&self) -> Result<Age, StoreError> {
        let Some((connection, _)) = self.look()? else {
            return Ok(Age::Unborn);
        };
        let found = schema::version(&connection, self.schema).map_err(|e| self.mismatch(e))?;
        Ok(match self.schema.newest() {
            known if found < known => Age::Older { found, known },
            _ => Age::Current,
        })
    }

    /// Fails if a newer outgate has brought the database to another version since it was opened. Inside a
    /// transaction, which then is not committed: what is not known of the tables is not written into them.
    pub fn still_ours(&self, connection: &Connection) -> Result<(), StoreError> {
        let marked = schema::marked(connection).map_err(|error| self.trouble(&error))?;
        let known = self.schema.newest();
        match usize::try_from(marked) {
            Ok(found) if found == known => Ok(()),
            Ok(_) | Err(_) => Err(self.not_for_us(format!(
                "was brought from schema version {known} to {marked} while it was in use: restart outgate, which \
                 is older than whoever did that"
            ))),
        }
    }

    fn prepare(&self) -> Result<(Connection, Identity), StoreError> {
        file::create(&self.path).map_err(|error| {
            self.unusable(format!(
                "cannot be made: {error}; make its directory, or name another file in [store] url"
            ))
        })?;
        let mut connection = self.connection(Access::Write)?;
        let found = schema::version(&connection, self.schema)
            .and_then(|_| write_ahead(&connection))
            .and_then(|()| schema::migrate(&mut connection, self.schema))
            .map_err(|error| self.mismatch(error))?;
        let known = self.schema.newest();
        if (1..known).contains(&found) {
            let path = self.path.display();
            tracing::info!("{path} was brought from schema version {found} to {known}");
        }
        let identity = self.identity()?;
        Ok((connection, identity))
    }

    /// Opens what is there for reading; `None`: no such file, or nobody has made its tables yet.
    pub fn look(&self) -> Result<Option<(Connection, Identity)>, StoreError> {
        let there = self.path.try_exists();
        if !there.map_err(|error| self.unusable(format!("cannot be looked at: {error}")))? {
            return Ok(None);
        }
        let connection = self.connection(Access::Read)?;
        let version = schema::version(&connection, self.schema);
        if version.map_err(|error| self.mismatch(error))? == 0 {
            return Ok(None);
        }
        let identity = self.identity()?;
        Ok(Some((connection, identity)))
    }

    fn identity(&self) -> Result<Identity, StoreError> {
        Identity::of(&self.path)
            .map_err(|error| self.unusable(format!("cannot be looked at: {error}")))
    }

    fn mismatch(&self, error: SchemaError) -> StoreError {
        match error {
            SchemaError::Sqlite(error) => self.trouble(&error),
            SchemaError::Step {
                found,
                known,
                error,
            } => self.not_migrated(found, known, &error),
            SchemaError::Newer { .. } | SchemaError::Foreign => self.not_for_us(error.to_string()),
            SchemaError::NoSharedMemory(_) => self.unusable(error.to_string()),
        }
    }

    /// Time may mend what is in the way of a new version, or not; the database is what it was.
    fn not_migrated(&self, found: usize, known: usize, error: &rusqlite::Error) -> StoreError {
        let path = self.path.display();
        let kept = format!(
            "{path} was not brought from schema version {found} to {known}, and is as it was"
        );
        match self.trouble(error) {
            StoreError::Busy(why) => StoreError::Busy(format!("{kept}: {why}")),
            StoreError::ReadOnly(why) => StoreError::ReadOnly(format!("{kept}: {why}")),
            StoreError::Unusable(why) | StoreError::Mismatch(why) => StoreError::Unusable(format!(
                "{kept}: {why}; go back to the outgate that wrote it, and report this"
            )),
        }
    }

    /// Waits until the database is open, but not longer than until then.
    pub fn wait(&self, deadline: Instant) -> Result<Identity, StoreError> {
        let patience = self.left_until(deadline);
        let opening = |state: &mut State| matches!(state, State::Opening);
        let (state, _) = self
            .changed
            .wait_timeout_while(self.lock(), patience, opening)
            .unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(identity) => Ok(identity.clone()),
            State::Failed(error) => Err(error.clone()),
            State::Closed => Err(self.closed()),
            State::Opening => Err(StoreError::Busy(format!(
                "{} is still being opened: try again in a moment",
                self.path.display()
            ))),
        }
    }

    /// Like [`Database::wait`], and as long as that takes with a database that another process
    /// has locked: for those who have nothing else to do.
    pub fn insist(&self) -> Result<(), StoreError> {
        let deadline = self.deadline();
        loop {
            let state = match self.wait(deadline) {
                Ok(_) => return Ok(()),
                Err(StoreError::Busy(_)) if self.clock.instant() < deadline => self.lock(),
                Err(error) => return Err(error),
            };
            let left = self.left_until(deadline);
            let locked = |state: &mut State| matches!(state, State::Failed(StoreError::Busy(_)));
            drop(self.changed.wait_timeout_while(state, left, locked));
        }
    }

    /// Another connection to the opened database, and never to one that has taken its place.
    pub fn connect(&self, identity: &Identity, access: Access) -> Result<Connection, StoreError> {
        identity.check()?;
        let connection = self.connection(access)?;
        identity.check()?;
        Ok(connection)
    }

    /// What came of writing something.
    pub fn wrote(&self, error: Option<&StoreError>) {
        let now = self.clock.now();
        let mut writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        if error.is_none() {
            writing.committed_at = Some(now);
        }
        writing.trouble = Trouble::after(writing.trouble.as_ref(), error.cloned(), now);
    }

    /// How writing goes.
    pub fn writing(&self) -> Writing {
        let writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        writing.clone()
    }

    /// A connection to whatever is there now, for looking at the file and not at the tables.
    pub fn peek(&self) -> Result<Connection, StoreError> {
        self.connection(Access::Read)
    }

    /// Nobody gets in any more.
    pub fn close(&self) {
        self.set(State::Closed);
    }

    fn connection(&self, access: Access) -> Result<Connection, StoreError> {
        // No SQLITE_OPEN_CREATE: files are made in one place, with the right mode.
        let flags = match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
        };
        let flags = flags | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connect = || {
            let connection = Connection::open_with_flags(&self.path, flags)?;
            // SQLite quietly opens a file that it may not write for reading. Before it reads,
            // which would leave an index (`-shm`) behind that nobody may write either.
            if access == Access::Write && connection.is_readonly(MAIN_DB)? {
                return Ok(None);
            }
            set_up(&connection, access)?;
            Ok(Some(connection))
        };
        match connect() {
            Ok(Some(connection)) => Ok(connection),
            Ok(None) => Err(self.not_writable("its mode, owner or file system forbids it")),
            Err(error) => Err(self.trouble(&error)),
        }
    }

    /// What SQLite's error means to those who ask.
    pub fn trouble(&self, error: &rusqlite::Error) -> StoreError {
        let path = self.path.display();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy(format!(
                "{path} is in use by another process: try again in a moment ({error})"
            )),
            Some(ErrorCode::DiskFull) => {
                StoreError::ReadOnly(format!("there is no space for {path}: make some ({error})"))
            }
            Some(ErrorCode::SystemIoFailure) if is_about_writing(error) => {
                StoreError::ReadOnly(format!(
                    "its disk takes nothing for {path}: look at its space and health ({error})"
                ))
            }
            Some(ErrorCode::ReadOnly) => self.not_writable(error),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => self.unusable(format!(
                "is damaged, or no database: put a good copy in its place ({error})"
            )),
            Some(_) | None => self.unusable(format!("failed: {error}")),
        }
    }

    /// What those hear who come too late.
    pub fn closed(&self) -> StoreError {
        self.unusable("has been closed".to_owned())
    }

    /// What those hear who come when too many wait.
    pub fn crowded(&self) -> StoreError {
        StoreError::Busy(format!("too many wait for {}", self.path.display()))
    }

    fn not_writable(&self, why: impl fmt::Display) -> StoreError {
        let path = self.path.display();
        StoreError::ReadOnly(format!("give this user the right to write {path} ({why})"))
    }

    fn unusable(&self, what: String) -> StoreError {
        StoreError::Unusable(format!("{} {what}", self.path.display()))
    }

    fn not_for_us(&self, what: String) -> StoreError {
        StoreError::Mismatch(format!("{} {what}", self.path.display()))
    }

    fn set(&self, state: State) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether an I/O error is one of writing. A disk without space is called so too, where it is the
/// index (`-shm`) that finds none; that passes, and must not end a daemon that starts.
fn is_about_writing(error: &rusqlite::Error) -> bool {
    let writing = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_SHMSIZE,
    ];
    error
        .sqlite_error()
        .is_some_and(|error| writing.contains(&error.extended_code))
}

/// Settings of a connection. They last as long as it does.
pub fn set_up(connection: &Connection, access: Access) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Plans that depend on nothing but the tables. Without this, SQLite parses a statement anew each
    // time that it gets other parameters, which costs more than the look-up itself.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    // FULL: what was answered survives a power failure. A suspension must not vanish.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    match access {
        Access::Read => Ok(()),
        Access::Write => {
            let limit = ("journal_size_limit", LOG_SIZE_LIMIT);
            connection.pragma_update_and_check(None, limit.0, limit.1, |_| Ok(()))
        }
    }
}

/// Readers and one writer beside each other. The mode stays with the file.
fn write_ahead(connection: &Connection) -> Result<(), SchemaError> {
    let mode = |row: &rusqlite::Row<'_>| row.get::<_, String>(0);
    let now = connection.pragma_query_value(None, "journal_mode", mode)?;
    if now != "wal" {
        let now = connection.pragma_update_and_check(None, "journal_mode", "wal", mode)?;
        if now != "wal" {
            return Err(SchemaError::NoSharedMemory(now));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_is_waited_for_and_one_that_gives_nothing_is_not() {
        let database = Database::new(Path::new("outgate.db"));
        let trouble = |code| {
            let error = ffi::Error::new(code);
            database.trouble(&rusqlite::Error::SqliteFailure(error, None))
        };
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR_SHMSIZE,
            ffi::SQLITE_IOERR_WRITE,
            ffi::SQLITE_IOERR_FSYNC,
        ] {
            assert!(matches!(trouble(code), StoreError::ReadOnly(_)), "{code}");
        }
        for code in [ffi::SQLITE_IOERR_READ, ffi::SQLITE_CORRUPT] {
            assert!(matches!(trouble(code), StoreError::Unusable(_)), "{code}");
        }
    }
}
