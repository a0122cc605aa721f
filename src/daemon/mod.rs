//! The daemon: order of start and stop, signals, sockets.
//!
//! All sockets are there before the store is opened, because Postfix's smtpd dies when the auth
//! socket does not answer; auth and policy answer until the process ends, and only the milter
//! drains. Nothing is decided here.

mod control;
mod doors;
mod farewell;
mod fronts;
mod host;
mod house;
mod inherited;
mod keeper;
mod overview;
mod reload;
mod signals;
mod status;
mod watch;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::runtime::Builder;

use crate::clock::Clock;
use crate::config::Config;
use crate::config::load::load;
use crate::journal::Sink;
use crate::store::Store;
use crate::telemetry;
use house::House;
use inherited::Inherited;

/// `EX_CONFIG` of sysexits.h.
const CONFIG_IS_WRONG: u8 = 78;

/// How long the end waits for whoever reads the log.
const LOG_PATIENCE: Duration = Duration::from_millis(500);

/// How long the end waits for the store.
const STORE_PATIENCE: Duration = Duration::from_millis(500);

/// What the daemon starts with.
struct Setup {
    path: PathBuf,
    config: Config,
    inherited: Inherited,
    sink: Arc<Sink>,
    log: telemetry::Handle,
    clock: Clock,
    open_files: Option<u64>,
}

/// Why the daemon ends although nobody asked it to.
struct Problem {
    text: String,
    exit: u8,
}

impl From<String> for Problem {
    fn from(text: String) -> Problem {
        Problem { text, exit: 1 }
    }
}

/// Runs until SIGTERM or SIGINT. Exit codes: 0 after one of them; 78 if the configuration is wrong, or
/// names a store that is not this program's (a newer outgate's, or no outgate's); 1 if a socket cannot
/// be bound, if the store is damaged or cannot be brought up to date, or if a part of the daemon broke
/// that nothing works without. A store that is locked or full at
/// the start is waited for, with logins and messages deferred.
pub fn serve(config: &Path) -> ExitCode {
    // Before there are other threads.
    let inherited = Inherited::take();
    host::close_umask();
    let path = config.to_owned();
    let config = match load(&path) {
        Ok(config) => config,
        Err(error) => {
            complain(&error.to_string());
            return ExitCode::from(CONFIG_IS_WRONG);
        }
    };
    let sink = match Sink::stderr() {
        Ok(sink) => sink,
        Err(error) => {
            complain(&format!("cannot start the log: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let log = telemetry::start(sink.clone(), config.log.format, config.log.level);
    telemetry::log_panics();
    let setup = Setup {
        path,
        config,
        inherited,
        sink: sink.clone(),
        log,
        clock: Clock::system(),
        open_files: host::raise_open_files(),
    };
    host::warn_of_root();
    let outcome = run(setup);
    if let Err(problem) = &outcome {
        tracing::error!(problem = problem.text, "outgate ends");
    }
    sink.flush(LOG_PATIENCE);
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => ExitCode::from(problem.exit),
    }
}

fn run(setup: Setup) -> Result<(), Problem> {
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let (outcome, engine) = runtime.block_on(async {
        match House::open(setup) {
            Ok(house) => {
                let engine = house.engine();
                (house.keep().await, Some(engine))
            }
            Err(problem) => (Err(problem.into()), None),
        }
    });
    // Connections of auth and policy that are still open end here.
    runtime.shutdown_timeout(Duration::from_millis(100));
    if let Some(engine) = engine {
        engine.journal().close(STORE_PATIENCE);
        close(engine.directory.store().clone());
    }
    outcome
}

/// Lets the store finish what it was handed, within reason: a disk may hang.
fn close(store: Arc<dyn Store>) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        store.close();
        let _ = done.send(());
    });
    if finished.recv_timeout(STORE_PATIENCE).is_err() {
        tracing::warn!("the store was not closed in time");
    }
}

/// Before there is a log.
fn complain(problem: &str) {
    // Nobody is left to tell when standard error is closed.
    let _ = writeln!(std::io::stderr(), "outgate: {problem}");
}
