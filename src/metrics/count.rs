//! A number that only grows, and what a memory's hits and misses come to.

use std::sync::atomic::{AtomicU64, Ordering};

/// How often something has happened.
#[derive(Default, Debug)]
pub struct Count(AtomicU64);

impl Count {
    /// Once more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many times more.
    pub fn add(&self, many: u64) {
        self.0.fetch_add(many, Ordering::Relaxed);
    }

    /// How often until now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How often a memory knew the answer.
#[derive(Default, Debug)]
pub struct Hits {
    /// It did.
    pub hits: Count,
    /// It did not.
    pub misses: Count,
}

impl Hits {
    /// Counts a look-up that was a hit, or not.
    pub fn note(&self, hit: bool) {
        if hit {
            self.hits.up();
        } else {
            self.misses.up();
        }
    }
}
