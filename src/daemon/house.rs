//! The daemon at work: everything that was started, and the order in which it starts and ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::control::{Control, Socket};
use super::fronts::{self, Fronts};
use super::inherited::Door;
use super::keeper::Keeper;
use super::reload::Reloader;
use super::signals::{Signals, Wish};
use super::status::Status;
use super::watch::Watch;
use super::{Setup, host};
use crate::directory::Directory;
use crate::dns::Resolver;
use crate::engine::Engine;
use crate::front::milter::MilterFront;
use crate::journal::Journal;
use crate::store::Store;
use crate::store::sqlite::SqliteStore;

/// How long open milter sessions may take to end by themselves. With what follows, the daemon ends
/// within 10 s of a SIGTERM.
const DRAIN: Duration = Duration::from_millis(6500);

/// How long the last uses may take to be stored.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How long those who were let in last may take to be answered. An smtpd process dies of a handshake
/// that breaks off, and its port with it; an idle connection that ends costs it nothing.
const LAST_ANSWERS: Duration = Duration::from_millis(250);

const BROKEN: &str = "a part of the daemon broke that must not";

/// A running daemon.
pub struct House {
    signals: Signals,
    reloader: Reloader,
    watch: Arc<Watch>,
    keeper: Arc<Keeper>,
    milters: Vec<MilterFront>,
    /// Let in those who want to ask.
    doors: JoinSet<()>,
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
        let listeners = fronts::bind(inherited, &config.listen).map_err(|e| e.to_string())?;

        // Opens behind our back, while questions are answered.
        let store = SqliteStore::start(config.store.url.path()).map_err(|e| e.to_string())?;
        let started_at = setup.clock.now();
        let store_name = format!("sqlite:{}", config.store.url.path().display());
        let resolver = Resolver::new(&config.dns, setup.clock.clone(), Handle::current())
            .map_err(|e| e.to_string())?;
        let engine = Arc::new(Engine::new(
            Directory::new(Arc::new(store)),
            resolver,
            setup.config,
            Journal::new(Some(setup.sink.clone())),
            setup.clock,
        ));
        let watch = Arc::<Watch>::default();
        let keeper = Arc::new(Keeper::new(engine.clone()));
        let (mut doors, mut vital) = (JoinSet::new(), JoinSet::new());
        let mut fronts = Fronts::new(engine.clone());
        let opened = fronts.open_all(listeners, &mut doors);
        opened.map_err(|e| e.to_string())?;
        announce(&fronts.listeners);
        let control = Control {
            watch: watch.clone(),
            authenticator: fronts.authenticator.clone(),
            status: Status {
                config: setup.path.clone(),
                started_at,
                listeners: fronts.listeners,
                auth: fronts.auth,
                policy: fronts.policy,
                milter: fronts.milter_sessions,
                authenticator: fronts.authenticator,
                recent: setup.log.recent(),
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
            milters: fronts.milters,
            doors,
            vital,
            store_name,
        })
    }

    /// The store, for whoever closes it after the last question.
    pub fn store(&self) -> Arc<dyn Store> {
        self.keeper.store().clone()
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
                // What is remembered could be stale, or a door shut: better a new process.
                _ = self.vital.join_next() => return Err(BROKEN.to_owned()),
                Some(_) = self.doors.join_next() => return Err(BROKEN.to_owned()),
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

    /// Auth and policy accept and answer until everything else is done. Who comes after that waits
    /// in the backlog of a socket that somebody holds for the next process.
    async fn close(mut self) {
        host::stopping();
        tracing::info!("stopping: open milter sessions may end, a second signal ends them now");
        let drains = self.milters.into_iter().map(|milter| milter.drain(DRAIN));
        let (keeper, mut doors) = (self.keeper, self.doors);
        let last = async {
            join_all(drains).await;
            keeper.keep(LAST_WRITE).await;
            doors.shutdown().await;
            // The watcher still watches: what is answered now is as fresh as ever.
            sleep(LAST_ANSWERS).await;
        };
        tokio::select! {
            () = last => {}
            () = self.signals.stop() => {}
        }
    }
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
