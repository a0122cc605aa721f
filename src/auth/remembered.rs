//! Passwords that were right a short while ago, so that a program that logs in for every message
//! does not cost a hash each time.
//!
//! Only the fact that a password is right is remembered. IP list, status and throttle are judged
//! anew at each login, and whatever raises the version of a credential changes the fingerprint.

use std::time::{Duration, Instant};

use quick_cache::sync::Cache;

use super::fingerprint::Fingerprint;
use crate::metrics::Hits;

/// How many are remembered: 4 MiB.
const CAPACITY: usize = 65_536;

/// Right passwords, and when they were found right.
pub struct Remembered {
    right: Cache<Fingerprint, Instant>,
    /// How often a password was known to be right.
    pub hits: Hits,
}

impl Default for Remembered {
    fn default() -> Remembered {
        Remembered {
            right: Cache::new(CAPACITY),
            hits: Hits::default(),
        }
    }
}

impl Remembered {
    /// Whether this password was found right within `ttl`.
    pub fn knows(&self, print: Fingerprint, ttl: Duration, now: Instant) -> bool {
        let known = match self.right.get(&print) {
            Some(since) if now.saturating_duration_since(since) < ttl => true,
            Some(_) => {
                self.right.remove(&print);
                false
            }
            None => false,
        };
        self.hits.note(known);
        known
    }

    /// How many are remembered, those whose time is over among them.
    pub fn len(&self) -> usize {
        self.right.len()
    }

    /// This password has just been found right.
    pub fn add(&self, print: Fingerprint, now: Instant) {
        self.right.insert(print, now);
    }
}
