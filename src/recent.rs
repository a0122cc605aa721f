//! The last warnings and errors, kept in memory for whoever asks how it is.
//!
//! A few, each of a bounded length; what comes again is counted instead of repeated. Decisions are not
//! among them: their lines go another way. No secrets: what is kept here was logged as well.

use std::collections::VecDeque;
use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use crate::clock::Clock;

/// How many are kept.
const KEPT: usize = 10;
/// How many characters of one are kept.
const CHARACTERS: usize = 500;

/// A warning or an error.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Incident {
    /// When it was said last.
    #[serde(serialize_with = "seconds")]
    pub time: Timestamp,
    /// `warn` or `error`.
    pub level: &'static str,
    /// How often it was said since it came in here.
    pub times: u64,
    /// What was said, with the fields of the last time.
    pub message: String,
    /// What was said without them: a trouble that lasts comes with other figures each time, and would push
    /// out all others.
    #[serde(skip)]
    words: String,
}

fn seconds<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{time:.0}"))
}

/// The last of them, oldest first.
#[derive(Default)]
pub struct Recent(Mutex<VecDeque<Incident>>);

impl Recent {
    /// What is kept now, oldest first.
    pub fn list(&self) -> Vec<Incident> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().cloned().collect()
    }

    /// Takes one in. The same words with other fields are the same again.
    pub fn add(&self, time: Timestamp, level: &'static str, words: &str, fields: &str) {
        let all = words.chars().chain(fields.chars());
        let message: String = all.take(CHARACTERS).collect();
        let words: String = words.chars().take(CHARACTERS).collect();
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |known: &Incident| known.level == level && known.words == words;
        let known = kept.iter().position(same).and_then(|at| kept.remove(at));
        kept.push_back(Incident {
            time,
            level,
            times: known.map_or(1, |known| known.times + 1),
            message,
            words,
        });
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
}

/// Keeps what is logged as a warning or an error.
pub struct Remembering(pub Arc<Recent>);

impl<S: Subscriber> Layer<S> for Remembering {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = match *event.metadata().level() {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO | Level::DEBUG | Level::TRACE => return,
        };
        let mut words = Words::default();
        event.record(&mut words);
        let Words { message, fields } = words;
        self.0.add(Clock::system().now(), level, &message, &fields);
    }
}

/// `message name=value`, as the log has it.
#[derive(Default)]
struct Words {
    message: String,
    fields: String,
}

impl Visit for Words {
    fn record_str(&mut self, field: &Field, value: &str) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_last_few_are_kept_and_repetitions_are_counted() {
        let recent = Recent::default();
        for number in 0..25 {
            recent.add(at(number), "warn", &format!("number {}", number % 12), "");
            recent.add(at(number), "error", "again", &format!(" lines={number}"));
        }
        let kept = recent.list();
        assert_eq!(kept.len(), KEPT);
        let last = kept.last().unwrap();
        assert_eq!((last.times, last.time), (25, at(24)));
        assert_eq!(last.message, "again lines=24");
        assert_eq!(kept[KEPT - 2].message, "number 0");
        recent.add(at(99), "warn", &"ü".repeat(10_000), "");
        assert_eq!(recent.list()[KEPT - 1].message.chars().count(), CHARACTERS);
    }

    #[test]
    fn what_is_logged_is_kept_with_its_fields() {
        let recent = Arc::<Recent>::default();
        let subscriber = tracing_subscriber::registry().with(Remembering(recent.clone()));
        tracing::subscriber::with_default(subscriber, || {
            let (path, error) = ("/a b", "no \"space\"");
            tracing::info!("nothing to keep");
            tracing::error!(path, error, tries = 3, "cannot be written");
            tracing::warn!("so {}", "so");
        });
        let said: Vec<_> = recent
            .list()
            .into_iter()
            .map(|i| (i.level, i.message))
            .collect();
        let error = r#"cannot be written path="/a b" error="no \"space\"" tries=3"#;
        assert_eq!(
            said,
            [("error", error.to_owned()), ("warn", "so so".to_owned())]
        );
    }
}
