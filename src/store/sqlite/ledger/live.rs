//! What is known in memory of uses: read by whoever asks, written by the writer's thread alone.
//!
//! Holds nothing that is not in the file: what a group of charges changes comes here when the group
//! is committed. A counter with rows in the ledger always has an entry; of the others, as many are
//! remembered as there is room for.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use quick_cache::unsync::Cache;

use super::count::Count;
use super::rows::{held, kinds, seconds};
use super::shards::Shards;
use crate::model::quota::{Counter, MessageKey, Subject};
use crate::store::Held;

/// How many counters without rows in the ledger are remembered: a few MiB.
const IDLE: usize = 65_536;

/// The memory.
pub struct Live {
    uses: Mutex<Uses>,
}

/// What is known of a counter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it holds; if not `whole`, what its rows in the ledger hold.
    pub count: Count,
    /// Whether what has been folded is in `count` too.
    pub whole: bool,
    /// Its last row in the ledger; 0: none.
    pub last: i64,
}

/// All that is known.
pub struct Uses {
    /// Whether it can be relied on.
    loaded: bool,
    /// Rises when what a reader may be reading of the tables just now is no longer to be used.
    epoch: u64,
    /// Counters with rows in the ledger.
    busy: Shards<Counter, Entry>,
    /// Whole counts of others.
    idle: Cache<Counter, Count>,
    /// Messages with rows in the ledger.
    messages: Shards<MessageKey, ()>,
}

/// An answer from memory.
#[derive(PartialEq, Eq, Debug)]
pub enum Recalled {
    /// All of it.
    All(Vec<Held>),
    /// The tables must be asked for what has been folded of these counters.
    Missing {
        /// Those.
        counters: Vec<Counter>,
        /// To be handed back with what the tables say.
        epoch: u64,
    },
    /// Nothing can be said from memory.
    Nothing,
}

impl Live {
    /// Nothing is known yet.
    pub fn new() -> Live {
        Live {
            uses: Mutex::new(Uses::new()),
        }
    }

    fn uses(&self) -> MutexGuard<'_, Uses> {
        self.uses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether anything is known.
    pub fn is_loaded(&self) -> bool {
        self.uses().loaded
    }

    /// Relies on this from now on.
    pub fn load(&self, loaded: Uses) {
        let mut uses = self.uses();
        let epoch = uses.epoch + 1;
        *uses = Uses {
            loaded: true,
            epoch,
            ..loaded
        };
    }

    /// Forgets everything until it is loaded anew.
    pub fn distrust(&self) {
        let mut uses = self.uses();
        let epoch = uses.epoch + 1;
        *uses = Uses {
            epoch,
            ..Uses::new()
        };
    }

    /// What these counters hold, see [`crate::store::Store::used`].
    pub fn recall(&self, counters: &[(Counter, Timestamp)]) -> Recalled {
        self.uses().recall(counters)
    }

    /// To be handed back with what the tables say from now on.
    pub fn epoch(&self) -> u64 {
        self.uses().epoch
    }

    /// Takes in what the tables say about [`Recalled::Missing`] and answers again.
    pub fn learn(
        &self,
        folded: Vec<(Counter, Count)>,
        epoch: u64,
        counters: &[(Counter, Timestamp)],
    ) -> Recalled {
        let mut uses = self.uses();
        if !uses.loaded || uses.epoch != epoch {
            return Recalled::Nothing;
        }
        for (counter, base) in folded {
            uses.complete(counter, base);
        }
        uses.recall(counters)
    }

    /// Whether this message has been charged; `None`: cannot be said from memory.
    pub fn is_charged(&self, key: &MessageKey) -> Option<bool> {
        let uses = self.uses();
        uses.loaded.then(|| uses.has_charged(key))
    }

    /// Looks at what is known, as one.
    pub fn look(&self, look: impl FnOnce(&Uses)) {
        look(&self.uses());
    }

    /// Alters what is known, as one.
    pub fn change(&self, change: impl FnOnce(&mut Uses)) {
        change(&mut self.uses());
    }

