//! The daemon at work: everything that was started, and the order in which it starts and ends.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::control::{Control, Socket};
use super::doors::Gauge;
use super::farewell::Farewell;
use super::fronts::{self, Fronts};
use super::inherited::Door;
use super::keeper::Keeper;
use super::overview::Overview;
use super::reload::Reloader;
use super::signals::{Signals, Wish};
use super::status::Status;
use super::watch::Watch;
use super::{CONFIG_IS_WRONG, Problem, Setup, host};
use crate::clock::Clock;
use crate::config::Config;
use crate::directory::Directory;
use crate::dns::Resolver;
use crate::engine::Engine;
use crate::front::milter::MilterFront;
use crate::journal::{Archive, Journal, Sink};
use crate::store::sqlite::SqliteStore;
use crate::store::{StoreError, log};

/// How long open milter sessions may take to end by themselves. With what follows, the daemon ends
/// within 10 s of a SIGTERM.
const DRAIN: Duration = Duration::from_millis(6500);

/// How long the last uses may take to be stored.
const LAST_WRITE: Duration = Duration::from_secs(1);

/// How long those who were let in last may take for their handshake. An smtpd process dies of one
/// that breaks off, and its port with it; an idle connection that ends costs it nothing.
const LAST_HANDSHAKES: Duration = Duration::from_millis(250);

/// How long the answers to what was asked last may take.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

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
    farewell: Arc<Farewell>,
    auth: Arc<Gauge>,
    policy: Arc<Gauge>,
    /// The end has begun.
    stopping: Arc<AtomicBool>,
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

        let store_name = format!("sqlite:{}", config.store.url.path().display());
        let started_at = setup.clock.now();
        let engine = engine(setup.config, setup.clock, setup.sink.clone())?;
        let watch = Arc::<Watch>::default();
        let keeper = Arc::new(Keeper::new(engine.clone()));
        let (mut doors, mut vital) = (JoinSet::new(), JoinSet::new());
        let mut fronts = Fronts::new(engine.clone());
        let opened = fronts.open_all(listeners, &mut doors);
        opened.map_err(|e| e.to_string())?;
        announce(&fronts.listeners);
        let stopping = Arc::<AtomicBool>::default();
        let status = Status {
            config: setup.path.clone(),
            started_at,
            listeners: std::mem::take(&mut fronts.listeners),
            auth: fronts.auth.clone(),
            policy: fronts.policy.clone(),
            milter: std::mem::take(&mut fronts.milter_sessions),
            authenticator: fronts.authenticator.clone(),
            recent: setup.log.recent(),
            engine: engine.clone(),
            watch: watch.clone(),
            keeper: keeper.clone(),
            sink: setup.sink,
            open_files: setup.open_files,
        };
        let overview = Overview::new(&status, &fronts, stopping.clone());
        fronts.open_admin(Arc::new(overview), &mut doors);
        let control = Control {
            watch: watch.clone(),
            authenticator: fronts.authenticator,
            engine: engine.clone(),
            status,
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
            farewell: fronts.farewell,
            auth: fronts.auth,
            policy: fronts.policy,
            stopping,
        })
    }

    /// For whoever closes store and log after the last question.
    pub fn engine(&self) -> Arc<Engine> {
        self.keeper.engine().clone()
    }

    /// Keeps house until a signal asks to end, then drains.
    pub async fn keep(mut self) -> Result<(), Problem> {
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
                    opening.map_err(|error| self.cannot_open(&error))?;
                    ready = true;
                    say("ready");
                    host::ready();
                }
                // What is remembered could be stale, or a door shut: better a new process.
                _ = self.vital.join_next() => return Err(BROKEN.to_owned().into()),
                Some(_) = self.doors.join_next() => return Err(BROKEN.to_owned().into()),
            }
        }
        self.close().await;
        Ok(())
    }

    fn cannot_open(&self, error: &StoreError) -> Problem {
        Problem {
            text: format!("cannot open {}: {error}", self.store_name),
            exit: match error {
                StoreError::Mismatch(_) => CONFIG_IS_WRONG,
                StoreError::Busy(_) | StoreError::ReadOnly(_) | StoreError::Unusable(_) => 1,
            },
        }
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
        self.stopping.store(true, Ordering::Relaxed);
        tracing::info!("stopping: open milter sessions may end, a second signal ends them now");
        let drains = self.milters.into_iter().map(|milter| milter.drain(DRAIN));
        let (keeper, mut doors) = (self.keeper, self.doors);
        let (farewell, auth, policy) = (self.farewell, self.auth, self.policy);
        let last = async {
            join_all(drains).await;
            keeper.keep(LAST_WRITE).await;
            doors.shutdown().await;
            // The watcher still watches: what is answered now is as fresh as ever.
            sleep(LAST_HANDSHAKES).await;
            farewell.say();
            let _ = timeout(LAST_ANSWERS, join(auth.empty(), policy.empty())).await;
        };
        tokio::select! {
            () = last => {}
            () = self.signals.stop() => {}
        }
    }
}

/// The engine. Store and log are opened behind our back, while questions are answered.
fn engine(config: Config, clock: Clock, sink: Arc<Sink>) -> Result<Arc<Engine>, String> {
    let store = SqliteStore::start(config.store.url.path()).map_err(|e| e.to_string())?;
    let resolver =
        Resolver::new(&config.dns, clock.clone(), Handle::current()).map_err(|e| e.to_string())?;
    let archive = Archive::start(log::writer(&config.store.url), clock.clone())
        .map_err(|e| format!("cannot start the decision log: {e}"))?;
    let journal = Journal::new(Some(sink)).with_archive(archive);
    let directory = Directory::new(Arc::new(store));
    Ok(Arc::new(Engine::new(
        directory, resolver, config, journal, clock,
    )))
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
