//! Uses in memory: what was charged to whom. The plain meaning of [`crate::store::Store::charge`],
//! which other stores are measured against.

use std::collections::{HashMap, HashSet};

use jiff::Timestamp;

use crate::model::quota::{Counter, MessageKey, Subject, Usage};
use crate::store::{Charge, Charged, Due, Held, Reset};

/// Everything that was charged, and who set it to 0.
#[derive(Default)]
pub struct Tally {
    counters: HashMap<Counter, Count>,
    messages: HashSet<MessageKey>,
    resets: HashMap<Subject, Reset>,
}

/// What a counter holds, and when its window began.
#[derive(Clone, Copy)]
struct Count {
    starts: Timestamp,
    used: u64,
}

/// What a transaction does to a subject.
#[derive(Clone)]
pub enum Forgetting {
    /// Its uses are 0 from now on.
    Reset(Reset),
    /// It is gone.
    Removed,
}

impl Tally {
    /// All dues of a message, or none.
    pub fn charge(&mut self, charge: &Charge) -> Charged {
        if charge.dues.is_empty() {
            return Charged::Done;
        }
        if self.messages.contains(&charge.key) {
            return Charged::Already;
        }
        let mut raised: HashMap<&Counter, Count> = HashMap::new();
        for (index, due) in charge.dues.iter().enumerate() {
            let known = raised.get(&due.counter);
            let before = known.or_else(|| self.counters.get(&due.counter)).copied();
            let now = before.map_or(Count::new(due), |count| count.at(due.starts));
            let sum = now.used.saturating_add(due.amount.min(u32::MAX.into()));
            if due.limit > 0 && sum > due.limit {
                let used = now.used;
                return Charged::Over { due: index, used };
            }
            raised.insert(&due.counter, Count { used: sum, ..now });
        }
        let raised = raised.into_iter();
        self.counters
            .extend(raised.map(|(counter, count)| (counter.clone(), count)));
        self.messages.insert(charge.key);
        Charged::Done
    }

    /// See [`crate::store::Store::used`].
    pub fn held_at(&self, counter: &Counter, starts: Timestamp) -> Held {
        let nothing = Held { starts, used: 0 };
        let count = self.counters.get(counter).map(|count| count.at(starts));
        count.map_or(nothing, |Count { starts, used }| Held { starts, used })
    }

    /// See [`crate::store::Store::is_charged`].
    pub fn is_charged(&self, key: MessageKey) -> bool {
        self.messages.contains(&key)
    }

    /// What the counters of a subject hold, each in its own window.
    pub fn uses(&self, subject: &Subject) -> Vec<Usage> {
        let counters = self.counters.iter();
        let theirs = counters.filter(|(counter, _)| counter.subject == *subject);
        theirs
            .map(|(counter, count)| Usage {
                window: counter.window,
                unit: counter.unit,
                starts: count.starts,
                used: count.used,
            })
            .collect()
    }

    /// How many counters of a subject hold something.
    pub fn held(&self, subject: &Subject) -> usize {
        let counters = self.counters.iter();
        let held =
            counters.filter(|(counter, count)| counter.subject == *subject && count.used > 0);
        held.count()
    }

    /// Who last set the uses of this subject to 0.
    pub fn last_reset(&self, subject: &Subject) -> Option<&Reset> {
        self.resets.get(subject)
    }

    /// Does what a transaction wanted.
    pub fn forget(&mut self, subject: Subject, forgetting: Forgetting) {
        self.counters
            .retain(|counter, _| counter.subject != subject);
        match forgetting {
            Forgetting::Reset(reset) => drop(self.resets.insert(subject, reset)),
            Forgetting::Removed => drop(self.resets.remove(&subject)),
        }
    }
}

impl Count {
    fn new(due: &Due) -> Count {
        Count {
            starts: due.starts,
            used: 0,
        }
    }

    /// In the later of its own window and the one that began then.
    fn at(self, starts: Timestamp) -> Count {
        if starts > self.starts {
            Count { starts, used: 0 }
        } else {
            self
        }
    }
}
