//! The decision log: one line per login, per refusal or deferral, and per accepted message.
//!
//! Writing a line never waits for whoever reads it: lines go into a bounded buffer that one thread
//! empties into standard error. What a client sent is escaped, so that it forges neither a line
//! nor a field; passwords never come here.

use std::io::Write;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::config::{LogFormat, LogLevel};
use crate::decision::facts::Stage;
use crate::decision::reason::{Reason, Verdict};
use crate::model::name::{Name, UserId};

/// Where Postfix asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FrontEnd {
    /// Dovecot auth protocol.
    Auth,
    /// SMTPD policy delegation.
    Policy,
    /// Milter.
    Milter,
}

impl FrontEnd {
    /// The name in the log.
    pub fn id(self) -> &'static str {
        match self {
            FrontEnd::Auth => "auth",
            FrontEnd::Policy => "policy",
            FrontEnd::Milter => "milter",
        }
    }
}

/// The id of a decision: names it in reply, log and `explain`. Nobody guesses another one's:
/// 128 random bits, behind the time so that ids made together lie together.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct DecisionId(String);

impl DecisionId {
    /// A new id.
    pub fn new(now: Timestamp) -> DecisionId {
        let mut bytes = [0_u8; 22];
        let millis = now.as_millisecond().to_be_bytes();
        bytes[..6].copy_from_slice(&millis[2..]);
        if getrandom::fill(&mut bytes[6..]).is_err() {
            // Without the system's randomness an id could be guessed; it names a decision all the same.
            bytes[6..14].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        }
        DecisionId(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// URL-safe text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

/// One line, with the fields that scripts hold on to.
#[derive(Clone, Debug, Serialize)]
pub struct Line<'a> {
    /// When it was decided.
    #[serde(serialize_with = "millis")]
    pub time: Timestamp,
    /// The decision's.
    pub id: DecisionId,
    /// Where it was asked.
    pub front_end: FrontEnd,
    /// At what point of SMTP.
    #[serde(serialize_with = "stage")]
    pub stage: Stage,
    /// What would be answered in force.
    #[serde(serialize_with = "display")]
    pub verdict: Verdict,
    /// Why.
    #[serde(serialize_with = "display")]
    pub reason: Reason,
    /// What the client hears, or would hear; empty for what is allowed.
    pub reply: &'a str,
    /// Whose message; null where no user is known.
    #[serde(serialize_with = "name")]
    pub user: Option<&'a Name>,
    /// Its id.
    pub user_id: Option<UserId>,
    /// Its account.
    #[serde(serialize_with = "name")]
    pub account: Option<&'a Name>,
    /// As it arrived.
    pub login: &'a str,
    /// The client's address, or `unknown`.
    pub client: &'a str,
    /// Null before MAIL, empty for the null sender.
    pub mail_from: Option<&'a str>,
    /// The addresses of the header From, as far as they could be read.
    pub header_from: &'a [String],
    /// Accepted so far, where the stage knows.
    pub recipients: u32,
    /// Empty where there is none yet.
    pub queue_id: &'a str,
    /// Recorded, not carried out.
    pub audit: bool,
    /// From question to answer, milliseconds.
    pub ms: f64,
}

impl Serialize for UserId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn millis<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.3}"))
}

fn stage<S: Serializer>(stage: &Stage, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(stage.id())
}

fn display<S: Serializer>(
    value: &impl std::fmt::Display,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn name<S: Serializer>(name: &Option<&Name>, serializer: S) -> Result<S::Ok, S::Error> {
    match name {
        Some(name) => serializer.serialize_str(name.as_str()),
        None => serializer.serialize_none(),
    }
}

impl Line<'_> {
    /// Trouble, and a right password from a wrong address, want attention.
    pub fn level(&self) -> LogLevel {
        let known_password =
            self.reason == Reason::IpNotAuthorized && self.front_end == FrontEnd::Auth;
        if self.verdict == Verdict::Defer || known_password {
            LogLevel::Warn
        } else {
            LogLevel::Info
        }
    }

    fn write(&self, format: LogFormat, out: &mut Vec<u8>) {
        match format {
            LogFormat::Text => self.write_text(out),
            LogFormat::Json => self.write_json(out),
        }
        out.push(b'\n');
    }

    /// Own words plain, everything that comes from a client quoted and escaped.
    fn write_text(&self, out: &mut Vec<u8>) {
        let level = if self.level() == LogLevel::Warn {
            "WARN"
        } else {
            "INFO"
        };
        let shown = |name: Option<&Name>| name.map_or("-".to_owned(), ToString::to_string);
        // Writing to a vector does not fail.
        let _ = write!(
            out,
            "{:.3} {level} decision front_end={} stage={} verdict={} reason={} id={} user={} account={} client={} login={:?} mail_from=",
            self.time,
            self.front_end.id(),
            self.stage.id(),
            self.verdict,
            self.reason,
            self.id.as_str(),
            shown(self.user),
            shown(self.account),
            self.client,
            self.login,
        );
        let _ = match self.mail_from {
            Some(sender) => write!(out, "{sender:?}"),
            None => write!(out, "-"),
        };
        let user_id = self.user_id.map_or("-".to_owned(), |id| id.to_string());
        let _ = write!(
            out,
            " header_from={:?} recipients={} queue_id={:?} user_id={user_id} audit={} ms={:.3} reply={:?}",
            self.header_from, self.recipients, self.queue_id, self.audit, self.ms, self.reply
        );
    }

    /// ASCII only: what could turn the direction of a terminal is written `\u202e`.
    fn write_json(&self, out: &mut Vec<u8>) {
        let Ok(json) = serde_json::to_string(self) else {
            return;
        };
        if json.is_ascii() {
            out.extend_from_slice(json.as_bytes());
            return;
        }
        for c in json.chars() {
            if c.is_ascii() {
                out.push(c as u8);
                continue;
            }
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        }
    }
}

