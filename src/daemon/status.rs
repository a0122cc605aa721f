//! What the daemon says of itself: `outgate status`.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::doors::Gauge;
use super::fronts::Sessions;
use super::host;
use super::inherited::Door;
use super::keeper::Keeper;
use super::watch::Watch;
use crate::engine::Engine;
use crate::journal::Sink;
use crate::standings::Standings;
use crate::telemetry;

/// Where the answers come from.
pub struct Status {
    /// The configuration file.
    pub config: PathBuf,
    /// When the process started.
    pub started_at: Timestamp,
    /// What it listens on.
    pub listeners: Vec<(Door, String)>,
    /// Open connections of auth.
    pub auth: Arc<Gauge>,
    /// Open connections of policy.
    pub policy: Arc<Gauge>,
    /// Count the open sessions of the milter.
    pub milter: Vec<Sessions>,
    /// Decides.
    pub engine: Arc<Engine>,
    /// Knows whether the store can be read.
    pub watch: Arc<Watch>,
    /// Knows whether the store can be written.
    pub keeper: Arc<Keeper>,
    /// Where log lines go.
    pub sink: Arc<Sink>,
    /// The limit of open files; `None`: no limit.
    pub open_files: Option<u64>,
}

impl Status {
    /// One JSON object.
    pub fn report(&self) -> Value {
        let now = self.engine.clock.now();
        let uptime = now.duration_since(self.started_at).as_secs().max(0);
        let reading = self.watch.trouble();
        let writing = self.keeper.trouble();
        let milter: usize = self.milter.iter().map(|sessions| sessions()).sum();
        let (users, domains) = self.engine.directory.remembered();
        let settings = self.engine.settings();
        let (standings, standing_bytes) = settings.standings.remembered();
        let losses = self.engine.journal().losses();
        let listeners: Vec<Value> = self
            .listeners
            .iter()
            .map(|(door, address)| json!({"front_end": door.id(), "address": address}))
            .collect();
        json!({
            "version": env!("CARGO_PKG_VERSION"),
            "pid": std::process::id(),
            "started_at": format!("{:.0}", self.started_at),
            "uptime_seconds": uptime,
            "config": self.config,
            "store": {
                "url": format!("sqlite:{}", settings.config.store.url.path().display()),
                "ok": reading.is_none() && writing.is_none(),
                "reading": reading.map(|error| error.to_string()),
                "writing": writing.map(|error| error.to_string()),
            },
            "listeners": listeners,
            "connections": {"auth": self.auth.open(), "policy": self.policy.open(), "milter": milter},
            "open_files": {"now": host::open_files(), "limit": self.open_files},
            "remembered": {"users": users, "domains": domains},
            "dns": {
                "resolver": settings.standings.resolver().status(),
                "standings": {
                    "entries": standings,
                    "bytes": standing_bytes,
                    "capacity": Standings::CAPACITY,
                },
            },
            "lost_log_lines": self.sink.lost(),
            "decision_log": {"lost_allowed": losses.allowed, "lost_refused": losses.refused},
            "panics": telemetry::panics(),
        })
    }
}
