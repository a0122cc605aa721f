//! What a store did, counted; and whether the last thing that it wrote was written.
//!
//! Kept by stores, read by whoever shows it. No decision depends on it.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Charged, StoreError};
use crate::metrics::{Count, DURATIONS, Distribution, Histogram};

/// The upper bounds of classes for jobs that are committed together.
const GROUPS: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];

/// How long a failure to write speaks for the present. Where nothing more is written, nothing shows
/// that its cause is gone.
const RECENT: Duration = Duration::from_secs(60);

/// What a store counts.
pub struct Figures {
    commits: Histogram,
    jobs: Histogram,
    failed: Count,
    /// In the order of [`outcome`].
    charges: [Count; 4],
    /// The last commit, if it failed.
    failure: Mutex<Option<(Instant, StoreError)>>,
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
            failure: Mutex::default(),
        }
    }
}

impl Figures {
    /// A group of jobs was committed, or was not.
    pub fn commit(&self, jobs: usize, began: Instant, now: Instant, failed: Option<&StoreError>) {
        let mut failure = self.failure();
        *failure = failed.map(|error| (now, error.clone()));
        drop(failure);
        if failed.is_some() {
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

    /// Why the last group could not be written, if that was lately.
    pub fn trouble(&self, now: Instant) -> Option<StoreError> {
        let failure = self.failure();
        let (when, error) = failure.as_ref()?;
        (now.saturating_duration_since(*when) < RECENT).then(|| error.clone())
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

    fn failure(&self) -> MutexGuard<'_, Option<(Instant, StoreError)>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
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
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_failure_speaks_until_something_is_written_or_for_a_minute() {
        let figures = Figures::default();
        let began = Clock::system().instant();
        let at = |seconds| began + Duration::from_secs(seconds);
        let full = StoreError::ReadOnly("no space".to_owned());
        figures.commit(3, began, at(1), Some(&full));
        assert_eq!(figures.trouble(at(60)), Some(full.clone()));
        assert_eq!(figures.trouble(at(61)), None);
        figures.commit(3, at(61), at(62), Some(&full));
        assert!(figures.trouble(at(63)).is_some());
        figures.commit(3, at(63), at(64), None);
        assert_eq!(figures.trouble(at(65)), None);
        let read = figures.read(0);
        assert_eq!(
            (read.failed, read.commits.count(), read.jobs.sum),
            (2, 1, 3)
        );
    }
}