/// Buffered standard error, shared by the decision log and everything else that is logged.
pub struct Sink {
    state: Mutex<State>,
    filled: Condvar,
    emptied: Condvar,
    lost: AtomicU64,
}

#[derive(Default)]
struct State {
    waiting: Vec<u8>,
    /// Lines have been taken out and are not written yet.
    writing: bool,
}

/// What may wait to be written. Beyond, lines are counted instead of kept: a log that nobody
/// reads must neither stop mail nor eat the memory.
const MAX_BUFFERED: usize = 8 << 20;

impl Sink {
    /// Starts the thread that writes to standard error.
    pub fn stderr() -> std::io::Result<Arc<Sink>> {
        let sink = Sink::memory();
        let drain = sink.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || drain.run())?;
        Ok(sink)
    }

    /// Keeps the lines until [`Sink::take`] takes them: for tests, which read what was logged.
    pub fn memory() -> Arc<Sink> {
        Arc::new(Sink {
            state: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            lost: AtomicU64::new(0),
        })
    }

    /// The lines that nobody has taken yet.
    pub fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.lock().waiting)
    }

    /// Takes whole lines.
    pub fn write(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        if state.waiting.len() >= MAX_BUFFERED {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let idle = state.waiting.is_empty();
        fill(&mut state.waiting);
        drop(state);
        if idle {
            self.filled.notify_one();
        }
    }

    /// Lines that were not written because nobody took them.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Waits until everything is written, at most for so long (nobody may be reading); for the end
    /// of the process.
    pub fn flush(&self, patience: Duration) {
        let state = self.lock();
        let unwritten = |state: &mut State| state.writing || !state.waiting.is_empty();
        drop(
            self.emptied
                .wait_timeout_while(state, patience, unwritten)
                .unwrap_or_else(PoisonError::into_inner),
        );
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut reported = 0;
        loop {
            let state = self.lock();
            let mut state = self
                .filled
                .wait_while(state, |state| state.waiting.is_empty())
                .unwrap_or_else(PoisonError::into_inner);
            let lines = std::mem::take(&mut state.waiting);
            state.writing = true;
            drop(state);
            // Nobody is left to tell when standard error is closed.
            let _ = std::io::stderr().write_all(&lines);
            let lost = self.lost();
            if lost > reported {
                let lines = lost - reported;
                tracing::warn!(lines, "log lines lost because nobody reads them");
                reported = lost;
            }
            self.lock().writing = false;
            self.emptied.notify_all();
            // A burst is written together: one system call for many lines.
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Writes decisions in the configured form.
pub struct Journal {
    sink: Option<Arc<Sink>>,
    json: AtomicU8,
    level: AtomicU8,
}

impl Journal {
    /// A journal on a sink; without one it keeps silent (commands that only explain).
    pub fn new(sink: Option<Arc<Sink>>) -> Journal {
        Journal {
            sink,
            json: AtomicU8::new(0),
            level: AtomicU8::new(LogLevel::Info as u8),
        }
    }

    /// Takes over `[log]`.
    pub fn configure(&self, format: LogFormat, level: LogLevel) {
        self.json
            .store(u8::from(format == LogFormat::Json), Ordering::Relaxed);
        self.level.store(level as u8, Ordering::Relaxed);
    }

    /// Writes a line, unless the level leaves it out.
    pub fn write(&self, line: &Line<'_>) {
        let Some(sink) = &self.sink else { return };
        if line.level() as u8 > self.level.load(Ordering::Relaxed) {
            return;
        }
        let format = match self.json.load(Ordering::Relaxed) {
            0 => LogFormat::Text,
            _ => LogFormat::Json,
        };
        sink.write(|out| line.write(format, out));
    }
}
