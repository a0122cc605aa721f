//! What is logged beside decisions: starts, stops, faults. Text or JSON, through the same sink.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, fmt, reload};

use crate::clock::Clock;
use crate::config::{LogFormat, LogLevel};
use crate::journal::Sink;
use crate::model::dns::{Query, Trouble};
use crate::recent::{Recent, Remembering};
use crate::store::StoreError;

/// Changes level and format of a running process.
pub struct Handle {
    change: Box<dyn Fn(LogFormat, LogLevel) + Send + Sync>,
    recent: Arc<Recent>,
}

impl Handle {
    /// Takes over `[log]`.
    pub fn configure(&self, format: LogFormat, level: LogLevel) {
        (self.change)(format, level);
    }

    /// The last warnings and errors.
    pub fn recent(&self) -> Arc<Recent> {
        self.recent.clone()
    }
}

type Layer = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// Starts logging into the sink. Once a process.
///
/// Level and format are changed apart from each other: a layer that carries its own filter cannot
/// be put in the place of another one (tracing-subscriber panics).
pub fn start(sink: Arc<Sink>, format: LogFormat, level: LogLevel) -> Handle {
    let (lines, formats) = reload::Layer::new(lines(sink.clone(), format));
    let (filter, levels) = reload::Layer::new(filter(level));
    let recent = Arc::<Recent>::default();
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(lines)
        .with(Remembering(recent.clone()))
        .with(filter)
        .try_init();
    Handle {
        change: Box::new(move |format, level| {
            let _ = formats.reload(self::lines(sink.clone(), format));
            let _ = levels.reload(self::filter(level));
        }),
        recent,
    }
}

fn filter(level: LogLevel) -> Targets {
    // The DNS library warns of each answer that is odd, and anybody can send odd answers: what an
    // operator should know of them is said by `dns_trouble`.
    let (level, library) = match level {
        LogLevel::Error => (LevelFilter::ERROR, LevelFilter::OFF),
        LogLevel::Warn => (LevelFilter::WARN, LevelFilter::OFF),
        LogLevel::Info => (LevelFilter::INFO, LevelFilter::OFF),
        LogLevel::Debug => (LevelFilter::DEBUG, LevelFilter::DEBUG),
        LogLevel::Trace => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    Targets::new()
        .with_default(level)
        .with_target("hickory", library)
}

fn lines(sink: Arc<Sink>, format: LogFormat) -> Layer {
    let lines = fmt::layer()
        .with_writer(Lines(sink))
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// Hands whole lines to the sink.
struct Lines(Arc<Sink>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = LineWriter<'a>;

    fn make_writer(&'a self) -> LineWriter<'a> {
        LineWriter(&self.0)
    }
}

/// One event.
struct LineWriter<'a>(&'a Sink);

impl io::Write for LineWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(|out| out.extend_from_slice(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whether the present trouble of the store was said, so that its end is said too.
static TROUBLE_SAID: AtomicBool = AtomicBool::new(false);

/// Says once a minute that the store is in trouble, however many questions it costs.
pub fn store_trouble(clock: &Clock, error: &StoreError) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(clock) {
        TROUBLE_SAID.store(true, Ordering::Relaxed);
        let error = error.to_string();
        tracing::error!(error, "the store is in trouble: deferring what needs it");
    }
}

/// Says that a trouble is over, if it was said.
pub fn store_recovered() {
    if TROUBLE_SAID.swap(false, Ordering::Relaxed) {
        tracing::warn!("the store answers again");
    }
}

/// Says once a minute that a question to DNS has no answer: its name servers or ours are in trouble.
pub fn dns_trouble(clock: &Clock, query: &Query, trouble: Trouble) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(clock) {
        let name = query.name.as_str();
        let kind = query.kind.to_string();
        let error = trouble.to_string();
        tracing::warn!(
            name,
            kind,
            error,
            "a look-up in DNS failed: deferring what needs it"
        );
    }
}

/// Says that logins wait longer for a password hash than Postfix waits for them.
pub fn logins_wait(clock: &Clock) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(clock) {
        tracing::warn!(
            "more logins than passwords can be hashed: clients hear 454 and try again; \
             see auth.max-concurrent-hashes and auth.hash, and where the logins come from"
        );
    }
}

/// Says that Postfix has asked about a message that it has not begun, or whose recipients belong to
/// another one, and that the client was deferred.
pub fn out_of_turn(clock: &Clock) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(clock) {
        tracing::warn!(
            "Postfix asks about a message that has no MAIL or no RCPT, as it does for a client that goes on \
             after a refused BDAT: deferred"
        );
    }
}

/// Lets something be said once a minute, however often it happens.
pub struct OnceAMinute(AtomicI64);

impl OnceAMinute {
    /// At once, the first time.
    pub const fn new() -> OnceAMinute {
        OnceAMinute(AtomicI64::new(i64::MIN))
    }

    /// Whether to say it now.
    pub fn is_due(&self, clock: &Clock) -> bool {
        let now = clock.now().as_second();
        let last = self.0.load(Ordering::Relaxed);
        // A clock that was put back must not silence the log.
        let due = now.saturating_sub(last) >= 60 || last > now;
        due && self
            .0
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

impl Default for OnceAMinute {
    fn default() -> OnceAMinute {
        OnceAMinute::new()
    }
}

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Panics so far. Each has cost one connection.
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Writes and counts panics like any other fault, in one line. A message that was put together at
/// run time is left out: slicing a text wrongly would write the text, which may be a password.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        let text = panic.payload().downcast_ref::<&'static str>();
        let text = text.copied().unwrap_or("see the place");
        let at = panic.location().map(ToString::to_string);
        let at = at.unwrap_or_default();
        tracing::error!(
            panic = text,
            at,
            "a fault in outgate itself: please report it"
        );
    }));
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn the_dns_library_is_heard_only_by_those_who_look_for_faults() {
        let usual = filter(LogLevel::Warn);
        assert!(usual.would_enable("outgate::dns", &Level::WARN));
        assert!(!usual.would_enable("outgate::dns", &Level::INFO));
        assert!(!usual.would_enable("hickory_net::udp", &Level::WARN));
        let close = filter(LogLevel::Debug);
        assert!(close.would_enable("hickory_net::udp", &Level::WARN));
    }
}
