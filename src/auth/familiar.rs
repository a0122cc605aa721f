//! Networks that a user is known to log in from. While somebody guesses at the user's password from
//! everywhere, its owner still gets in from there.
//!
//! Asked only for users under attack, so that nothing of this costs an ordinary login anything.

use std::time::{Duration, Instant};

use ipnet::IpNet;
use quick_cache::sync::Cache;

use crate::engine::Engine;
use crate::model::name::UserId;
use crate::store::StoreError;

/// For how long a login makes a network known.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long the store's answer is believed: a guesser must not cost a look-up each time.
const BELIEVED_FOR: Duration = Duration::from_secs(60);

/// What the store said lately.
pub struct Familiar {
    said: Cache<(UserId, IpNet), (bool, Instant)>,
}

impl Default for Familiar {
    fn default() -> Familiar {
        Familiar {
            said: Cache::new(16_384),
        }
    }
}

impl Familiar {
    /// Whether the user has logged in from this network within the last 30 days.
    pub async fn is(
        &self,
        engine: &Engine,
        user: UserId,
        network: IpNet,
    ) -> Result<bool, StoreError> {
        let now = engine.clock.now();
        // Before the year 1: everything counts.
        let since = now.checked_sub(KNOWN_FOR).unwrap_or(now);
        if engine.uses().noted_since(user, network, since) {
            return Ok(true);
        }
        let asked = engine.clock.instant();
        if let Some((answer, at)) = self.said.get(&(user, network))
            && asked.saturating_duration_since(at) < BELIEVED_FOR
        {
            return Ok(answer);
        }
        let store = engine.directory.store();
        let answer = store.logged_in_from(user, network, since).await?;
        self.said.insert((user, network), (answer, asked));
        Ok(answer)
    }
}
