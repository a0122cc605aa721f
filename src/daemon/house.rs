//! The daemon at work: everything that was started, and the order in which it starts and ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinSet;

use super::control::{Control, Socket};
use super::doors::{self, Gauge};
use super::inherited::Door;
use super::keeper::Keeper;
use super::reload::Reloader;
use super::signals::{Signals, Wish};
use super::status::Status;
use super::watch::Watch;
use super::{Setup, host};
use crate::auth::Authenticator;
use crate::config::Listen;
use crate::config::value::Endpoint;
use crate::directory::Directory;
use crate::engine::Engine;
use crate::front::auth::AuthFront;
use crate::front::listener::{Listener, Stream};
use crate::front::milter::MilterFront;
use crate::front::policy::PolicyFront;
use crate::journal::Journal;
use crate::store::sqlite::SqliteStore;

/// How long open milter sessions may take to end by themselves. With what follows, the daemon ends
/// within 10 s of a SIGTERM.
const DRAIN: Duration = Duration::from_secs(8);

/// How long the last uses may take to be stored.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// A running daemon.
pub struct House {
    signals: Signals,
    reloader: Reloader,
    watch: Arc<Watch>,
    keeper: Arc<Keeper>,
    milters: Vec<MilterFront>,
    /// Tasks that never end while all is well.
    vital: JoinSet<()>,
    store_name: String,
}

impl House {
    /// Binds all sockets, then starts to answer, then opens the store. Wants a runtime.
    pub fn open(setup: Setup) -> Result<House, String> {
        let signals = Signals::catch().map_err(|e| format!("cannot catch signals: {e}"))?;
        let config = &setup.config;
        // First, because it tells whether another daemon is at work on this store.
        let control_socket = Socket::bind(config.control_socket()).map_err(|e| e.to_string())?;
        let inherited = setup.inherited.listeners().map_err(|e| e.to_string())?;
        let listeners = bind(inherited, &config.listen).map_err(|e| e.to_string())?;

        // Opens behind our back, while questions are answered.
        let store = SqliteStore::start(config.store.url.path()).map_err(|e| e.to_string())?;
        let started_at = setup.clock.now();
        let store_name = format!("sqlite:{}", config.store.url.path().display());
        let engine = Arc::new(Engine::new(
            Directory::new(Arc::new(store)),
            setup.config,
            Journal::new(Some(setup.sink.clone())),
            setup.clock,
        ));
        let watch = Arc::<Watch>::default();
        let keeper = Arc::new(Keeper::new(engine.clone()));
        let mut opening = Opening::new(engine.clone());
        for (door, listener) in listeners {
            opening.door(door, listener)?;
        }
        let Opening {
            authenticator,
            auth,
            policy,
            milters,
            mut vital,
            listeners,
            ..
        } = opening;
        announce(&listeners);
        let control = Control {
            watch: watch.clone(),
            authenticator,
            status: Status {
                config: setup.path.clone(),
                started_at,
                listeners,
                auth,
                policy,
                engine: engine.clone(),
                watch: watch.clone(),
                keeper: keeper.clone(),
                sink: setup.sink,
                open_files: setup.open_files,
            },
        };
        vital.spawn(control.run(control_socket));
        vital.spawn(host::feed_watchdog());
        let (watching, watched) = (watch.clone(), engine.clone());
        vital.spawn(async move { watching.run(&watched.directory, &watched.clock).await });
        let keeping = keeper.clone();
        vital.spawn(async move { keeping.run().await });
        Ok(House {
            signals,
            reloader: Reloader::new(setup.path, setup.log, engine),
            watch,
            keeper,
            milters,
            vital,
            store_name,
        })
    }

    /// Keeps house until a signal asks to end, then drains.
    pub async fn keep(mut self) -> Result<(), String> {
        host::waiting_for_store();
        let watch = self.watch.clone();
        let opened = watch.opened();
        tokio::pin!(opened);
        let mut ready = false;
        loop {
            tokio::select! {
                wish = self.signals.next() => match wish {
                    Wish::Stop => break,
                    Wish::Reload => self.reload(ready),
                },
                opening = &mut opened, if !ready => {
                    opening.map_err(|e| format!("cannot open {}: {e}", self.store_name))?;
                    ready = true;
                    say("ready");
                    host::ready();
                }
                _ = self.vital.join_next() => {
                    // What is remembered could be stale, or the doors shut: better a new process.
                    return Err("a part of the daemon broke that must not".to_owned());
                }
            }
        }
        self.close().await;
        Ok(())
    }

