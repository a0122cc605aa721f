//! What monitoring sees of the daemon: gathers the figures of its parts for the admin listener.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::doors::Gauge;
use super::fronts::{Fronts, Sessions};
use super::host;
use super::inherited::Door;
use super::keeper::Keeper;
use super::status::Status;
use super::watch::Watch;
use crate::admin::reading::{Connections, Dns, Hashing, Memory, Process, Reading};
use crate::admin::{MAX_CONNECTIONS, Observed};
use crate::auth::Authenticator;
use crate::engine::Engine;
use crate::journal::Sink;
use crate::telemetry;

/// Where the figures come from.
pub struct Overview {
    started_at: Timestamp,
    open_files: Option<u64>,
    engine: Arc<Engine>,
    authenticator: Arc<Authenticator>,
    watch: Arc<Watch>,
    keeper: Arc<Keeper>,
    sink: Arc<Sink>,
    /// The end has begun.
    stopping: Arc<AtomicBool>,
    auth: Arc<Gauge>,
    policy: Arc<Gauge>,
    admin: Arc<Gauge>,
    /// Open sessions of the milter, by socket.
    milter: Vec<Sessions>,
    milter_limit: u32,
}

impl Observed for Overview {
    fn reading(&self) -> Reading {
        let answers = &self.engine.answers;
        let losses = self.engine.journal().losses();
        Reading {
            process: self.process(),
            ready: self.trouble().is_none(),
            decisions: answers.decisions().collect(),
            answers: answers.spent().collect(),
            near_limit: answers.near_limit(),
            connections: self.connections(),
            memories: self.memories(),
            hashing: self.hashing(),
            store: self.engine.directory.store().figures(),
            dns: self.dns(),
            lost_lines: vec![
                ("stderr", self.sink.lost()),
                ("store-allowed", losses.allowed),
                ("store-refused", losses.refused),
            ],
        }
    }

    fn trouble(&self) -> Option<String> {
        if self.stopping.load(Ordering::Relaxed) {
            return Some("outgate is stopping".to_owned());
        }
        if !self.watch.has_looked() {
            return Some("the store is being opened".to_owned());
        }
        let store = self.engine.directory.store();
        let trouble = self.watch.trouble();
        let trouble = trouble.or_else(|| self.keeper.trouble());
        let trouble = trouble.or_else(|| store.writing().trouble);
        trouble.map(|trouble| trouble.error.to_string())
    }
}

impl Overview {
    /// Of the same parts as `status` knows, until the end has begun.
    pub fn new(status: &Status, fronts: &Fronts, stopping: Arc<AtomicBool>) -> Overview {
        Overview {
            started_at: status.started_at,
            open_files: status.open_files,
            engine: status.engine.clone(),
            authenticator: fronts.authenticator.clone(),
            watch: status.watch.clone(),
            keeper: status.keeper.clone(),
            sink: status.sink.clone(),
            stopping,
            auth: status.auth.clone(),
            policy: status.policy.clone(),
            admin: fronts.admin.clone(),
            milter: status.milter.clone(),
            milter_limit: fronts.milter_limit,
        }
    }

    fn process(&self) -> Process {
        Process {
            started_at: self.started_at.as_duration().as_secs_f64(),
            open_files: host::open_files().map(|files| files as u64),
            open_files_limit: self.open_files,
            resident: host::resident_memory(),
            panics: telemetry::panics(),
        }
    }

    fn connections(&self) -> Vec<Connections> {
        let milter = Some(u64::from(self.milter_limit));
        Door::ALL
            .into_iter()
            .map(|door| {
                let (open, limit) = match door {
                    Door::Auth => (self.auth.open(), None),
                    Door::Policy => (self.policy.open(), None),
                    Door::Milter => {
                        let open = self.milter.iter().map(|sessions| sessions()).sum();
                        (open, milter.filter(|_| !self.milter.is_empty()))
                    }
                    Door::Admin => (self.admin.open(), Some(MAX_CONNECTIONS as u64)),
                };
                Connections {
                    front_end: door.id(),
                    open: open as u64,
                    limit,
                }
            })
            .collect()
    }

    fn memories(&self) -> Vec<Memory> {
        let directory = &self.engine.directory;
        let (users, domains, accounts) = directory.remembered();
        let hits = directory.hits();
        let settings = self.engine.settings();
        let standings = &settings.standings;
        let resolver = standings.resolver();
        let logins = &self.authenticator;
        vec![
            Memory::new("users", users as u64, &hits.users),
            Memory::new("domains", domains as u64, &hits.domains),
            Memory::new("accounts", accounts as u64, &hits.accounts),
            Memory::new("logins", logins.remembered() as u64, logins.hits()),
            Memory::new(
                "standings",
                standings.remembered().0 as u64,
                standings.hits(),
            ),
            Memory::new("dns", resolver.status().entries, resolver.hits()),
        ]
    }

    fn hashing(&self) -> Hashing {
        let (waiting, running) = self.authenticator.hashing();
        Hashing {
            done: self.authenticator.hashed(),
            waiting: waiting as u64,
            running: running as u64,
        }
    }

    fn dns(&self) -> Dns {
        let settings = self.engine.settings();
        let resolver = settings.standings.resolver();
        Dns {
            outcomes: resolver.outcomes(),
            in_flight: resolver.status().in_flight,
        }
    }
}
