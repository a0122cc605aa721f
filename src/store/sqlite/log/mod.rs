//! The decision log in a SQLite file of its own.
//!
//! A power failure may cost the last lines that were written, never the file: nobody waits for the disk
//! here. What is forgotten leaves free pages, which new lines take.

mod names;
mod page;
mod statements;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use self::names::Names;
pub use self::page::SqliteLogReader;
use self::statements as sql;
use super::database::Database;
use super::file::Identity;
use super::questions::one;
use super::schema;
use crate::store::StoreError;
use crate::store::log::{Batch, Entry, LogWriter};

/// Lines of one segment. An index page holds some 200: a segment is 80 of them, which a group of lines
/// of as many users touches once each; 100 million lines are 6,000 segments to ask.
const SEGMENT: i64 = 16_384;
/// The log of changes shrinks to this size when it has been worked in.
const LOG_SIZE_LIMIT: i64 = 16 * 1024 * 1024;
/// Lines of the very same microsecond, as different processes may write them, that find a place.
pub const MAX_CROWD: i64 = 1000;

/// Appends to a file.
pub struct SqliteLogWriter {
    path: PathBuf,
    open: Option<Open>,
}

/// The file while all is well.
struct Open {
    database: Database,
    identity: Identity,
    connection: Connection,
    names: Names,
    segment: Segment,
}

/// The newest one.
#[derive(Clone, Default)]
struct Segment {
    number: i64,
    lines: i64,
    kinds: HashSet<i64>,
}

impl SqliteLogWriter {
    /// Nothing is touched yet.
    pub fn new(path: &Path) -> SqliteLogWriter {
        SqliteLogWriter {
            path: path.to_owned(),
            open: None,
        }
    }

    /// Does something with the open file. After an error it is opened anew the next time.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Open) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => Open::new(&self.path)?,
        };
        open.identity.check()?;
        let done = work(&mut open)?;
        self.open = Some(open);
        Ok(done)
    }
}

impl LogWriter for SqliteLogWriter {
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        self.with(|open| open.transact(|tables, state| state.append(tables, batch)))
    }

    fn trim(&mut self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        self.with(|open| open.transact(|tables, state| state.trim(tables, before, most)))
    }

    fn newest(&mut self) -> Result<Option<i64>, StoreError> {
        self.with(|open| {
            let newest = open.connection.query_row(sql::NEWEST, [], |row| row.get(0));
            newest.map_err(|error| open.database.trouble(&error))
        })
    }
}

/// What a transaction changes beside the tables.
struct State<'a> {
    names: &'a mut Names,
    segment: &'a mut Segment,
}

impl Open {
    fn new(path: &Path) -> Result<Open, StoreError> {
        let database = Database::holding(path, &schema::LOG);
        let (connection, identity) = database.open()?;
        let segment = set_up(&connection).and_then(|()| Segment::newest(&connection));
        let segment = segment.map_err(|error| database.trouble(&error))?;
        Ok(Open {
            database,
            identity,
            connection,
            names: Names::default(),
            segment,
        })
    }

    fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut State<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, StoreError> {
        let trouble = |error: rusqlite::Error| self.database.trouble(&error);
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(trouble)?;
        let mut state = State {
            names: &mut self.names,
            segment: &mut self.segment,
        };
        let done = work(&transaction, &mut state).map_err(trouble)?;
        // The last moment to notice that this would be written into the void.
        self.identity.check()?;
        transaction.commit().map_err(trouble)?;
        Ok(done)
    }
}

/// What is different from a database whose answers people wait for.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    let limit = ("journal_size_limit", LOG_SIZE_LIMIT);
    connection.pragma_update_and_check(None, limit.0, limit.1, |_| Ok(()))
}

