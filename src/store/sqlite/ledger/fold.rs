//! Folding: rows of the ledger that are old enough are added up in the table of counters, and go.
//!
//! Goes in small steps, each a transaction of its own between groups of charges. What a counter holds
//! is the same before and after a step. The newest row stays, so that a number never comes again.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::count::Count;
use super::load::Entered;
use super::sheet::Sheet;
use super::{Ledger, rows};
use crate::model::quota::{Counter, MessageKey};
use crate::store::sqlite::rows::integer;
use crate::store::sqlite::statements as sql;

/// How often a place in the ledger is marked with the time.
const MARK: Duration = Duration::from_secs(30);
/// A step is followed by a pause of so many times its length, but for a ledger that is too long.
const PAUSE: u32 = 10;
/// Beyond its bound, the ledger loses this part of what is too much at each step, so that it grows
/// no further however much is charged,
const PART: i64 = 16;
/// but not more rows than these at once.
const LONG_STEP: i64 = 2048;
/// After trouble.
const RETRY: Duration = Duration::from_secs(1);

/// When rows are folded.
#[derive(Clone, Copy, Debug)]
pub struct Upkeep {
    /// So long a row stays at least, and with it the memory of its message.
    pub keep: Duration,
    /// So many rows may wait; beyond, even younger ones are folded.
    pub most: i64,
    /// So many rows are folded in one step.
    pub step: i64,
}

impl Default for Upkeep {
    fn default() -> Upkeep {
        Upkeep {
            keep: Duration::from_secs(600),
            most: 1_000_000,
            step: 64,
        }
    }
}

/// When to fold what next. By the monotonic clock: the time of day, which rows have, may jump.
pub struct Folding {
    upkeep: Upkeep,
    /// Where the ledger ended when, oldest first.
    marks: VecDeque<(Instant, i64)>,
    /// The last row that was old enough at the last look.
    upto: i64,
    /// No step before then.
    next: Instant,
}

impl Folding {
    /// From now on.
    pub fn new(upkeep: Upkeep, now: Instant) -> Folding {
        Folding {
            upkeep,
            marks: VecDeque::new(),
            upto: 0,
            next: now,
        }
    }

    /// The last row of the step that is due now.
    pub fn due(&mut self, ledger: &Ledger, now: Instant) -> Option<i64> {
        self.look(ledger, now);
        if self.upto < ledger.first || now < self.next {
            return None;
        }
        let excess = ledger.length() - self.upkeep.most;
        let step = (excess / PART).clamp(self.upkeep.step, LONG_STEP);
        Some(self.upto.min(ledger.first + step - 1))
    }

    fn look(&mut self, ledger: &Ledger, now: Instant) {
        let newest = self.marks.back();
        if newest.is_none_or(|(at, last)| *last != ledger.last && now >= *at + self.between()) {
            self.marks.push_back((now, ledger.last));
        }
        let mut old = 0;
        while let Some((at, last)) = self.marks.front()
            && now >= *at + self.upkeep.keep
        {
            old = *last;
            self.marks.pop_front();
        }
        let surplus = ledger.last - self.upkeep.most;
        // The newest row stays.
        self.upto = self.upto.max(old).max(surplus).min(ledger.last - 1);
    }

    /// How far apart marks are: a row may stay so much longer.
    fn between(&self) -> Duration {
        MARK.min(self.upkeep.keep)
    }

    /// How long nothing is to be done here, if nothing is charged; `None`: for ever.
    pub fn patience(&self, ledger: &Ledger, now: Instant) -> Option<Duration> {
        if ledger.length() <= 1 {
            None
        } else if self.upto < ledger.first {
            Some(self.between())
        } else {
            Some(self.next.saturating_duration_since(now))
        }
    }

    /// A step has been taken, or was tried, from then to now.
    pub fn rest(&mut self, ledger: &Ledger, began: Instant, now: Instant, done: bool) {
        let too_long = ledger.length() > self.upkeep.most;
        self.next = match (done, too_long) {
            (true, true) => now,
            (true, false) => now + PAUSE * now.saturating_duration_since(began),
            (false, _) => now + RETRY,
        };
    }
}

/// Rows that are being folded.
pub struct Step {
    upto: i64,
    counters: HashMap<Counter, Count>,
    messages: Vec<MessageKey>,
}

impl Ledger {
    /// How many rows wait to be folded, with the last one, which stays.
    pub fn length(&self) -> i64 {
        self.last - self.first + 1
    }

    /// Adds up the rows up to this one. In a transaction, after [`Ledger::catch_up`].
    pub fn fold(&self, connection: &Connection, upto: i64) -> rusqlite::Result<Step> {
        // In catching up, it may have become another ledger.
        let upto = upto.min(self.last - 1).max(self.first - 1);
        let step = self.step(connection, upto)?;
        // A counter of which only rows are known must be known whole before they are rows no more.
        let mut whole = Sheet::of_counters(&self.live, step.counters.keys());
        for counter in step.counters.keys() {
            whole.entry(connection, counter)?;
        }
        whole.publish(&self.live);
        let mut add = connection.prepare_cached(sql::ADD_TO_COUNTER)?;
        for (counter, count) in &step.counters {
            add.execute(params![
                counter.subject,
                rows::kind(counter),
                count.starts,
                integer(count.used)?,
            ])?;
        }
        connection
            .prepare_cached(sql::REMOVE_ROWS)?
            .execute([upto])?;
        connection
            .prepare_cached(sql::REMOVE_VOIDS)?
            .execute([upto])?;
        Ok(step)
    }

    fn step(&self, connection: &Connection, upto: i64) -> rusqlite::Result<Step> {
        let mut step = Step {
            upto,
            counters: HashMap::new(),
            messages: Vec::new(),
        };
        let mut statement = connection.prepare_cached(sql::LEDGER_UPTO)?;
        let mut found = statement.query([upto])?;
        while let Some(row) = found.next()? {
            let Entered { count, message, .. } = Entered::read(row, &self.void)?;
            step.messages.extend(message);
            if let Some((counter, count)) = count {
                let sum = step.counters.entry(counter).or_insert(Count::NOTHING);
                *sum = sum.and(count);
            }
        }
        Ok(step)
    }

    /// The step is committed.
    pub fn folded(&mut self, step: &Step) {
        self.first = step.upto + 1;
        self.void.retain(|_, upto| *upto > step.upto);
        self.live
            .fold(step.upto, step.counters.keys(), &step.messages);
    }
}
