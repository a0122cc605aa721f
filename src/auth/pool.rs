//! Threads for work that is slow on purpose: password hashes.
//!
//! Own threads at low priority, so that hashing never stands in the way of those who serve
//! connections; few of them, because each hash takes tens of MiB; and a bounded queue in front,
//! because whoever waits in it waits at most seconds. They start when there is work.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// How many pieces of work may wait: two and a half seconds of hashing on two cores.
pub const MAX_WAITING: usize = 256;
/// Added to the niceness: under load a hash gets a tenth of what a serving thread gets, which is
/// little enough to stay out of the way and enough to be done in time.
const NICENESS: i32 = 10;

/// A piece of work. Dropped without being done if the pool ends.
pub type Work = Box<dyn FnOnce() + Send>;

/// The queue is full, or no thread can be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overloaded;

/// The threads and their queue.
#[derive(Default)]
pub struct Pool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Work>,
    /// How many threads there may be, by the last who brought work.
    wanted: usize,
    threads: usize,
    idle: usize,
    ended: bool,
}

impl Pool {
    /// Queues work for at most `threads` threads. Does not block.
    pub fn submit(&self, threads: usize, work: Work) -> Result<(), Overloaded> {
        let mut state = self.shared.state();
        if state.waiting.len() >= MAX_WAITING {
            return Err(Overloaded);
        }
        state.wanted = threads.max(1);
        if state.idle <= state.waiting.len() && state.threads < state.wanted {
            let shared = self.shared.clone();
            let started = std::thread::Builder::new()
                .name("hash".to_owned())
                .spawn(move || shared.run());
            match started {
                Ok(_) => state.threads += 1,
                Err(error) if state.threads == 0 => {
                    tracing::error!(%error, "cannot start a thread to check passwords");
                    return Err(Overloaded);
                }
                // Those that there are will see to it.
                Err(_) => {}
            }
        }
        state.waiting.push_back(work);
        drop(state);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Pool {
    /// How many pieces of work wait, and how many are being done.
    pub fn load(&self) -> (usize, usize) {
        let state = self.shared.state();
        let busy = state.threads.saturating_sub(state.idle);
        (state.waiting.len(), busy)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.ended = true;
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        drop(waiting);
        self.shared.changed.notify_all();
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The life of a thread.
    fn run(&self) {
        // Refused only where the host forbids it: then hashing competes as an equal.
        let niceness = rustix::process::getpriority_process(None).unwrap_or(0);
        let _ = rustix::process::setpriority_process(None, (niceness + NICENESS).min(19));
        while let Some(work) = self.next() {
            // A panic costs this piece of work: dropping it tells those who wait for it.
            let _ = catch_unwind(AssertUnwindSafe(work));
        }
    }

    /// Waits for work. `None`: this thread is no longer wanted.
    fn next(&self) -> Option<Work> {
        let mut state = self.state();
        loop {
            if state.ended || state.threads > state.wanted {
                state.threads -= 1;
                // The wake-up may have been for work: somebody else does it.
                self.changed.notify_one();
                return None;
            }
            if let Some(work) = state.waiting.pop_front() {
                return Some(work);
            }
            state.idle += 1;
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_is_done_by_no_more_threads_than_asked_for() {
        let pool = Pool::default();
        let (done, results) = channel();
        // Each waits for the other: they are done by two threads at once.
        let barrier = Arc::new(Barrier::new(2));
        for number in 0..8 {
            let (done, barrier) = (done.clone(), barrier.clone());
            let work = move || {
                barrier.wait();
                done.send(number).unwrap();
            };
            pool.submit(2, Box::new(work)).unwrap();
        }
        let mut numbers: Vec<i32> = results.iter().take(8).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (0..8).collect::<Vec<_>>());
        assert_eq!(pool.shared.state().threads, 2);
    }

    #[test]
    fn threads_that_are_no_longer_wanted_go_and_leave_no_work_behind() {
        let pool = Pool::default();
        let barrier = Arc::new(Barrier::new(5));
        for _ in 0..4 {
            let barrier = barrier.clone();
            let work = move || {
                barrier.wait();
            };
            pool.submit(4, Box::new(work)).unwrap();
        }
        barrier.wait();
        while pool.shared.state().idle < 4 {
            std::thread::yield_now();
        }
        let (done, results) = channel();
        pool.submit(1, Box::new(move || done.send(()).unwrap()))
            .unwrap();
        assert_eq!(results.recv(), Ok(()));
        while pool.shared.state().threads > 1 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_queue_is_bounded_and_a_panic_costs_only_itself() {
        let pool = Pool::default();
        let (started, wait_started) = channel();
        let (release, gate) = channel::<()>();
        let hold = move || {
            started.send(()).unwrap();
            let _ = gate.recv();
            panic!("on purpose");
        };
        pool.submit(1, Box::new(hold)).unwrap();
        wait_started.recv().unwrap();
        let (done, results) = channel();
        for _ in 0..MAX_WAITING {
            let done = done.clone();
            let work = move || done.send(()).unwrap();
            pool.submit(1, Box::new(work)).unwrap();
        }
        assert_eq!(pool.submit(1, Box::new(|| ())), Err(Overloaded));
        release.send(()).unwrap();
        assert_eq!(results.iter().take(MAX_WAITING).count(), MAX_WAITING);
    }

    #[test]
    fn what_waits_when_the_pool_ends_is_dropped() {
        let pool = Pool::default();
        let (started, wait_started) = channel();
        let (release, gate) = channel::<()>();
        let hold = move || {
            started.send(()).unwrap();
            let _ = gate.recv();
        };
        pool.submit(1, Box::new(hold)).unwrap();
        wait_started.recv().unwrap();
        let (done, results) = channel::<()>();
        let work = move || done.send(()).unwrap();
        pool.submit(1, Box::new(work)).unwrap();
        drop(pool);
        assert!(results.recv().is_err());
        release.send(()).unwrap();
    }
}
