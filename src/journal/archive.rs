//! The decision log in the store, seen from the decisions: a buffer, and a thread that writes what is in it.
//!
//! A log that is slow, full, broken or gone costs lines and never an answer. Lines that found no room are
//! counted, and that is said once a minute.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::ids::Ids;
use super::waiting::{Losses, Next, Room, Waiting};
use crate::clock::Clock;
use crate::store::StoreError;
use crate::store::log::{Batch, Entry, LogWriter};
use crate::telemetry::OnceAMinute;

/// How far apart lines are written: what comes in between is written together. One that comes alone
/// does not wait.
const GATHER: Duration = Duration::from_millis(20);
/// The same while there are many: each writing costs the pages that it touches, however few lines are
/// in them.
const GATHER_MANY: Duration = Duration::from_millis(100);
/// So many at once are many.
const MANY: usize = 50;
/// Lines a second that are written for long: more than are promised. What comes beyond that would take
/// from the decisions the processor that they need.
const RATE: f64 = 12_500.0;
/// How long to wait before the next try after trouble.
const RETRY: Duration = Duration::from_millis(250);
/// How often to look for lines that are too old.
const TRIMMING: Duration = Duration::from_secs(60);
/// How long to rest between two steps of trimming.
const BREATH: Duration = Duration::from_millis(20);
/// Lines that are forgotten in one transaction.
const TRIMMED: u32 = 2000;

/// A running log.
pub struct Archive {
    shared: Arc<Shared>,
    ended: Mutex<Receiver<()>>,
}

struct Shared {
    waiting: Waiting,
    ids: Ids,
    clock: Clock,
    /// Seconds that lines are kept.
    keep: AtomicU64,
    said: OnceAMinute,
    /// What was lost when it was last said.
    told: AtomicU64,
    /// Why the file cannot be written.
    trouble: Mutex<Option<StoreError>>,
}

impl Archive {
    /// Starts the thread that writes.
    pub fn start(log: Box<dyn LogWriter>, clock: Clock) -> std::io::Result<Archive> {
        Archive::with_room(log, clock, Room::default())
    }

    /// The same with another buffer.
    pub fn with_room(
        log: Box<dyn LogWriter>,
        clock: Clock,
        room: Room,
    ) -> std::io::Result<Archive> {
        let shared = Arc::new(Shared {
            waiting: Waiting::new(room),
            ids: Ids::default(),
            clock,
            keep: AtomicU64::new(u64::MAX),
            said: OnceAMinute::new(),
            told: AtomicU64::new(0),
            trouble: Mutex::default(),
        });
        let (end, ended) = mpsc::channel();
        let mut writer = Writer::new(log, shared.clone());
        std::thread::Builder::new()
            .name("log-store".to_owned())
            .spawn(move || {
                // A fault of ours, of which the log then tells, must not end it for good.
                while catch_unwind(AssertUnwindSafe(|| writer.run())).is_err() {
                    std::thread::sleep(RETRY);
                }
                // Closes the file.
                drop(writer);
                // Nobody may be waiting for it.
                let _ = end.send(());
            })?;
        Ok(Archive {
            shared,
            ended: Mutex::new(ended),
        })
    }

    /// Gives ids that its lines are found by.
    pub fn ids(&self) -> &Ids {
        &self.shared.ids
    }

    /// Lines are kept for so long; zero: none is taken in.
    pub fn keep(&self, time: Duration) {
        self.shared.keep.store(time.as_secs(), Ordering::Relaxed);
    }

    /// Hands a line over.
    pub fn add(&self, entry: &Entry<'_>, allowed: bool) {
        if self.shared.keep.load(Ordering::Relaxed) == 0 {
            return;
        }
        if !self.shared.waiting.push(entry, allowed) {
            self.shared.tell_losses_now_and_then();
        }
    }

    /// Lines that the store will never have.
    pub fn losses(&self) -> Losses {
        self.shared.waiting.losses()
    }

    /// Why lines cannot be written just now.
    pub fn trouble(&self) -> Option<StoreError> {
        self.shared.trouble().clone()
    }

    /// Ends when what was handed over before is in the store, or lost.
    pub async fn settled(&self) {
        self.shared.waiting.settled().await;
    }

    /// Writes what waits, but not for longer than this.
    pub fn close(&self, patience: Duration) {
        self.shared.waiting.close();
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Timeout) {
            self.shared.waiting.give_up();
            tracing::warn!("the decision log was not written in time");
        }
        self.shared.tell_losses();
    }
}

impl Shared {
    fn trouble(&self) -> MutexGuard<'_, Option<StoreError>> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Said here, and not by the thread that writes: it may hang together with its disk.
    fn tell_losses_now_and_then(&self) {
        if self.said.is_due(&self.clock) {
            self.tell_losses();
        }
    }

    /// Says what was lost since it was last said.
    fn tell_losses(&self) {
        let Losses { allowed, refused } = self.waiting.losses();
        let lost = allowed + refused;
        let told = self.told.swap(lost, Ordering::Relaxed);
        if lost > told {
            let lines = lost - told;
            tracing::warn!(
                lines,
                allowed_in_all = allowed,
                refused_in_all = refused,
                "lines are missing in the decision log: it did not take them fast enough"
            );
        }
    }
}

