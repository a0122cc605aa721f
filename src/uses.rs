//! Who was used lately, gathered in memory and kept by the store now and then.
//!
//! `last_used_at` tells unused credentials from used ones; it need not be exact to the second, so
//! a user costs the store one write a minute at most, however much it sends.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use ipnet::IpNet;
use jiff::Timestamp;
use quick_cache::sync::Cache;

use crate::model::name::UserId;
use crate::store::Use;

/// How many users may wait to be written. One more is written at its next use.
const MAX_WAITING: usize = 50_000;

/// Uses that the store does not know yet.
pub struct Uses {
    waiting: Mutex<HashMap<(UserId, Option<IpNet>), Timestamp>>,
    /// The minute in which a user was last handed over.
    noted: Cache<(UserId, Option<IpNet>), i64>,
}

impl Default for Uses {
    fn default() -> Uses {
        Uses {
            waiting: Mutex::default(),
            noted: Cache::new(65_536),
        }
    }
}

impl Uses {
    /// A user logged in from a network, or had a message accepted.
    pub fn note(&self, user: UserId, network: Option<IpNet>, at: Timestamp) {
        let minute = at.as_second().div_euclid(60);
        if self.noted.get(&(user, network)) == Some(minute) {
            return;
        }
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MAX_WAITING {
            // Whole seconds, as all times of records are, so that an export loses nothing.
            let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
            waiting.insert((user, network), at);
            self.noted.insert((user, network), minute);
        }
    }

    /// Keeps what could not be stored for the next time, as far as there is room.
    pub fn put_back(&self, uses: Vec<Use>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        for Use { user, at, network } in uses {
            if waiting.len() >= MAX_WAITING {
                return;
            }
            // A later use may have come meanwhile.
            let latest = waiting.entry((user, network)).or_insert(at);
            *latest = at.max(*latest);
        }
    }

    /// Whether a user is known here to have logged in from a network since then. That it is not
    /// known here says nothing: the store remembers longer.
    pub fn noted_since(&self, user: UserId, network: IpNet, since: Timestamp) -> bool {
        let since = since.as_second().div_euclid(60);
        let noted = self.noted.get(&(user, Some(network)));
        noted.is_some_and(|minute| minute >= since)
    }

    /// What has gathered since the last time.
    pub fn take(&self) -> Vec<Use> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting)
            .into_iter()
            .map(|((user, network), at)| Use { user, at, network })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_stored_waits_and_yields_to_what_is_later() {
        let uses = Uses::default();
        let (first, second) = (UserId::new(), UserId::new());
        let at = |second| Timestamp::from_second(second).unwrap();
        uses.note(first, None, at(0));
        uses.note(second, None, at(0));
        let taken = uses.take();
        assert_eq!(taken.len(), 2);
        assert!(uses.take().is_empty());
        uses.note(first, None, at(120));
        uses.put_back(taken);
        let mut again: Vec<_> = uses.take().into_iter().map(|u| (u.user, u.at)).collect();
        again.sort();
        let mut expected = [(first, at(120)), (second, at(0))];
        expected.sort();
        assert_eq!(again, expected);
    }
}
