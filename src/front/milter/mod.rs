//! The milter front end, on indymilter, which is named in this folder only.
//!
//! Sockets are accepted on the runtime of the daemon and handed to single-threaded runtimes of
//! their own, one a core: indymilter spawns two tasks a connection that talk to each other, and
//! answers a third faster where they share a thread.

mod answer;
mod events;
pub mod frames;
mod gate;
mod message;
mod session;

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::listener::{Arrivals, Listener};
use crate::engine::Engine;
use gate::{Connection, Ending, Gate, Room};

/// How long a thread may take to end after its sessions were cut off.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The running milter front end.
pub struct MilterFront {
    room: Arc<Room>,
    ending: Ending,
    threads: Vec<JoinHandle<()>>,
}

impl MilterFront {
    /// Starts serving a socket, on threads of its own. Wants the runtime that the socket lives on.
    /// The task that accepts is one of `tasks`: if it ends before the front end is drained, the
    /// milter is broken.
    pub fn start(
        engine: Arc<Engine>,
        listener: Listener,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<MilterFront> {
        let most = engine.settings().config.milter.max_connections;
        let room = Arc::new(Room::new(most));
        let ending = Ending::default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let mut workers = Vec::with_capacity(cores);
        let mut threads = Vec::with_capacity(cores);
        for _ in 0..cores {
            let (sender, receiver) = unbounded_channel();
            let (engine, cut) = (engine.clone(), ending.cut.clone());
            let runtime = Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new()
                .name("milter".to_owned())
                .spawn(move || runtime.block_on(work(engine, receiver, cut)))?;
            workers.push(sender);
            threads.push(thread);
        }
        tasks.spawn(gate::keep(
            Arrivals::new(listener, engine.clock.clone()),
            room.clone(),
            workers,
            ending.clone(),
        ));
        Ok(MilterFront {
            room,
            ending,
            threads,
        })
    }

    /// Tells how many sessions are open, also after this front end was handed to [`MilterFront::drain`].
    pub fn gauge(&self) -> impl Fn() -> usize + Send + Sync + 'static {
        let room = self.room.clone();
        move || room.taken()
    }

    /// How many sessions may be open.
    pub fn limit(&self) -> u32 {
        self.room.most()
    }

    /// Stops accepting (new sessions wait in the backlog of the socket), lets the sessions that
    /// are open end by themselves for that long, and cuts off the rest.
    pub async fn drain(self, patience: Duration) {
        self.ending.closing.cancel();
        let left = async {
            self.ending.closed.cancelled().await;
            self.room.empty().await;
        };
        if timeout(patience, left).await.is_err() {
            let sessions = self.room.taken();
            tracing::warn!(
                sessions,
                "milter sessions cut off at shutdown: Postfix tells their clients to try again"
            );
        }
        self.ending.cut.cancel();
        let threads = self.threads;
        let ended = tokio::task::spawn_blocking(move || {
            for thread in threads {
                // A panic of a thread was logged when it happened.
                let _ = thread.join();
            }
        });
        let _ = timeout(LAST_WORDS, ended).await;
    }
}

/// The life of a thread: serves the connections that it is handed.
async fn work(
    engine: Arc<Engine>,
    receiver: UnboundedReceiver<Connection>,
    cut: CancellationToken,
) {
    let config = indymilter::Config {
        // The room is bounded where connections are accepted.
        max_connections: gate::UNBOUNDED,
        ..indymilter::Config::default()
    };
    let served = indymilter::run(
        Gate::new(receiver),
        events::callbacks(engine),
        config,
        cut.cancelled_owned(),
    );
    if let Err(error) = served.await {
        let error = error.to_string();
        tracing::error!(error, "a milter thread ended");
    }
}
