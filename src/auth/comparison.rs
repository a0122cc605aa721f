//! The comparison of a password with a stored hash, as it runs on a thread of the pool.
//!
//! It counts a wrong password before the next comparison begins, so that guesses that come all
//! at once are held to the same limit as those that come one after the other.

use std::sync::Arc;

use super::checks::Checked;
use super::hash;
use super::throttle::{Guess, Standing, Throttle};
use crate::clock::Clock;
use crate::config;
use crate::model::password::{MAX_BYTES, Secret};

/// A password and a hash, on the way to the thread that compares them.
pub(super) struct Comparison {
    pub(super) phc: String,
    pub(super) is_real: bool,
    pub(super) password: Arc<Secret>,
    pub(super) clock: Clock,
    pub(super) throttle: Arc<Throttle>,
    pub(super) guess: Guess,
    pub(super) limits: config::Throttle,
    pub(super) standing: Standing,
}

impl Comparison {
    /// Compares, unless the throttle has come to stand otherwise; counts a wrong password.
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
            hash::verify(&self.phc, self.password.expose())
        };
        match verified {
            Ok(true) if self.is_real => Checked::Right,
            Ok(_) => {
                self.throttle.count(self.guess, self.clock.instant());
                Checked::Wrong
            }
            Err(_) => Checked::Broken,
        }
    }
}
