//! The only place that asks for the time.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Tells the time: the host's, or one that a test moves.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds that a test has added.
    shift: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The host's clock.
    pub fn system() -> Clock {
        Clock { shift: None }
    }

    /// A clock that can be moved forward with [`Clock::advance`].
    pub fn movable() -> Clock {
        Clock {
            shift: Some(Arc::default()),
        }
    }

    /// Moves a movable clock.
    pub fn advance(&self, by: Duration) {
        if let Some(shift) = &self.shift {
            let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
            shift.fetch_add(by, Ordering::SeqCst);
        }
    }

    /// The time of day: for what is stored and shown.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        match self.shift() {
            Duration::ZERO => now,
            shift => now.saturating_add(shift).unwrap_or(now),
        }
    }

    /// The monotonic time: for what is measured and expires in memory.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn instant(&self) -> Instant {
        Instant::now() + self.shift()
    }

    fn shift(&self) -> Duration {
        let shifted = self.shift.as_ref().map_or(0, |s| s.load(Ordering::SeqCst));
        Duration::from_millis(u64::try_from(shifted).unwrap_or(0))
    }
}