/// The thread.
struct Writer {
    log: Box<dyn LogWriter>,
    shared: Arc<Shared>,
    /// Lines that may be written now.
    allowance: f64,
    counted_at: Instant,
    /// When lines were last written, and how many.
    wrote_at: Instant,
    wrote: usize,
    trim_at: Instant,
    trouble_said: OnceAMinute,
}

impl Writer {
    fn new(log: Box<dyn LogWriter>, shared: Arc<Shared>) -> Writer {
        let now = shared.clock.instant();
        Writer {
            log,
            shared,
            allowance: RATE,
            counted_at: now,
            wrote_at: now,
            wrote: 0,
            trim_at: now,
            trouble_said: OnceAMinute::new(),
        }
    }

    fn run(&mut self) {
        // Makes the file, so that whoever reads it finds one. What fails is tried again with the first line.
        if let Ok(Some(newest)) = self.log.newest() {
            self.shared.ids.continue_behind(newest);
        }
        loop {
            let until_trimming = self
                .trim_at
                .saturating_duration_since(self.shared.clock.instant());
            let gather = || {
                let apart = if self.wrote < MANY {
                    GATHER
                } else {
                    GATHER_MANY
                };
                apart.saturating_sub(self.shared.clock.instant() - self.wrote_at)
            };
            match self.shared.waiting.wait(until_trimming, gather) {
                Next::Lines => {
                    if let Some(batch) = self.shared.waiting.take() {
                        self.write(batch);
                    }
                }
                Next::Nothing => {}
                Next::Closed => return,
            }
            self.trim();
            let Losses { allowed, refused } = self.shared.waiting.losses();
            if allowed + refused > self.shared.told.load(Ordering::Relaxed) {
                self.shared.tell_losses_now_and_then();
            }
        }
    }

    fn write(&mut self, batch: Batch) {
        self.pace(batch.len());
        self.wrote_at = self.shared.clock.instant();
        self.wrote = batch.len();
        let log = &mut self.log;
        let appended = catch_unwind(AssertUnwindSafe(|| log.append(&batch)));
        let Ok(appended) = appended else {
            // A fault of ours, perhaps in one of these lines: tried again, it would come again.
            self.shared.waiting.lose_all(&batch);
            return;
        };
        match appended {
            Ok(()) => {
                self.shared.waiting.reuse(batch);
                self.recovered();
            }
            Err(error) => {
                self.shared.waiting.put_back(batch);
                self.trouble(&error);
                if self.shared.waiting.is_closed() {
                    self.shared.waiting.give_up();
                } else {
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// Waits until so many lines may be written, unless there are too many refusals among them.
    fn pace(&mut self, lines: usize) {
        let now = self.shared.clock.instant();
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.counted_at = now;
        self.allowance = (self.allowance + passed * RATE).min(RATE) - lines as f64;
        let waiting = &self.shared.waiting;
        if self.allowance < 0.0 && !waiting.is_closed() {
            if waiting.is_pressing() {
                self.allowance = 0.0;
            } else {
                std::thread::sleep(Duration::from_secs_f64(-self.allowance / RATE));
            }
        }
    }

    /// Takes a step in forgetting what is too old, if it is time.
    fn trim(&mut self) {
        let now = self.shared.clock.instant();
        if now < self.trim_at {
            return;
        }
        let keep = self.shared.keep.load(Ordering::Relaxed);
        let trimmed = match oldest(self.shared.clock.now(), keep) {
            Some(before) => self.log.trim(before, TRIMMED),
            None => Ok(0),
        };
        self.trim_at = match trimmed {
            // There is more. What waits comes first, and takes turns with it.
            Ok(TRIMMED..) => now + BREATH,
            Ok(_) => now + TRIMMING,
            Err(error) => {
                self.trouble(&error);
                now + TRIMMING
            }
        };
    }

    fn trouble(&mut self, error: &StoreError) {
        *self.shared.trouble() = Some(error.clone());
        if self.trouble_said.is_due(&self.shared.clock) {
            let Losses { allowed, refused } = self.shared.waiting.losses();
            let error = error.to_string();
            tracing::error!(
                error,
                lost_allowed = allowed,
                lost_refused = refused,
                "the decision log cannot be written: its lines wait in memory, decisions go on"
            );
        }
    }

    fn recovered(&mut self) {
        if self.shared.trouble().take().is_some() {
            let Losses { allowed, refused } = self.shared.waiting.losses();
            tracing::warn!(
                lost_allowed = allowed,
                lost_refused = refused,
                "the decision log is written again"
            );
        }
    }
}

/// Lines from before then are too old; `None`: none is.
fn oldest(now: Timestamp, keep: u64) -> Option<Timestamp> {
    let keep = i64::try_from(keep).ok()?;
    now.checked_sub(jiff::SignedDuration::from_secs(keep)).ok()
}