    /// Takes over what is in the file now.
    pub fn publish(
        &self,
        counters: impl IntoIterator<Item = (Counter, Entry)>,
        messages: impl IntoIterator<Item = MessageKey>,
    ) {
        let mut uses = self.uses();
        for (counter, entry) in counters {
            uses.set(counter, entry);
        }
        for key in messages {
            uses.messages.insert(key, ());
        }
    }

    /// Rows of the ledger up to this one have been folded: those of these counters and messages.
    pub fn fold<'a>(
        &self,
        upto: i64,
        counters: impl IntoIterator<Item = &'a Counter>,
        messages: impl IntoIterator<Item = &'a MessageKey>,
    ) {
        let mut uses = self.uses();
        uses.epoch += 1;
        for counter in counters {
            if uses
                .busy
                .get(counter)
                .is_some_and(|entry| entry.last <= upto)
                && let Some(entry) = uses.busy.remove(counter)
                && entry.whole
            {
                uses.idle.insert(counter.clone(), entry.count);
            } else {
                // What the table says of it is no longer what it said.
                uses.idle.remove(counter);
            }
        }
        for key in messages {
            uses.messages.remove(key);
        }
    }

    /// Everything that a subject had used is worth nothing any more.
    pub fn forget(&self, subject: &Subject) {
        let mut uses = self.uses();
        uses.epoch += 1;
        for counter in kinds(subject) {
            uses.busy.remove(&counter);
            uses.idle.remove(&counter);
        }
    }
}

impl Uses {
    /// Nothing.
    pub fn new() -> Uses {
        Uses {
            loaded: false,
            epoch: 0,
            busy: Shards::new(),
            idle: Cache::new(IDLE),
            messages: Shards::new(),
        }
    }

    /// Adds a row of the ledger.
    pub fn add(&mut self, number: i64, counter: Counter, count: Count) {
        match self.busy.get_mut(&counter) {
            Some(entry) => {
                entry.count = entry.count.and(count);
                entry.last = number;
            }
            None => {
                let base = self.idle.remove(&counter).map(|(_, base)| base);
                let entry = Entry {
                    count: count.and(base.unwrap_or(Count::NOTHING)),
                    whole: base.is_some(),
                    last: number,
                };
                self.busy.insert(counter, entry);
            }
        }
    }

    /// Adds a message of the ledger.
    pub fn add_message(&mut self, key: MessageKey) {
        self.messages.insert(key, ());
    }

    /// Whether a message has rows in the ledger.
    pub fn has_charged(&self, key: &MessageKey) -> bool {
        self.messages.get(key).is_some()
    }

    /// What is known of a counter.
    pub fn entry(&self, counter: &Counter) -> Option<Entry> {
        self.busy.get(counter).copied().or_else(|| {
            Some(Entry {
                count: *self.idle.get(counter)?,
                whole: true,
                last: 0,
            })
        })
    }

    fn set(&mut self, counter: Counter, entry: Entry) {
        if let Some(known) = self.busy.get_mut(&counter) {
            *known = entry;
        } else if entry.last > 0 {
            self.idle.remove(&counter);
            self.busy.insert(counter, entry);
        } else {
            self.idle.insert(counter, entry.count);
        }
    }

    /// Adds what has been folded to what is known, unless it is in there.
    fn complete(&mut self, counter: Counter, base: Count) {
        match self.entry(&counter) {
            Some(entry) if entry.whole => {}
            Some(entry) => {
                let count = entry.count.and(base);
                let whole = true;
                self.set(
                    counter,
                    Entry {
                        count,
                        whole,
                        ..entry
                    },
                );
            }
            None => self.idle.insert(counter, base),
        }
    }

    fn recall(&self, counters: &[(Counter, Timestamp)]) -> Recalled {
        if !self.loaded {
            return Recalled::Nothing;
        }
        let mut used = Vec::with_capacity(counters.len());
        let mut missing = Vec::new();
        for (counter, starts) in counters {
            match self.entry(counter) {
                Some(entry) if entry.whole => {
                    used.push(held(entry.count.at(seconds(*starts))));
                }
                Some(_) | None => missing.push(counter.clone()),
            }
        }
        if missing.is_empty() {
            return Recalled::All(used);
        }
        Recalled::Missing {
            counters: missing,
            epoch: self.epoch,
        }
    }
}
