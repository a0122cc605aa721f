//! What is logged beside decisions: starts, stops, faults. Text or JSON, through the same sink.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{Registry, fmt, reload};

use crate::clock::Clock;
use crate::config::{LogFormat, LogLevel};
use crate::journal::Sink;
use crate::store::StoreError;

/// Changes level and format of a running process.
pub struct Handle {
    change: Box<dyn Fn(LogFormat, LogLevel) + Send + Sync>,
}

impl Handle {
    /// Takes over `[log]`.
    pub fn configure(&self, format: LogFormat, level: LogLevel) {
        (self.change)(format, level);
    }
}

type Layer = Box<dyn tracing_subscriber::Layer<Registry> + Send + Sync>;

/// Starts logging into the sink. Once a process.
pub fn start(sink: Arc<Sink>, format: LogFormat, level: LogLevel) -> Handle {
    let (layer, handle) = reload::Layer::new(layer(sink.clone(), format, level));
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Handle {
        change: Box::new(move |format, level| {
            let _ = handle.reload(self::layer(sink.clone(), format, level));
        }),
    }
}

fn layer(sink: Arc<Sink>, format: LogFormat, level: LogLevel) -> Layer {
    let filter = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let lines = fmt::layer()
        .with_writer(Lines(sink))
        .with_ansi(false)
        .with_target(false);
    match format {
        LogFormat::Text => lines.with_filter(filter).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(filter).boxed(),
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

/// Lets something be said once a minute, however often it happens.
struct OnceAMinute(AtomicI64);

impl OnceAMinute {
    const fn new() -> OnceAMinute {
        OnceAMinute(AtomicI64::new(i64::MIN))
    }

    fn is_due(&self, clock: &Clock) -> bool {
        let now = clock.now().as_second();
        let last = self.0.load(Ordering::Relaxed);
        let due = now.saturating_sub(last) >= 60 || last > now;
        due && self
            .0
            .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
            .is_ok()
    }
}

/// Says that the store is in trouble.
pub fn store_trouble(clock: &Clock, error: &StoreError) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(clock) {
        tracing::error!(error = %error, "the store is in trouble: deferring what needs it");
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