impl Segment {
    fn newest(tables: &Connection) -> rusqlite::Result<Segment> {
        let last = one(tables, sql::LAST_SEGMENT, [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        let Some((number, lines)) = last else {
            return Ok(Segment::default());
        };
        let mut present = tables.prepare_cached(sql::PRESENT)?;
        let kinds = present.query_map([number], |row| row.get(0))?;
        Ok(Segment {
            number,
            lines,
            kinds: kinds.collect::<Result<_, _>>()?,
        })
    }

    /// Notes that it has a line of this kind.
    fn note(&mut self, tables: &Connection, kind: i64) -> rusqlite::Result<()> {
        if self.kinds.insert(kind) {
            let mut put = tables.prepare_cached(sql::PUT_PRESENT)?;
            put.execute([self.number, kind])?;
        }
        Ok(())
    }
}

impl State<'_> {
    fn append(&mut self, tables: &Connection, batch: &Batch) -> rusqlite::Result<()> {
        if self.segment.lines >= SEGMENT {
            *self.segment = Segment {
                number: self.segment.number + 1,
                ..Segment::default()
            };
        }
        let (mut first, mut last, mut lines) = (i64::MAX, i64::MIN, 0);
        for entry in batch.iter() {
            if let Some(number) = self.append_one(tables, &entry)? {
                (first, last, lines) = (first.min(number), last.max(number), lines + 1);
            }
        }
        if lines > 0 {
            let columns = [self.segment.number, first, last, lines];
            tables.prepare_cached(sql::PUT_SEGMENT)?.execute(columns)?;
            self.segment.lines += lines;
        }
        Ok(())
    }

    /// The number that the line got; `None`: it is there already.
    fn append_one(
        &mut self,
        tables: &Connection,
        entry: &Entry<'_>,
    ) -> rusqlite::Result<Option<i64>> {
        let kind = self.names.kind(tables, entry)?;
        self.segment.note(tables, kind)?;
        let who = self.names.who(tables, entry)?;
        let login = (entry.user != Some(entry.login)).then_some(entry.login);
        let header_from = header_from(entry);
        let mut append = tables.prepare_cached(sql::APPEND)?;
        for number in entry.id.number..entry.id.number + MAX_CROWD {
            let columns = params![
                number,
                entry.id.token,
                number.saturating_sub(entry.at.as_microsecond()),
                self.segment.number,
                kind,
                who,
                login,
                entry.client,
                entry.mail_from,
                header_from,
                entry.recipients,
                entry.queue_id,
                entry.micros,
                entry.reply,
            ];
            if append.execute(columns)? > 0 {
                return Ok(Some(number));
            }
            // A batch that comes again, after a commit of which nobody heard.
            if is_there(tables, number, &entry.id.token)? {
                return Ok(None);
            }
        }
        Ok(None)
    }

    fn trim(&mut self, tables: &Connection, before: Timestamp, most: u32) -> rusqlite::Result<u32> {
        let columns = params![before.as_microsecond(), most.saturating_sub(1)];
        let trimmed = tables.prepare_cached(sql::TRIM)?.execute(columns)?;
        if trimmed > 0 {
            let oldest: Option<i64> = tables.query_row(sql::OLDEST, [], |row| row.get(0))?;
            let columns = [oldest.unwrap_or(i64::MAX), self.segment.number];
            tables.prepare_cached(sql::TRIM_PRESENT)?.execute(columns)?;
            tables
                .prepare_cached(sql::TRIM_SEGMENTS)?
                .execute(columns)?;
        }
        Ok(u32::try_from(trimmed).unwrap_or(u32::MAX))
    }
}

fn is_there(tables: &Connection, number: i64, token: &[u8]) -> rusqlite::Result<bool> {
    let mut find = tables.prepare_cached(sql::FIND)?;
    let found = find.query_row(params![number, number + 1, token], |_| Ok(()));
    Ok(found.optional()?.is_some())
}

/// How the header From is stored: mostly it is the envelope sender.
fn header_from(entry: &Entry<'_>) -> Option<String> {
    let mut addresses = entry.header_from.iter();
    match (addresses.next(), addresses.next()) {
        (None, _) => None,
        (Some(only), None) if entry.mail_from == Some(only) => Some(String::new()),
        (Some(_), _) => {
            let all: Vec<_> = entry.header_from.iter().collect();
            Some(all.join("\n"))
        }
    }
}
