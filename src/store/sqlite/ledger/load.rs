//! Reading the ledger: all of it at the start, and later what others have done to it.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::count::Count;
use super::live::Uses;
use super::{Ledger, rows};
use crate::model::quota::{Counter, MessageKey, Subject};
use crate::store::sqlite::statements as sql;

/// A row of the ledger.
pub struct Entered {
    /// Its number.
    pub number: i64,
    /// Where it counts, and how much in which window; `None`: it is void.
    pub count: Option<(Counter, Count)>,
    /// The message, in the first row of a message.
    pub message: Option<MessageKey>,
}

impl Entered {
    /// From the columns of `ledger!()`.
    pub fn read(row: &Row<'_>, void: &HashMap<Subject, i64>) -> rusqlite::Result<Entered> {
        let number = row.get(0)?;
        let counter = rows::counter(row, 1)?;
        // Most of the time there is nothing to look for.
        let is_void = !void.is_empty()
            && void
                .get(&counter.subject)
                .is_some_and(|upto| number <= *upto);
        let count = rows::count(row, 3)?;
        Ok(Entered {
            number,
            count: (!is_void).then_some((counter, count)),
            message: rows::message(row, 5)?,
        })
    }

    /// Adds it to what is known.
    pub fn add_to(self, uses: &mut Uses) {
        if let Some((counter, count)) = self.count {
            uses.add(self.number, counter, count);
        }
        if let Some(message) = self.message {
            uses.add_message(message);
        }
    }
}

impl Ledger {
    /// Learns what other connections have committed. In a transaction.
    pub fn catch_up(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        if !self.live.is_loaded() {
            return self.load(connection);
        }
        let version = version(connection)?;
        if self.version == Some(version) {
            return Ok(());
        }
        let (first, last) = ends(connection)?;
        if first != self.first || last < self.last {
            // Folded by another process, or another ledger altogether.
            return self.load(connection);
        }
        // What was made void since the last time was so up to the row that is known as the last
        // one here, or a later one.
        for (subject, upto) in voids(connection, self.last)? {
            self.live.forget(&subject);
            self.void.insert(subject, upto);
        }
        let mut strangers = Vec::new();
        self.read_after(connection, self.last, |entered| strangers.push(entered))?;
        self.live.change(|uses| {
            strangers
                .into_iter()
                .for_each(|entered| entered.add_to(uses))
        });
        self.last = last;
        self.version = Some(version);
        Ok(())
    }

    /// Reads everything. In a transaction.
    fn load(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        // The old and the new one together would take too much memory.
        self.live.distrust();
        let version = version(connection)?;
        self.void = voids(connection, 0)?;
        let (first, last) = ends(connection)?;
        let mut uses = Uses::new();
        self.read_after(connection, 0, |entered| entered.add_to(&mut uses))?;
        (self.first, self.last) = (first, last);
        self.version = Some(version);
        self.live.load(uses);
        Ok(())
    }

    fn read_after(
        &self,
        connection: &Connection,
        after: i64,
        mut take: impl FnMut(Entered),
    ) -> rusqlite::Result<()> {
        let mut statement = connection.prepare_cached(sql::LEDGER_AFTER)?;
        let mut found = statement.query([after])?;
        while let Some(row) = found.next()? {
            take(Entered::read(row, &self.void)?);
        }
        Ok(())
    }
}

/// SQLite's mark: it changes when another connection has committed.
fn version(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached(sql::VERSION)?;
    statement.query_row([], |row| row.get(0))
}

/// The oldest row and the newest. Without rows, the oldest would be the first.
fn ends(connection: &Connection) -> rusqlite::Result<(i64, i64)> {
    let mut statement = connection.prepare_cached(sql::ENDS)?;
    statement.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))
}

/// Up to which row nothing of a subject counts, as far as that is this row or a later one.
pub fn voids(connection: &Connection, from: i64) -> rusqlite::Result<HashMap<Subject, i64>> {
    let mut statement = connection.prepare_cached(sql::VOIDS)?;
    let voids = statement.query_map([from], |row| Ok((rows::subject(row, 0)?, row.get(1)?)))?;
    voids.collect()
}
