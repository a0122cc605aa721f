//! The watcher: asks the store what changed, ten times a second and whenever a command says that
//! it changed something, and makes the directory forget it. Whether the store answers at all is
//! seen here too: as long as it does not, the directory answers nothing from memory.
//!
//! It decides nothing and reads no records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock::Clock;
use crate::directory::Directory;
use crate::store::StoreError;
use crate::telemetry;

/// How soon a change is noticed that nobody tells of.
const PERIOD: Duration = Duration::from_millis(100);

/// A store that needs longer for one indexed look-up hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// One question to the store and what came of it.
#[derive(Clone, Debug)]
struct Round {
    /// The last wish that had been made when the round began.
    wish: u64,
    outcome: Result<(), StoreError>,
}

/// Rounds, and those who wait for one.
pub struct Watch {
    wishes: AtomicU64,
    wake: Notify,
    /// The last round; `None` before the first.
    rounds: watch::Sender<Option<Round>>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            wishes: AtomicU64::new(0),
            wake: Notify::new(),
            rounds: watch::Sender::new(None),
        }
    }
}

impl Watch {
    /// Watches for ever.
    pub async fn run(&self, directory: &Directory, clock: &Clock) {
        let mut ticks = interval(PERIOD);
        // A round that took long is not made up for by a burst of rounds.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.wake.notified() => {}
            }
            let wish = self.wishes.load(Ordering::SeqCst);
            let outcome = look(directory, &mut known).await;
            match &outcome {
                Ok(()) => telemetry::store_recovered(),
                Err(error) => telemetry::store_trouble(clock, error),
            }
            directory.set_trouble(outcome.clone().err());
            self.rounds.send_replace(Some(Round { wish, outcome }));
        }
    }

    /// Waits until every question is answered by what is stored now: for a round that began after
    /// this call. An error if the store gave none.
    pub async fn noted(&self) -> Result<(), StoreError> {
        let wish = self.wishes.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        self.next(|round| round.wish >= wish).await
    }

    /// Waits for the store's first answer. An error says that it can never give one; a store that
    /// is locked, full or slow is waited for.
    pub async fn opened(&self) -> Result<(), StoreError> {
        self.next(|round| match round.outcome {
            Ok(()) | Err(StoreError::Unusable(_)) => true,
            Err(StoreError::Busy(_) | StoreError::ReadOnly(_)) => false,
        })
        .await
    }

    /// What the last round met.
    pub fn trouble(&self) -> Option<StoreError> {
        match &*self.rounds.borrow() {
            Some(round) => round.outcome.clone().err(),
            None => Some(StoreError::Busy("it is being opened".to_owned())),
        }
    }

    async fn next(&self, fits: impl Fn(&Round) -> bool) -> Result<(), StoreError> {
        let mut rounds = self.rounds.subscribe();
        let round = rounds
            .wait_for(|round| round.as_ref().is_some_and(&fits))
            .await;
        match round.as_deref() {
            Ok(Some(round)) => round.outcome.clone(),
            Ok(None) | Err(_) => Err(StoreError::Busy("nobody watches it".to_owned())),
        }
    }
}

/// Asks once, and forgets what changed since `known`.
async fn look(directory: &Directory, known: &mut u64) -> Result<(), StoreError> {
    let changes = match timeout(PATIENCE, directory.store().changes(*known)).await {
        Ok(answer) => answer?,
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(StoreError::Busy(format!("no answer within {seconds} s")));
        }
    };
    for change in &changes.changes {
        directory.forget(change);
    }
    *known = changes.last;
    Ok(())
}
