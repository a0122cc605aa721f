//! What the store answers about uses: from memory where that knows, else from the tables, or by the
//! thread that writes.

use jiff::Timestamp;
use rusqlite::Connection;

use super::SqliteStore;
use super::job::Job;
use super::ledger::{self, Recalled};
use crate::model::quota::{Counter, MessageKey};
use crate::store::{Answer, Charge, Charged, Held, StoreError};

impl SqliteStore {
    /// See [`Store::charge`].
    pub(super) fn charge_once(&self, charge: Charge) -> Answer<'_, Charged> {
        // What memory knows is durable: a repetition waits for nobody, not even for a locked file.
        if !charge.dues.is_empty() && self.live.is_charged(&charge.key) == Some(true) {
            let already = Ok(Charged::Already);
            self.database.figures.charge(&already);
            return Box::pin(std::future::ready(already));
        }
        Box::pin(async move {
            let charged = self.order(|reply| Job::Charge { charge, reply }).await;
            self.database.figures.charge(&charged);
            charged
        })
    }

    /// See [`Store::used`].
    pub(super) fn what_is_used<'a>(
        &'a self,
        counters: &'a [(Counter, Timestamp)],
    ) -> Answer<'a, Vec<Held>> {
        match self.live.recall(counters) {
            Recalled::All(used) if self.charges => Box::pin(std::future::ready(Ok(used))),
            Recalled::Missing {
                counters: missing,
                epoch,
            } if self.charges => Box::pin(self.learn(counters, missing, epoch)),
            Recalled::All(_) | Recalled::Missing { .. } | Recalled::Nothing => {
                Box::pin(self.recall(counters.to_vec()))
            }
        }
    }

    /// See [`Store::is_charged`].
    pub(super) fn was_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        if let Some(known) = self.live.is_charged(&key) {
            return Box::pin(std::future::ready(Ok(known)));
        }
        Box::pin(async move {
            // Loads what is known, which then answers; if it is lost again at once, that is trouble.
            self.recall(Vec::new()).await?;
            let known = self.live.is_charged(&key);
            known.ok_or_else(|| StoreError::Busy("the ledger is being read: try again".to_owned()))
        })
    }

    /// Has the writer say what counters hold.
    async fn recall(&self, counters: Vec<(Counter, Timestamp)>) -> Result<Vec<Held>, StoreError> {
        self.order(|reply| Job::Recall { counters, reply }).await
    }

    /// Says what counters hold, some of which are in the tables alone.
    async fn learn(
        &self,
        counters: &[(Counter, Timestamp)],
        missing: Vec<Counter>,
        epoch: u64,
    ) -> Result<Vec<Held>, StoreError> {
        let read = |tables: &Connection, counter: Counter| {
            let base = ledger::base(tables, &counter)?;
            Ok((counter, base))
        };
        let folded = self
            .look_up(move |tables| {
                missing
                    .into_iter()
                    .map(|counter| read(tables, counter))
                    .collect()
            })
            .await?;
        match self.live.learn(folded, epoch, counters) {
            Recalled::All(used) => Ok(used),
            // It changed meanwhile, or memory is full.
            Recalled::Missing { .. } | Recalled::Nothing => self.recall(counters.to_vec()).await,
        }
    }
}
