//! The decision log: one line per login, per refusal or deferral, and per accepted message. It goes to standard
//! error and into the store.
//!
//! Writing a line never waits for whoever takes it. Passwords never come here.

mod archive;
mod ids;
mod line;
mod sink;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use jiff::Timestamp;

pub use self::archive::Archive;
use self::ids::Ids;
pub use self::line::{Fields, FrontEnd, Line};
pub use self::sink::Sink;
pub use self::waiting::{Losses, Room};
use crate::config::{Log, LogFormat, LogLevel};
use crate::decision::reason::Verdict;
use crate::model::decision_id::DecisionId;
use crate::store::StoreError;

/// Writes decisions in the configured form.
pub struct Journal {
    sink: Option<Arc<Sink>>,
    archive: Option<Archive>,
    ids: Ids,
    json: AtomicU8,
    level: AtomicU8,
}

impl Journal {
    /// A journal on a sink; without one it keeps silent (commands that only explain).
    pub fn new(sink: Option<Arc<Sink>>) -> Journal {
        Journal {
            sink,
            archive: None,
            ids: Ids::default(),
            json: AtomicU8::new(0),
            level: AtomicU8::new(LogLevel::Info as u8),
        }
    }

    /// Writes into the store as well.
    pub fn with_archive(self, archive: Archive) -> Journal {
        Journal {
            archive: Some(archive),
            ..self
        }
    }

    /// Takes over `[log]`.
    pub fn configure(&self, log: &Log) {
        self.json
            .store(u8::from(log.format == LogFormat::Json), Ordering::Relaxed);
        self.level.store(log.level as u8, Ordering::Relaxed);
        if let Some(archive) = &self.archive {
            archive.keep(log.keep.0);
        }
    }

    /// The id of a decision that is made now.
    pub fn new_id(&self, now: Timestamp) -> DecisionId {
        let ids = self.archive.as_ref().map_or(&self.ids, Archive::ids);
        ids.next(now)
    }

    /// Writes a line: into the store always, to standard error unless the level leaves it out.
    pub fn write(&self, line: &Line<'_>) {
        if let Some(archive) = &self.archive {
            archive.add(&line.entry(), line.verdict == Verdict::Allow);
        }
        let Some(sink) = &self.sink else { return };
        if line.level() as u8 > self.level.load(Ordering::Relaxed) {
            return;
        }
        let format = match self.json.load(Ordering::Relaxed) {
            0 => LogFormat::Text,
            _ => LogFormat::Json,
        };
        sink.write(|out| line.write(format, out));
    }

    /// Lines that the store will never have.
    pub fn losses(&self) -> Losses {
        self.archive
            .as_ref()
            .map(Archive::losses)
            .unwrap_or_default()
    }

    /// Why lines cannot be written into the store just now.
    pub fn trouble(&self) -> Option<StoreError> {
        self.archive.as_ref().and_then(Archive::trouble)
    }

    /// Ends when the store has every line that was written before, apart from losses.
    pub async fn settled(&self) {
        if let Some(archive) = &self.archive {
            archive.settled().await;
        }
    }

    /// Finishes writing into the store, but not for longer than this.
    pub fn close(&self, patience: Duration) {
        if let Some(archive) = &self.archive {
            archive.close(patience);
        }
    }
}
