//! What the daemon says of itself: `outgate status`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::doors::Gauge;
use super::fronts::Sessions;
use super::host;
use super::inherited::Door;
use super::keeper::Keeper;
use super::watch::Watch;
use crate::auth::Authenticator;
use crate::engine::Engine;
use crate::journal::Sink;
use crate::recent::Recent;
use crate::standings::Standings;
use crate::store::Trouble;
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
    /// Knows passwords.
    pub authenticator: Arc<Authenticator>,
    /// The last warnings and errors.
    pub recent: Arc<Recent>,
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
        let settings = self.engine.settings();
        let journal = self.engine.journal();
        let (losses, log_trouble) = (journal.losses(), journal.trouble());
        let listeners: Vec<Value> = self
            .listeners
            .iter()
            .map(|(door, address)| json!({"front_end": door.id(), "address": address}))
            .collect();
        let milter: usize = self.milter.iter().map(|sessions| sessions()).sum();
        let listening = self.milter.len().max(1);
        let milter_limit = listening * settings.config.milter.max_connections.get() as usize;
        json!({
            "version": crate::VERSION,
            "commit": crate::COMMIT,
            "pid": std::process::id(),
            "started_at": seconds(self.started_at),
            "uptime_seconds": uptime,
            "config": self.config,
            "config_loaded_at": seconds(settings.loaded_at),
            "store": self.store(settings.config.store.url.path()),
            "listeners": listeners,
            "connections": {"auth": self.auth.open(), "policy": self.policy.open(), "milter": milter},
            // Auth and policy have none of their own: Postfix bounds its processes.
            "connection_limits": {"auth": null, "policy": null, "milter": milter_limit},
            "open_files": {"now": host::open_files(), "limit": self.open_files},
            "remembered": self.remembered(),
            "dns": Status::dns(&settings.standings),
            "lost_log_lines": self.sink.lost(),
            "decision_log": {
                "ok": log_trouble.is_none(),
                "trouble": log_trouble.map(|error| error.to_string()),
                "lost_allowed": losses.allowed,
                "lost_refused": losses.refused,
            },
            "panics": telemetry::panics(),
            "last_errors": self.recent.list(),
        })
    }

    /// Whether the store can be read and written, and since when it cannot.
    fn store(&self, path: &Path) -> Value {
        let (reading, writing) = (self.watch.trouble(), self.keeper.trouble());
        let since = [&reading, &writing].into_iter().flatten();
        let since = since.map(|trouble| trouble.since).min();
        let opening = (!self.watch.has_looked()).then(|| "it is being opened".to_owned());
        let size = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            std::fs::metadata(name).ok().map(|about| about.len())
        };
        let said = |trouble: Option<Trouble>| trouble.map(|trouble| trouble.error.to_string());
        let (reading, writing) = (said(reading).or(opening), said(writing));
        let committed_at = self.keeper.store().writing().committed_at;
        json!({
            "url": format!("sqlite:{}", path.display()),
            "ok": reading.is_none() && writing.is_none(),
            "reading": reading,
            "writing": writing,
            "trouble_since": since.map(seconds),
            "last_commit_at": committed_at.map(seconds),
            "bytes": size(""),
            "log_bytes": size("-wal"),
        })
    }

    /// How full the memories are that spare questions to the store, and hashes.
    fn remembered(&self) -> Value {
        let (users, domains, accounts) = self.engine.directory.remembered();
        let passwords = self.authenticator.remembered();
        json!({"users": users, "domains": domains, "accounts": accounts, "passwords": passwords})
    }

    fn dns(standings: &Standings) -> Value {
        let (entries, bytes) = standings.remembered();
        json!({
            "resolver": standings.resolver().status(),
            "standings": {"entries": entries, "bytes": bytes, "capacity": Standings::CAPACITY},
        })
    }
}

fn seconds(time: Timestamp) -> String {
    format!("{time:.0}")
}
