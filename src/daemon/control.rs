//! The daemon's side of the control socket: takes note of changes, lifts throttles, says how it is.
//!
//! Only the user that the daemon runs as can connect (and root). Still, a line is bounded in length
//! and time, and so is the number of those who ask at once.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::status::Status;
use super::watch::Watch;
use crate::auth::Authenticator;
use crate::control::{MAX_LINE, Request};
use crate::engine::Engine;
use crate::model::name::UserId;
use crate::owner;
use crate::socket;

/// How long a peer may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long whoever reads the log waits for what was decided just now.
const LOGGING: Duration = Duration::from_secs(1);

/// Those who are answered at the same time; others wait in the backlog.
const MAX_ASKING: usize = 256;

/// How long to wait before trying again what did not work: binding, accepting.
const PAUSE: Duration = Duration::from_secs(1);

/// Only for the user that the daemon runs as.
const MODE: u32 = 0o600;

/// The control socket, bound or still to be bound.
pub struct Socket {
    path: PathBuf,
    listener: Option<std::os::unix::net::UnixListener>,
}

impl Socket {
    /// Binds the control socket. That another daemon serves it, or that something else is in its
    /// place, is an error. That it cannot be bound at the moment (a file system that is mounted
    /// read-only after a fault) is not: mail goes on, and it is tried again.
    pub fn bind(path: PathBuf) -> io::Result<Socket> {
        let listener = match bind(&path) {
            Ok(listener) => Some(listener),
            Err(error)
                if error.kind() == ErrorKind::AddrInUse
                    || error.kind() == ErrorKind::AlreadyExists =>
            {
                let text = format!("cannot bind the control socket {}: {error}", path.display());
                return Err(io::Error::new(error.kind(), text));
            }
            Err(error) => {
                let (path, error) = (path.display().to_string(), error.to_string());
                tracing::error!(
                    path,
                    error,
                    "cannot bind the control socket; commands cannot reach the daemon until that works"
                );
                None
            }
        };
        Ok(Socket { path, listener })
    }

    async fn listener(self) -> io::Result<UnixListener> {
        let mut bound = self.listener;
        loop {
            if let Some(listener) = bound {
                return UnixListener::from_std(listener);
            }
            sleep(PAUSE).await;
            bound = bind(&self.path).ok();
        }
    }
}

fn bind(path: &Path) -> io::Result<std::os::unix::net::UnixListener> {
    // The store's own directory, as a rule.
    if let Some(directory) = path.parent() {
        owner::create_directory(directory)?;
    }
    socket::bind(path, MODE)
}

/// Answers commands.
pub struct Control {
    /// Takes note of changes.
    pub watch: Arc<Watch>,
    /// Lifts throttles.
    pub authenticator: Arc<Authenticator>,
    /// Its log is waited for.
    pub engine: Arc<Engine>,
    /// Says how it is.
    pub status: Status,
}

impl Control {
    /// Answers for ever.
    pub async fn run(self, socket: Socket) {
        let listener = match socket.listener().await {
            Ok(listener) => listener,
            Err(error) => {
                let error = error.to_string();
                tracing::error!(error, "cannot serve the control socket");
                return;
            }
        };
        let control = Arc::new(self);
        let room = Arc::new(Semaphore::new(MAX_ASKING));
        loop {
            let place = room.clone().acquire_owned().await;
            match listener.accept().await {
                Ok((stream, _)) => {
                    let control = control.clone();
                    tokio::spawn(async move {
                        let _place = place;
                        control.exchange(stream).await;
                    });
                }
                // Without a file descriptor left, say; the doors log that.
                Err(_) => sleep(PAUSE).await,
            }
        }
    }

    async fn exchange(&self, mut stream: UnixStream) {
        let answer = match timeout(PATIENCE, read_line(&mut stream)).await {
            Ok(Ok(line)) => match serde_json::from_slice::<Request>(&line) {
                Ok(request) => self.answer(request).await,
                Err(error) => json!({"error": format!("not understood: {error}")}),
            },
            Ok(Err(error)) => json!({"error": error.to_string()}),
            Err(_) => json!({"error": "no whole line in time"}),
        };
        let mut line = answer.to_string();
        line.push('\n');
        // Whoever has gone does not want the answer any more.
        let _ = timeout(PATIENCE, stream.write_all(line.as_bytes())).await;
    }

    async fn answer(&self, request: Request) -> Value {
        match request {
            Request::Noted => match timeout(PATIENCE, self.watch.noted()).await {
                Ok(Ok(())) => json!({"noted": true}),
                Ok(Err(error)) => json!({"error": error.to_string()}),
                Err(_) => json!({"error": "the store does not answer"}),
            },
            Request::Unlock { user } => match Uuid::parse_str(&user) {
                Ok(id) => {
                    self.authenticator.unlock(UserId(id));
                    json!({"unlocked": true})
                }
                Err(_) => json!({"error": "that is no user's id"}),
            },
            Request::Logged => match timeout(LOGGING, self.engine.journal().settled()).await {
                Ok(()) => json!({"logged": true}),
                Err(_) => json!({"error": "the decision log cannot be written"}),
            },
            Request::Status => self.status.report(),
        }
    }
}

async fn read_line(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let bound = MAX_LINE as u64;
    let mut reader = BufReader::new(stream).take(bound);
    reader.read_until(b'\n', &mut line).await?;
    if line.last() == Some(&b'\n') {
        return Ok(line);
    }
    Err(io::Error::other(if line.len() == MAX_LINE {
        "the line is too long"
    } else {
        "the line does not end"
    }))
}
