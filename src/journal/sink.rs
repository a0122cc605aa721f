//! Standard error, buffered: writing never waits for whoever reads it.
//!
//! Lines go into a bounded buffer that one thread empties. For the decision log and for everything else that is
//! logged.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Buffered standard error, shared by the decision log and everything else that is logged.
pub struct Sink {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines have been taken out and are not written yet.
    writing: bool,
}

/// What may wait to be written. Beyond, lines are counted instead of kept: a log that nobody
/// reads must neither stop mail nor eat the memory.
const MAX_BUFFERED: usize = 8 << 20;

/// Room that a buffer keeps when it is empty.
const KEPT: usize = 256 << 10;

/// How long lines gather behind others.
const PAUSE: Duration = Duration::from_millis(5);

impl Sink {
    /// Starts the thread that writes to standard error.
    pub fn stderr() -> std::io::Result<Arc<Sink>> {
        let sink = Sink::memory();
        let drain = sink.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || drain.run())?;
        Ok(sink)
    }

    /// Keeps the lines until [`Sink::take`] takes them: for tests, which read what was logged.
    pub fn memory() -> Arc<Sink> {
        Arc::new(Sink {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost: AtomicU64::new(0),
        })
    }

    /// The lines that nobody has taken yet.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Takes whole lines.
    pub fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        if state.waiting.len() >= MAX_BUFFERED {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let idle = state.waiting.is_empty();
        fill(&mut state.waiting);
        drop(state);
        if idle {
            self.filled.notify_one();
        }
    }

    /// Lines that were not written because nobody took them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, at most for so long (nobody may be reading); for the end
    /// of the process.
    pub fn flush(&self, patience: Duration) {
        let state = self.lock();
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        drop(
            self.emptied
                .wait_timeout_while(state, patience, unwritten)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut reported = 0;
        // Two buffers take turns, and keep the room that a burst has given them.
        let mut lines = Vec::new();
        loop {
            let state = self.lock();
            let mut state = self
                .filled
                .wait_while(state, |state| state.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            std::mem::swap(&mut state.waiting, &mut lines);
            state.writing = true;
            drop(state);
            // Nobody is left to tell when standard error is closed.
            let _ = std::io::stderr().write_all(&lines);
            lines.clear();
            lines.shrink_to(KEPT);
            let lost = self.lost();
            if lost > reported {
                let lines = lost - reported;
                tracing::warn!(lines, "log lines lost because nobody reads them");
                reported = lost;
            }
            self.lock().writing = false;
            self.emptied.notify_all();
            // A burst is written together: one system call for many lines.
            std::thread::sleep(PAUSE);
        }
    }
}
