//! What operators see and do of uses, inside their transaction.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::count::Count;
use super::load::{Entered, voids};
use super::rows;
use crate::model::quota::{Counter, Subject, Usage};
use crate::store::changed::Changed;
use crate::store::sqlite::questions::one;
use crate::store::sqlite::rows::{damaged, time};
use crate::store::sqlite::statements as sql;
use crate::store::{Change, Reset};

/// From how many subjects on the ledger is read as a whole, and not once for each.
const FEW: usize = 2;

/// What subjects have in the ledger, as one transaction sees it. Reading it for one subject costs
/// as much as reading it for all, so it is kept: in one map, as there may be a million.
#[derive(Default)]
pub struct Unfolded {
    counts: HashMap<Counter, Count>,
    /// Those that were read by themselves.
    subjects: HashSet<Subject>,
    /// Whether all were read.
    complete: bool,
}

impl Unfolded {
    /// What a counter holds in the window that began then.
    pub fn used(
        &mut self,
        connection: &Connection,
        counter: &Counter,
        starts: Timestamp,
    ) -> rusqlite::Result<u64> {
        let base = rows::base(connection, counter)?;
        self.know(connection, &counter.subject)?;
        let rows = self.counts.get(counter).copied();
        let whole = base.and(rows.unwrap_or(Count::NOTHING));
        Ok(whole.at(rows::seconds(starts)).used)
    }

    /// What the counters of a subject hold, each in its own window.
    pub fn uses(
        &mut self,
        connection: &Connection,
        subject: &Subject,
    ) -> rusqlite::Result<Vec<Usage>> {
        let counts = self.counts(connection, subject)?;
        let known = |counter: Counter| Some((counts.get(&rows::kind(&counter))?, counter));
        rows::kinds(subject)
            .filter_map(known)
            .map(|(count, counter)| {
                Ok(Usage {
                    window: counter.window,
                    unit: counter.unit,
                    starts: Timestamp::from_second(count.starts).map_err(|e| damaged(1, e))?,
                    used: count.used,
                })
            })
            .collect()
    }

    /// How many counters of a subject hold something.
    pub fn held(&mut self, connection: &Connection, subject: &Subject) -> rusqlite::Result<u64> {
        let counts = self.counts(connection, subject)?;
        Ok(counts.values().filter(|count| count.used > 0).count() as u64)
    }

    /// Sets a subject's counters to 0.
    ///
    /// Rows of the ledger stay until they are folded, so that this costs the same however many
    /// there are, and a message that was charged is still known.
    pub fn forget(
        &mut self,
        connection: &Connection,
        subject: &Subject,
        changed: &mut Changed,
    ) -> rusqlite::Result<()> {
        self.subjects.remove(subject);
        for counter in rows::kinds(subject) {
            self.counts.remove(&counter);
        }
        let run = |sql| connection.prepare_cached(sql)?.execute([subject]);
        if run(sql::FORGET_COUNTERS)? + run(sql::VOID)? > 0 {
            changed.note(Change::Quota(subject.clone()));
        }
        Ok(())
    }

    /// Forgets all about a subject that is gone.
    pub fn remove(
        &mut self,
        connection: &Connection,
        subject: &Subject,
        changed: &mut Changed,
    ) -> rusqlite::Result<()> {
        self.forget(connection, subject, changed)?;
        connection
            .prepare_cached(sql::REMOVE_RESET)?
            .execute([subject])?;
        Ok(())
    }

    /// Everything that counts for a subject, by kind.
    fn counts(
        &mut self,
        connection: &Connection,
        subject: &Subject,
    ) -> rusqlite::Result<HashMap<i64, Count>> {
        self.know(connection, subject)?;
        let known = |counter: Counter| Some((rows::kind(&counter), *self.counts.get(&counter)?));
        let mut counts: HashMap<i64, Count> = rows::kinds(subject).filter_map(known).collect();
        let mut statement = connection.prepare_cached(sql::COUNTERS)?;
        let mut found = statement.query([subject])?;
        while let Some(row) = found.next()? {
            let whole = counts.entry(row.get(0)?).or_insert(Count::NOTHING);
            *whole = whole.and(rows::count(row, 1)?);
        }
        Ok(counts)
    }

    /// Reads what a subject has in the ledger, unless that was done.
    fn know(&mut self, connection: &Connection, subject: &Subject) -> rusqlite::Result<()> {
        if self.complete || self.subjects.contains(subject) {
            return Ok(());
        }
        if self.subjects.len() >= FEW {
            return self.read_all(connection);
        }
        self.read(connection, subject)?;
        self.subjects.insert(subject.clone());
        Ok(())
    }

    fn read(&mut self, connection: &Connection, subject: &Subject) -> rusqlite::Result<()> {
        let void = one(connection, sql::VOID_OF, [subject], |row| row.get(0))?;
        let mut counts: HashMap<i64, Count> = HashMap::new();
        let mut statement = connection.prepare_cached(sql::UNFOLDED)?;
        let mut found = statement.query(params![subject, void.unwrap_or(0_i64)])?;
        while let Some(row) = found.next()? {
            let sum = counts.entry(row.get(0)?).or_insert(Count::NOTHING);
            *sum = sum.and(rows::count(row, 1)?);
        }
        let counted = |counter: Counter| {
            let count = *counts.get(&rows::kind(&counter))?;
            Some((counter, count))
        };
        self.counts.extend(rows::kinds(subject).filter_map(counted));
        Ok(())
    }

    fn read_all(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        self.counts.clear();
        self.subjects.clear();
        let void = voids(connection, 0)?;
        let mut statement = connection.prepare_cached(sql::LEDGER_AFTER)?;
        let mut found = statement.query([0])?;
        while let Some(row) = found.next()? {
            if let Some((counter, count)) = Entered::read(row, &void)?.count {
                let sum = self.counts.entry(counter).or_insert(Count::NOTHING);
                *sum = sum.and(count);
            }
        }
        self.complete = true;
        Ok(())
    }
}

/// Keeps who set a subject's counters to 0.
pub fn note_reset(
    connection: &Connection,
    subject: &Subject,
    reset: &Reset,
) -> rusqlite::Result<()> {
    let parameters = params![subject, reset.at.as_microsecond(), reset.by];
    connection
        .prepare_cached(sql::PUT_RESET)?
        .execute(parameters)?;
    Ok(())
}

/// Who last set a subject's counters to 0.
pub fn last_reset(connection: &Connection, subject: &Subject) -> rusqlite::Result<Option<Reset>> {
    one(connection, sql::RESET, [subject], |row| {
        Ok(Reset {
            at: time(row, 0)?,
            by: row.get(1)?,
        })
    })
}
