//! The control socket: how commands tell a running daemon what they did, and ask how it is.
//!
//! One JSON object a line in each direction, one exchange a connection. This is what both sides
//! share, and the side that asks; the daemon's side is `daemon::control`.

use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::socket;

/// The longest line that either side reads, in bytes. What is said is far shorter.
pub const MAX_LINE: usize = 64 * 1024;

/// What a command tells or asks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case")]
pub enum Request {
    /// Something was changed in the store: answer when every question is answered by what
    /// is stored now.
    Noted,
    /// Forget what was counted against a user.
    Unlock {
        /// The user's id.
        user: String,
    },
    /// Answer when every decision that was made before is in the log.
    Logged,
    /// How are you?
    Status,
}

/// What came of it.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// No daemon is running on this socket.
    NoDaemon,
    /// The daemon's answer: a JSON object.
    Done(serde_json::Value),
    /// It did not answer in time, or not with sense.
    Late(String),
}

/// Asks the daemon behind a control socket. Blocks, at most for `patience`.
pub fn ask(socket: &Path, request: &Request, patience: Duration) -> Outcome {
    let clock = Clock::system();
    let deadline = clock.instant() + patience;
    let exchange = || {
        let stream = socket::connect(socket)?;
        stream.set_nonblocking(false)?;
        stream.set_write_timeout(Some(remaining(&clock, deadline)?))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        (&stream).write_all(&line)?;
        read_line(|buffer| {
            stream.set_read_timeout(Some(remaining(&clock, deadline)?))?;
            (&stream).read(buffer)
        })
    };
    match exchange() {
        Ok(line) => answer(&line),
        Err(error) => no_answer(&error, socket, patience),
    }
}

fn no_answer(error: &io::Error, socket: &Path, patience: Duration) -> Outcome {
    let kind = error.kind();
    if kind == ErrorKind::NotFound || kind == ErrorKind::ConnectionRefused {
        return Outcome::NoDaemon;
    }
    // Two names for a time-out. On connecting the first means that too many ask already.
    if kind == ErrorKind::WouldBlock || kind == ErrorKind::TimedOut {
        let seconds = patience.as_secs_f32();
        return Outcome::Late(format!("the daemon did not answer within {seconds} s"));
    }
    let socket = socket.display();
    Outcome::Late(format!("cannot ask the daemon at {socket}: {error}"))
}

/// An answer without sense, or one that says what went wrong, is no answer.
fn answer(line: &[u8]) -> Outcome {
    match serde_json::from_slice::<serde_json::Value>(line) {
        Ok(answer) if answer.is_object() => match answer.get("error") {
            Some(error) => Outcome::Late(error.as_str().unwrap_or("no reason given").to_owned()),
            None => Outcome::Done(answer),
        },
        Ok(_) | Err(_) => Outcome::Late("the daemon's answer is no JSON object".to_owned()),
    }
}

/// A time-out of zero is not allowed, and none is left anyway.
fn remaining(clock: &Clock, deadline: Instant) -> io::Result<Duration> {
    match deadline.saturating_duration_since(clock.instant()) {
        Duration::ZERO => Err(ErrorKind::TimedOut.into()),
        left => Ok(left),
    }
}

fn read_line(mut read: impl FnMut(&mut [u8]) -> io::Result<usize>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = match read(&mut buffer) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            count => count?,
        };
        let new = buffer.get(..count).unwrap_or_default();
        if let Some(end) = new.iter().position(|&byte| byte == b'\n') {
            line.extend_from_slice(new.get(..end).unwrap_or_default());
            return Ok(line);
        }
        line.extend_from_slice(new);
        if count == 0 {
            return Err(io::Error::other("it closed the connection"));
        }
        if line.len() > MAX_LINE {
            return Err(io::Error::other("its answer does not end"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::os::unix::net::UnixListener;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    /// Asks a daemon that answers with these bytes and closes.
    fn answered(bytes: &'static [u8]) -> Outcome {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = UnixListener::bind(&path).unwrap();
        let daemon = std::thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            assert_eq!(line, "{\"ask\":\"noted\"}\n");
            let _ = (&stream).write_all(bytes);
        });
        let outcome = ask(&path, &Request::Noted, PATIENCE);
        daemon.join().unwrap();
        outcome
    }

    fn late(outcome: &Outcome) -> bool {
        matches!(outcome, Outcome::Late(_))
    }

    #[test]
    fn sense_and_nonsense() {
        let done = Outcome::Done(serde_json::json!({"noted": true}));
        assert_eq!(answered(b"{\"noted\":true}\nmore"), done);
        let failed = Outcome::Late("no store".to_owned());
        assert_eq!(answered(b"{\"error\":\"no store\"}\n"), failed);
        for nonsense in [&b""[..], b"\n", b"{}", b"[1]\n", b"\xff\n", b"{\"noted\"\n"] {
            assert!(late(&answered(nonsense)), "{nonsense:?}");
        }
        let endless = vec![b'x'; 200_000].leak();
        assert!(late(&answered(endless)));
    }

    #[test]
    fn nobody_there() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        assert_eq!(ask(&path, &Request::Status, PATIENCE), Outcome::NoDaemon);
        drop(UnixListener::bind(&path).unwrap());
        assert_eq!(ask(&path, &Request::Status, PATIENCE), Outcome::NoDaemon);
    }

    #[test]
    fn somebody_silent() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let _listener = UnixListener::bind(&path).unwrap();
        assert!(late(&ask(
            &path,
            &Request::Status,
            Duration::from_millis(20)
        )));
        assert!(late(&ask(&path, &Request::Status, Duration::ZERO)));
    }
}
