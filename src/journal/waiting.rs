//! Lines on their way into the store: a bounded buffer in memory. Handing one over never waits and, in the usual
//! case, allocates nothing.
//!
//! When it is full, lines of what was allowed are left out first: what was refused has room of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::store::log::{Batch, Entry};

/// Lines that are written together at the most.
pub const TOGETHER: usize = 1024;

/// How much may wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Lines, beyond which what was allowed is left out.
    pub allowed: usize,
    /// Lines, beyond which everything is left out.
    pub all: usize,
    /// Bytes, of which half are for what was not allowed alone.
    pub bytes: usize,
}

impl Default for Room {
    /// A second of the busiest host, and three more of refusals.
    fn default() -> Room {
        Room {
            allowed: 12 * TOGETHER,
            all: 48 * TOGETHER,
            bytes: 32 << 20,
        }
    }
}

/// Lines that the store will never have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Losses {
    /// Of what was allowed.
    pub allowed: u64,
    /// Of what was refused or deferred, or would have been.
    pub refused: u64,
}

/// The buffer.
pub struct Waiting {
    room: Room,
    pending: Mutex<Pending>,
    arrived: Condvar,
    /// There is no room for what was allowed: known without a lock.
    crowded: AtomicBool,
    lost_allowed: AtomicU64,
    lost_refused: AtomicU64,
    /// Lines that wait no more: they are in the store, or lost.
    settled: watch::Sender<u64>,
}

#[derive(Default)]
struct Pending {
    /// Oldest first; only the last one is not full.
    batches: VecDeque<Batch>,
    /// Empty ones that keep their room.
    spare: Vec<Batch>,
    lines: usize,
    bytes: usize,
    /// Lines that were ever taken in.
    taken_in: u64,
    /// Somebody waits for what is here: no more is gathered.
    wanted: bool,
    closed: bool,
}

/// What waits.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Something.
    Lines,
    /// Nothing came in time.
    Nothing,
    /// Nothing, and nothing will come.
    Closed,
}

impl Waiting {
    /// With so much room.
    pub fn new(room: Room) -> Waiting {
        Waiting {
            room,
            pending: Mutex::default(),
            arrived: Condvar::new(),
            crowded: AtomicBool::new(false),
            lost_allowed: AtomicU64::new(0),
            lost_refused: AtomicU64::new(0),
            settled: watch::Sender::new(0),
        }
    }

    /// Takes a line in; false: there is no room for it, and it was counted.
    pub fn push(&self, entry: &Entry<'_>, allowed: bool) -> bool {
        if (allowed && self.crowded.load(Ordering::Relaxed)) || !self.take_in(entry, allowed) {
            self.lose(allowed, 1);
            return false;
        }
        true
    }

    fn take_in(&self, entry: &Entry<'_>, allowed: bool) -> bool {
        let mut pending = self.lock();
        let (lines, bytes) = match allowed {
            true => (self.room.allowed, self.room.bytes / 2),
            false => (self.room.all, self.room.bytes),
        };
        if pending.closed || pending.lines >= lines || pending.bytes >= bytes {
            if allowed {
                self.crowded.store(true, Ordering::Relaxed);
            }
            return false;
        }
        let full = |batch: &Batch| batch.len() >= TOGETHER;
        if pending.batches.back().is_none_or(full) {
            let batch = pending.spare.pop().unwrap_or_default();
            pending.batches.push_back(batch);
        }
        let Some(batch) = pending.batches.back_mut() else {
            return false;
        };
        let before = batch.bytes();
        batch.push(entry);
        let (more, filled) = (batch.bytes() - before, full(batch));
        pending.bytes += more;
        pending.lines += 1;
        pending.taken_in += 1;
        let first = pending.lines == 1;
        drop(pending);
        if first || filled {
            self.arrived.notify_one();
        }
        true
    }

    /// Waits for lines, and then, for as long as `gather` says when there is one, for more of them.
    pub fn wait(&self, patience: Duration, gather: impl FnOnce() -> Duration) -> Next {
        let idle = |pending: &mut Pending| pending.lines == 0 && !pending.closed;
        let pending = self.wait_while(self.lock(), patience, idle);
        if pending.lines == 0 {
            return match pending.closed {
                true => Next::Closed,
                false => Next::Nothing,
            };
        }
        let few =
            |pending: &mut Pending| pending.lines < TOGETHER && !pending.closed && !pending.wanted;
        drop(self.wait_while(pending, gather(), few));
        Next::Lines
    }

    /// Takes the oldest lines out.
    pub fn take(&self) -> Option<Batch> {
        let mut pending = self.lock();
        let batch = pending.batches.pop_front()?;
        pending.lines -= batch.len();
        pending.bytes -= batch.bytes();
        if pending.lines == 0 {
            pending.wanted = false;
        }
        if pending.lines < self.room.allowed && pending.bytes < self.room.bytes / 2 {
            self.crowded.store(false, Ordering::Relaxed);
        }
        Some(batch)
    }

    /// Takes back what could not be written.
    pub fn put_back(&self, batch: Batch) {
        let mut pending = self.lock();
        pending.lines += batch.len();
        pending.bytes += batch.bytes();
        pending.batches.push_front(batch);
    }

    /// Takes back the room of what was written.
    pub fn reuse(&self, mut batch: Batch) {
        self.settle(batch.len());
        batch.clear();
        let mut pending = self.lock();
        if pending.spare.len() < 2 {
            pending.spare.push(batch);
        }
    }

    /// Whether what waits needs the room that is kept for refusals.
    pub fn is_pressing(&self) -> bool {
        self.lock().lines > self.room.all / 2
    }

    /// Takes nothing in any more.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    /// Whether nothing is taken in any more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Counts what still waits as lost.
    pub fn give_up(&self) {
        while let Some(batch) = self.take() {
            self.lose_all(&batch);
        }
    }

    /// Ends when all that was taken in before has been written, which begins at once, or is lost.
    pub async fn settled(&self) {
        let mut settled = self.settled.subscribe();
        let all = {
            let mut pending = self.lock();
            pending.wanted = pending.lines > 0;
            pending.taken_in
        };
        self.arrived.notify_all();
        // Its sender is in here: it does not end before.
        let _ = settled.wait_for(|settled| *settled >= all).await;
    }

    fn settle(&self, lines: usize) {
        self.settled.send_modify(|settled| *settled += lines as u64);
    }

    /// Counts what was taken out as lost.
    pub fn lose_all(&self, batch: &Batch) {
        self.settle(batch.len());
        let allowed = batch
            .iter()
            .filter(|entry| entry.verdict == "allow")
            .count();
        self.lose(true, allowed as u64);
        self.lose(false, (batch.len() - allowed) as u64);
    }

    /// What was lost so far.
    pub fn losses(&self) -> Losses {
        Losses {
            allowed: self.lost_allowed.load(Ordering::Relaxed),
            refused: self.lost_refused.load(Ordering::Relaxed),
        }
    }

    fn lose(&self, allowed: bool, lines: u64) {
        let lost = match allowed {
            true => &self.lost_allowed,
            false => &self.lost_refused,
        };
        lost.fetch_add(lines, Ordering::Relaxed);
    }

    fn wait_while<'a>(
        &self,
        pending: MutexGuard<'a, Pending>,
        patience: Duration,
        condition: impl FnMut(&mut Pending) -> bool,
    ) -> MutexGuard<'a, Pending> {
        let waited = self
            .arrived
            .wait_timeout_while(pending, patience, condition);
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
