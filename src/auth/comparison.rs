//! The comparison of a password with a stored hash, as it runs on a thread of the pool.
//!
//! It counts a wrong password before the next comparison begins, so that guesses that come all
//! at once are held to the same limit as those that come one after the other; and it remembers a
//! right one before those who wait are told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::checks::Checked;
use super::fingerprint::Fingerprint;
use super::hash;
use super::remembered::Remembered;
use super::throttle::{Guess, Standing, Throttle};
use crate::clock::Clock;
use crate::config;
use crate::model::password::{MAX_BYTES, Secret};

/// A password and a hash, on the way to the thread that compares them.
pub(super) struct Comparison {
    pub(super) phc: String,
    /// Whether it is the hash of somebody's password, and not one that costs the same.
    pub(super) is_real: bool,
    pub(super) password: Arc<Secret>,
    /// The password's, as that of the user and credential that the hash was read of.
    pub(super) print: Fingerprint,
    pub(super) guess: Guess,
    pub(super) limits: config::Throttle,
    /// How the guess stood when it was queued.
    pub(super) standing: Standing,
    pub(super) clock: Clock,
    pub(super) throttle: Arc<Throttle>,
    pub(super) remembered: Arc<Remembered>,
    /// Counts what is hashed.
    pub(super) hashed: Arc<AtomicU64>,
}

impl Comparison {
    /// Compares, unless the throttle has come to stand otherwise.
    pub(super) fn make(&self) -> Checked {
        // While this waited, others may have guessed often enough: those behind them are not
        // looked at, however many came at once.
        let standing = self
            .throttle
            .standing(self.guess, &self.limits, self.clock.instant());
        if standing != self.standing {
            return Checked::Overtaken;
        }
        // No password is longer; nothing of the user shows in how soon that is said.
        let verified = if self.password.expose().len() > MAX_BYTES {
            Ok(false)
        } else {
            self.hashed.fetch_add(1, Ordering::Relaxed);
            hash::verify(&self.phc, self.password.expose())
        };
        match verified {
            Ok(true) if self.is_real => {
                self.remembered.add(self.print, self.clock.instant());
                Checked::Right
            }
            Ok(_) => {
                self.throttle.count(self.guess, self.clock.instant());
                Checked::Wrong
            }
            Err(_) => Checked::Broken,
        }
    }
}
