//! Has the store keep who was used, now and then. The best that is possible: no decision waits for
//! it, and none depends on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine::Engine;
use crate::store::{Store, StoreError, Trouble};
use crate::telemetry::OnceAMinute;

/// How often.
const PERIOD: Duration = Duration::from_secs(10);

/// How long the store may take for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps uses, and knows whether the store can be written.
pub struct Keeper {
    engine: Arc<Engine>,
    /// That the store does not even say what came of it.
    silence: Mutex<Option<Trouble>>,
    said: OnceAMinute,
}

impl Keeper {
    /// For the uses of an engine.
    pub fn new(engine: Arc<Engine>) -> Keeper {
        Keeper {
            engine,
            silence: Mutex::default(),
            said: OnceAMinute::new(),
        }
    }

    /// Whose uses it keeps.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Where it keeps them.
    pub fn store(&self) -> &Arc<dyn Store> {
        self.engine.directory.store()
    }

    /// Keeps for ever.
    pub async fn run(&self) {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.keep(PATIENCE).await;
        }
    }

    /// Keeps what has gathered; what the store does not take waits for the next time.
    pub async fn keep(&self, patience: Duration) {
        let uses = self.engine.uses().take();
        let writing = match (uses.is_empty(), self.trouble()) {
            (false, _) => self.store().record_uses(uses.clone()),
            // Nobody else may come to see whether it is over.
            (true, Some(_)) => self.store().try_writing(),
            (true, None) => return,
        };
        let (error, silent) = match timeout(patience, writing).await {
            Ok(Ok(())) => (None, false),
            Ok(Err(error)) => (Some(error), false),
            Err(_) => {
                let seconds = patience.as_secs();
                let error = StoreError::Busy(format!("not written within {seconds} s"));
                (Some(error), true)
            }
        };
        self.heard(error.clone().filter(|_| silent));
        if let Some(error) = &error {
            self.engine.uses().put_back(uses);
            if self.said.is_due(&self.engine.clock) {
                let error = error.to_string();
                tracing::error!(
                    error,
                    "the store cannot be written now: last uses wait, decisions go on"
                );
            }
        }
    }

    /// What the last writing met, whoever wrote.
    pub fn trouble(&self) -> Option<Trouble> {
        let silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        silence.clone().or_else(|| self.store().writing().trouble)
    }

    fn heard(&self, silence: Option<StoreError>) {
        let now = self.engine.clock.now();
        let mut known = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        *known = Trouble::after(known.as_ref(), silence, now);
    }
}