    fn reload(&self, ready: bool) {
        if ready {
            host::reloading();
        }
        self.reloader.reload();
        if ready {
            host::ready();
        }
    }

    /// Auth and policy go on accepting and answering until the process ends.
    async fn close(mut self) {
        host::stopping();
        tracing::info!("stopping: open milter sessions may end, a second signal ends them now");
        let drains = self.milters.into_iter().map(|milter| milter.drain(DRAIN));
        tokio::select! {
            _ = join_all(drains) => {}
            () = self.signals.stop() => return,
        }
        tokio::select! {
            () = self.keeper.keep(LAST_WRITE) => {}
            () = self.signals.stop() => {}
        }
    }
}

/// What the doors need and leave while they are opened.
struct Opening {
    engine: Arc<Engine>,
    authenticator: Arc<Authenticator>,
    auth: Arc<Gauge>,
    policy: Arc<Gauge>,
    milters: Vec<MilterFront>,
    vital: JoinSet<()>,
    listeners: Vec<(Door, String)>,
}

impl Opening {
    fn new(engine: Arc<Engine>) -> Opening {
        Opening {
            authenticator: Arc::new(Authenticator::new(engine.clone())),
            engine,
            auth: Arc::default(),
            policy: Arc::default(),
            milters: Vec::new(),
            vital: JoinSet::new(),
            listeners: Vec::new(),
        }
    }

    fn door(&mut self, door: Door, listener: Listener) -> Result<(), String> {
        let address = listener.to_string();
        let clock = self.engine.clock.clone();
        match door {
            Door::Auth => {
                let front = Arc::new(AuthFront::new(self.authenticator.clone()));
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    async move { front.serve(stream).await }
                };
                let keep = doors::keep(listener, self.auth.clone(), clock, serve);
                self.vital.spawn(keep);
            }
            Door::Policy => {
                let front = Arc::new(PolicyFront::new(self.engine.clone()));
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    async move { front.serve(stream).await }
                };
                let keep = doors::keep(listener, self.policy.clone(), clock, serve);
                self.vital.spawn(keep);
            }
            Door::Milter => {
                let front = MilterFront::start(self.engine.clone(), listener)
                    .map_err(|e| format!("cannot serve the milter on {address}: {e}"))?;
                self.milters.push(front);
            }
            Door::Admin => {
                tracing::warn!(
                    address,
                    "this version has no admin interface: nobody answers there"
                );
                return Ok(());
            }
        }
        self.listeners.push((door, address));
        Ok(())
    }
}

/// What is inherited, and what is configured for the doors that inherit nothing.
fn bind(
    mut listeners: Vec<(Door, Listener)>,
    listen: &Listen,
) -> io::Result<Vec<(Door, Listener)>> {
    for door in Door::ALL {
        let endpoint = match door {
            Door::Auth => &listen.auth,
            Door::Policy => &listen.policy,
            Door::Milter => &listen.milter,
            Door::Admin => &listen.admin,
        };
        if listeners.iter().any(|(inherited, _)| *inherited == door) {
            continue;
        }
        if door == Door::Admin && *endpoint != Endpoint::Off {
            let address = endpoint.to_string();
            tracing::warn!(
                address,
                "this version has no admin interface: not listening there"
            );
            continue;
        }
        for listener in Listener::bind(endpoint, listen.socket_mode.0)? {
            listeners.push((door, listener));
        }
    }
    Ok(listeners)
}

fn announce(listeners: &[(Door, String)]) {
    for (door, address) in listeners {
        say(&format!(
            "listening front_end={} address={address}",
            door.id()
        ));
    }
    if listeners.is_empty() {
        tracing::warn!("no front end listens: [listen] switches all of them off");
    }
}

/// A line on standard output, for whoever waits for it.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    // The daemon goes on when nobody reads.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
