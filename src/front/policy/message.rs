//! What has been said about which message, shared by all policy connections.
//!
//! Postfix asks the same again and again: for each recipient, for each list that names the service
//! (over a connection of its own if the words differ), and once more when it lost the answer. All
//! these questions find the same record, so one refusal has one id and one line in the log.
//! Looked up only when there is something to say: an allowed recipient never comes here.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use blake2::{Blake2b256, Digest};
use quick_cache::sync::Cache;

use super::envelope::Envelope;
use crate::engine::Record;
use crate::model::quota::MessageKey;
use crate::model::reply::Reply;

/// How many messages are remembered: under 8 MiB. The one that is forgotten costs a second line.
const CAPACITY: usize = 32_768;

/// How many are remembered that have no instance yet.
const BEGUN: usize = 8_192;

/// How long an equal question at MAIL counts as a repetition. MAIL has no instance yet: a
/// second list that names the service asks within milliseconds, and Postfix asks again after one
/// second when a connection broke; later, it is another message of the same sender.
const REPETITION: Duration = Duration::from_secs(3);

/// How long after MAIL the message that it began goes on to be the same: Postfix closes a
/// session in which nothing happens for this long.
const TRANSACTION: Duration = Duration::from_secs(300);

/// A message, by a digest of its instance and session: the same size whatever the client sent.
type Key = [u8; 32];

/// Messages about which something was said.
pub struct Messages {
    known: Known,
    /// Those about which something was said at MAIL, and nothing since. Made when there is one, as
    /// each message that goes on may be one of these.
    begun: OnceLock<Known>,
}

type Known = Cache<Key, Arc<Message>>;

/// What was said about one message.
pub struct Message {
    said: Mutex<Said>,
    begun: Instant,
}

/// The words, and what was accepted with them.
#[derive(Default)]
struct Said {
    record: Record,
    accepted: Option<MessageKey>,
}

impl Message {
    fn new(begun: Instant) -> Arc<Message> {
        Arc::new(Message {
            said: Mutex::default(),
            begun,
        })
    }

    fn is_younger(&self, age: Duration, now: Instant) -> bool {
        now.saturating_duration_since(self.begun) < age
    }

    /// Says something about it; nobody else speaks meanwhile.
    pub fn speak<T>(&self, say: impl FnOnce(&mut Record) -> T) -> T {
        say(&mut self.said().record)
    }

    /// Says the last word on it. `None` accepts it, under this key; what comes under another one
    /// after that, Postfix has begun anew, and everything is said again.
    pub fn conclude(
        &self,
        key: MessageKey,
        say: impl FnOnce(&mut Record) -> Option<Reply>,
    ) -> Option<Reply> {
        let mut said = self.said();
        if said.accepted.is_some_and(|accepted| accepted != key) {
            *said = Said::default();
        }
        let reply = say(&mut said.record);
        if reply.is_none() {
            said.accepted = Some(key);
        }
        reply
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Messages {
    /// None yet.
    pub fn new() -> Messages {
        Messages {
            known: Cache::new(CAPACITY),
            begun: OnceLock::new(),
        }
    }

    /// The message that an envelope belongs to.
    pub fn of(&self, envelope: &Envelope<'_>, now: Instant) -> Arc<Message> {
        match envelope.instance() {
            b"" => {
                let begun = self.begun.get_or_init(|| Cache::new(BEGUN));
                let unnamed = key(envelope, b"");
                begun.remove_if(&unnamed, |message| !message.is_younger(REPETITION, now));
                known_or(begun, &unnamed, || Message::new(now))
            }
            instance => known_or(&self.known, &key(envelope, instance), || {
                // What was said at MAIL was about this message: audit mode lets it come this far.
                let begun = self.begun.get();
                begun
                    .and_then(|begun| begun.remove(&key(envelope, b"")))
                    .map(|(_, message)| message)
                    .filter(|message| message.is_younger(TRANSACTION, now))
                    .unwrap_or_else(|| Message::new(now))
            }),
        }
    }
}

fn known_or(known: &Known, key: &Key, other: impl FnOnce() -> Arc<Message>) -> Arc<Message> {
    let found: Result<_, std::convert::Infallible> = known.get_or_insert_with(key, || Ok(other()));
    match found {
        Ok(message) => message,
        Err(never) => match never {},
    }
}

impl Default for Messages {
    fn default() -> Messages {
        Messages::new()
    }
}

/// Client, login and sender belong to the key because instances are unique on one host only.
fn key(envelope: &Envelope<'_>, instance: &[u8]) -> Key {
    let mut digest = Blake2b256::new_with_prefix(instance);
    for part in envelope.identity() {
        // No value contains a line end, so different parts never add up to the same text.
        digest.update(b"\n");
        digest.update(part);
    }
    digest.finalize().into()
}
