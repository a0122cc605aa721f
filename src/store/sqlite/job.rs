//! What the writer is asked to do, and where the answer goes.

use jiff::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::model::quota::Counter;
use crate::store::{Charge, Charged, Held, StoreError};

/// Something to write, or to be said by the thread that writes. Whoever asked hears what came of it;
/// one who has gone away needs no answer.
pub enum Job {
    /// Writes something.
    Write {
        /// What to do.
        run: Writing,
        /// Hears what came of it.
        reply: Reply<()>,
    },
    /// Charges a message.
    Charge {
        /// What it costs.
        charge: Charge,
        /// Hears what came of it.
        reply: Reply<Charged>,
    },
    /// Says what counters hold, where memory does not know.
    Recall {
        /// Those, and when their windows began.
        counters: Vec<(Counter, Timestamp)>,
        /// Hears it.
        reply: Reply<Vec<Held>>,
    },
    /// Takes notice of what others have changed.
    CatchUp {
        /// Hears when that is done.
        reply: Reply<()>,
    },
}

/// Where an answer goes.
pub type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// Writes something inside a transaction.
pub type Writing = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

impl Job {
    /// Says why it will not be done.
    pub fn refuse(self, error: StoreError) {
        match self {
            Job::Write { reply, .. } | Job::CatchUp { reply } => drop(reply.send(Err(error))),
            Job::Charge { reply, .. } => drop(reply.send(Err(error))),
            Job::Recall { reply, .. } => drop(reply.send(Err(error))),
        }
    }
}
