//! What one group of charges changes, until it is committed.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::count::Count;
use super::live::{Entry, Live};
use super::rows::base;
use crate::model::quota::{Counter, MessageKey};

/// Counters and messages as they will be.
#[derive(Default)]
pub struct Sheet {
    counters: HashMap<Counter, Entry>,
    messages: HashSet<MessageKey>,
    rows: i64,
}

impl Sheet {
    /// A counter as this group has left it so far, whole: read from the table if it must be.
    pub fn entry(
        &mut self,
        live: &Live,
        connection: &Connection,
        counter: &Counter,
    ) -> rusqlite::Result<Entry> {
        if let Some(entry) = self.counters.get(counter) {
            return Ok(*entry);
        }
        let known = live.entry(counter);
        if let Some(entry) = known.filter(|entry| entry.whole) {
            return Ok(entry);
        }
        let base = base(connection, counter)?;
        let entry = Entry {
            count: known.map_or(base, |entry| entry.count.and(base)),
            whole: true,
            last: known.map_or(0, |entry| entry.last),
        };
        self.counters.insert(counter.clone(), entry);
        Ok(entry)
    }

    /// Raises a counter to this, by one more row behind `last`; the number of the row.
    pub fn raise(&mut self, last: i64, counter: &Counter, count: Count) -> i64 {
        self.rows += 1;
        let last = last + self.rows;
        let whole = true;
        let entry = Entry { count, whole, last };
        match self.counters.get_mut(counter) {
            Some(known) => *known = entry,
            None => drop(self.counters.insert(counter.clone(), entry)),
        }
        last
    }

    /// This message is charged.
    pub fn note(&mut self, key: MessageKey) {
        self.messages.insert(key);
    }

    /// Whether this message was charged in this group.
    pub fn is_charged(&self, key: &MessageKey) -> bool {
        self.messages.contains(key)
    }

    /// How many rows the ledger has grown by.
    pub fn rows(&self) -> i64 {
        self.rows
    }

    /// Everybody may know it.
    pub fn publish(self, live: &Live) {
        live.publish(self.counters, self.messages);
    }
}
