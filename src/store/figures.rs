//! What a store did, counted.
//!
//! Kept by stores, read by whoever shows it. No decision depends on it.

use std::time::Instant;

use super::{Charged, StoreError};
use crate::metrics::{Count, DURATIONS, Distribution, Histogram};

/// The upper bounds of classes for jobs that are committed together.
const GROUPS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// What a store counts.
pub struct Figures {
    commits: Histogram,
    jobs: Histogram,
    failed: Count,
    /// In the order of [`outcome`].
    charges: [Count; 4],
}

/// The figures at one moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reading {
    /// How long groups of jobs took that were committed, in nanoseconds, waiting for locks included.
    pub commits: Distribution,
    /// How many jobs they were.
    pub jobs: Distribution,
    /// Groups that were not.
    pub failed: u64,
    /// What charges came to, by the name of the outcome.
    pub charges: [(&'static str, u64); 4],
    /// Jobs that wait to be written.
    pub waiting: u64,
}

impl Default for Figures {
    fn default() -> Figures {
        Figures {
            commits: Histogram::new(DURATIONS),
            jobs: Histogram::new(GROUPS),
            failed: Count::default(),
            charges: Default::default(),
        }
    }
}

impl Figures {
    /// A group of jobs was committed, or was not.
    pub fn commit(&self, jobs: usize, began: Instant, now: Instant, written: bool) {
        if !written {
            self.failed.up();
        } else {
            self.commits.time(now.saturating_duration_since(began));
            self.jobs.add(u64::try_from(jobs).unwrap_or(u64::MAX));
        }
    }

    /// Something came of a charge.
    pub fn charge(&self, charged: &Result<Charged, StoreError>) {
        if let Some(count) = self.charges.get(outcome(charged)) {
            count.up();
        }
    }

    /// All of them. So many jobs are waiting.
    pub fn read(&self, waiting: u64) -> Reading {
        let [done, repeated, over, failed] = &self.charges;
        Reading {
            commits: self.commits.read(),
            jobs: self.jobs.read(),
            failed: self.failed.get(),
            charges: [
                ("charged", done.get()),
                ("repeated", repeated.get()),
                ("over-limit", over.get()),
                ("failed", failed.get()),
            ],
            waiting,
        }
    }
}

fn outcome(charged: &Result<Charged, StoreError>) -> usize {
    match charged {
        Ok(Charged::Done) => 0,
        Ok(Charged::Already) => 1,
        Ok(Charged::Over { .. }) => 2,
        Err(_) => 3,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::Clock;

    #[test]
    fn what_was_not_written_is_counted_by_itself() {
        let figures = Figures::default();
        let began = Clock::system().instant();
        figures.commit(3, began, began, false);
        figures.commit(2, began, began + Duration::from_secs(1), true);
        let read = figures.read(0);
        assert_eq!(
            (read.failed, read.commits.count(), read.jobs.sum),
            (1, 1, 2)
        );
    }
}
