//! What one group of charges changes, until it is committed.

use std::collections::{HashMap, HashSet};

use quick_cache::DefaultHashBuilder;
use rusqlite::Connection;

use super::count::Count;
use super::live::{Entry, Live};
use super::rows::base;
use crate::model::quota::{Counter, MessageKey};
use crate::store::Charge;

/// Counters and messages as they will be.
#[derive(Default)]
pub struct Sheet {
    counters: HashMap<Counter, Line, DefaultHashBuilder>,
    /// Those that were charged, before or in this group.
    charged: HashSet<MessageKey, DefaultHashBuilder>,
    /// Those of this group.
    messages: Vec<MessageKey>,
    rows: i64,
}

/// One counter.
struct Line {
    entry: Entry,
    /// Whether memory does not know it yet.
    new: bool,
}

impl Sheet {
    /// What memory knows of all that a group of charges is about: one look, for them all.
    pub fn of_charges<'a>(live: &Live, charges: impl IntoIterator<Item = &'a Charge>) -> Sheet {
        let mut sheet = Sheet::default();
        live.look(|uses| {
            for charge in charges {
                if uses.has_charged(&charge.key) {
                    sheet.charged.insert(charge.key);
                }
                for due in &charge.dues {
                    sheet.remember(&due.counter, uses.entry(&due.counter));
                }
            }
        });
        sheet
    }

    /// What memory knows of some counters.
    pub fn of_counters<'a>(live: &Live, counters: impl IntoIterator<Item = &'a Counter>) -> Sheet {
        let mut sheet = Sheet::default();
        live.look(|uses| {
            for counter in counters {
                sheet.remember(counter, uses.entry(counter));
            }
        });
        sheet
    }

    fn remember(&mut self, counter: &Counter, entry: Option<Entry>) {
        if let Some(entry) = entry {
            let line = Line { entry, new: false };
            self.counters.insert(counter.clone(), line);
        }
    }

    /// A counter as this group has left it so far, whole: read from the table if it must be.
    pub fn entry(&mut self, connection: &Connection, counter: &Counter) -> rusqlite::Result<Entry> {
        let known = self.counters.get(counter).map(|line| line.entry);
        if let Some(entry) = known.filter(|entry| entry.whole) {
            return Ok(entry);
        }
        let base = base(connection, counter)?;
        let entry = Entry {
            count: known.map_or(base, |entry| entry.count.and(base)),
            whole: true,
            last: known.map_or(0, |entry| entry.last),
        };
        self.set(counter, entry);
        Ok(entry)
    }

    /// Raises a counter to this, by one more row behind `last`; the number of the row.
    pub fn raise(&mut self, last: i64, counter: &Counter, count: Count) -> i64 {
        self.rows += 1;
        let last = last + self.rows;
        let whole = true;
        self.set(counter, Entry { count, whole, last });
        last
    }

    fn set(&mut self, counter: &Counter, entry: Entry) {
        let line = Line { entry, new: true };
        match self.counters.get_mut(counter) {
            Some(known) => *known = line,
            None => drop(self.counters.insert(counter.clone(), line)),
        }
    }

    /// This message is charged.
    pub fn note(&mut self, key: MessageKey) {
        self.charged.insert(key);
        self.messages.push(key);
    }

    /// Whether this message was charged, before or in this group.
    pub fn is_charged(&self, key: &MessageKey) -> bool {
        self.charged.contains(key)
    }

    /// How many rows the ledger has grown by.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Everybody may know it.
    pub fn publish(self, live: &Live) {
        let counters = self.counters.into_iter().filter(|(_, line)| line.new);
        live.publish(
            counters.map(|(counter, line)| (counter, line.entry)),
            self.messages,
        );
    }
}
