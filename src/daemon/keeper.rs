//! Has the store keep who was used, now and then. The best that is possible: no decision waits for
//! it, and none depends on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::engine::Engine;
use crate::store::{Store, StoreError};
use crate::telemetry::OnceAMinute;

/// How often.
const PERIOD: Duration = Duration::from_secs(10);

/// How long the store may take for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps uses, and knows whether the store can be written.
pub struct Keeper {
    engine: Arc<Engine>,
    trouble: Mutex<Option<StoreError>>,
    said: OnceAMinute,
}

impl Keeper {
    /// For the uses of an engine.
    pub fn new(engine: Arc<Engine>) -> Keeper {
        Keeper {
            engine,
            trouble: Mutex::default(),
            said: OnceAMinute::new(),
        }
    }

    /// Whose uses it keeps.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    fn store(&self) -> &Arc<dyn Store> {
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
        if uses.is_empty() {
            return;
        }
        let trouble = match timeout(patience, self.store().record_uses(uses.clone())).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error),
            Err(_) => {
                let seconds = patience.as_secs();
                Some(StoreError::Busy(format!("not written within {seconds} s")))
            }
        };
        if let Some(error) = &trouble {
            self.engine.uses().put_back(uses);
            if self.said.is_due(&self.engine.clock) {
                let error = error.to_string();
                tracing::error!(
                    error,
                    "the store cannot be written now: last uses wait, decisions go on"
                );
            }
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }

    /// What the last writing met.
    pub fn trouble(&self) -> Option<StoreError> {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        trouble.clone()
    }
}
