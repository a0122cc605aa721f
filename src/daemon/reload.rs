//! SIGHUP: reads the configuration file again and puts it in force, unless it is broken.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::runtime::Handle;

use crate::config::load::load;
use crate::config::{Config, Listen, Store};
use crate::engine::Engine;
use crate::telemetry;

const NOT_RELOADED: &str = "configuration not reloaded: the one in force stays in force";

/// Knows what can be reloaded and what cannot.
pub struct Reloader {
    path: PathBuf,
    log: telemetry::Handle,
    engine: Arc<Engine>,
    store: Store,
    listen: Listen,
    milter_sessions: NonZeroU32,
}

impl Reloader {
    /// For a daemon that runs on the engine's configuration, which came from this file.
    pub fn new(path: PathBuf, log: telemetry::Handle, engine: Arc<Engine>) -> Reloader {
        let settings = engine.settings();
        let (store, listen) = (
            settings.config.store.clone(),
            settings.config.listen.clone(),
        );
        let milter_sessions = settings.config.milter.max_connections;
        drop(settings);
        Reloader {
            path,
            log,
            engine,
            store,
            listen,
            milter_sessions,
        }
    }

    /// Reads the file. Says what came of it in the log.
    pub fn reload(&self) {
        let mut config = match load(&self.path) {
            Ok(config) => config,
            Err(error) => {
                let error = error.to_string();
                tracing::error!(error, "{NOT_RELOADED}");
                return;
            }
        };
        let waiting = self.waiting_for_restart(&config).join(", ");
        config.store = self.store.clone();
        config.listen = self.listen.clone();
        config.milter.max_connections = self.milter_sessions;
        let settings = self.engine.settings();
        let resolver = settings.standings.resolver();
        let resolver = match resolver.next(&config.dns, Handle::current()) {
            Ok(resolver) => resolver,
            Err(error) => {
                let error = error.to_string();
                tracing::error!(error, "{NOT_RELOADED}");
                return;
            }
        };
        self.log.configure(config.log.format, config.log.level);
        self.engine.reload(config, resolver);
        tracing::info!("configuration reloaded");
        if !waiting.is_empty() {
            tracing::warn!(keys = waiting, "changed keys wait for a restart");
        }
    }

    /// The changed keys that a running daemon cannot take over.
    fn waiting_for_restart(&self, new: &Config) -> Vec<&'static str> {
        let (old, listen) = (&self.listen, &new.listen);
        let keys = [
            ("store.url", self.store != new.store),
            ("listen.auth", old.auth != listen.auth),
            ("listen.policy", old.policy != listen.policy),
            ("listen.milter", old.milter != listen.milter),
            ("listen.admin", old.admin != listen.admin),
            ("listen.socket-mode", old.socket_mode != listen.socket_mode),
            ("listen.control", old.control != listen.control),
            // There is room for so many since the start.
            (
                "milter.max-connections",
                self.milter_sessions != new.milter.max_connections,
            ),
        ];
        let changed = keys.into_iter().filter(|(_, changed)| *changed);
        changed.map(|(key, _)| key).collect()
    }
}
