//! How many questions are on their way to name servers at once, and how many of them about names of
//! one owner.
//!
//! For `flight`. Whoever waits for a place among those of one owner does not stand in the way of
//! questions about others. It asks nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::model::dns::DnsName;

/// All places. Thousands of names whose servers are dead must neither use up the files of the
/// process (a question that nobody answers has six sockets open, for each name server) nor flood
/// the host's resolver, whose socket takes some 270 datagrams by default.
const PLACES: usize = 256;
/// Places for names below one registered domain: one zone whose servers are dead, and in which
/// anybody finds as many names as he likes, must not keep everybody else from asking.
const PLACES_OF_ONE: usize = 16;

/// The places.
pub struct Places {
    all: Semaphore,
    shares: Mutex<HashMap<Box<str>, Share>>,
}

/// The places of one registered domain.
struct Share {
    places: Arc<Semaphore>,
    /// How many wait for a place or have one; nobody: the share is forgotten.
    users: usize,
}

/// A place, until it is dropped.
pub struct Place<'a> {
    _of_all: SemaphorePermit<'a>,
    _of_one: OwnedSemaphorePermit,
    _user: ShareUser<'a>,
}

impl Places {
    /// All free.
    pub fn new() -> Places {
        Places {
            all: Semaphore::new(PLACES),
            shares: Mutex::default(),
        }
    }

    /// Waits for a place for a question about this name. `None`: there will be none.
    pub async fn take(&self, name: &DnsName) -> Option<Place<'_>> {
        let (user, places) = self.join(name.registered());
        let of_one = places.acquire_owned().await.ok()?;
        let of_all = self.all.acquire().await.ok()?;
        Some(Place {
            _of_all: of_all,
            _of_one: of_one,
            _user: user,
        })
    }

    fn join(&self, registered: &str) -> (ShareUser<'_>, Arc<Semaphore>) {
        let mut shares = self.shares();
        let share = shares
            .entry(Box::from(registered))
            .or_insert_with(|| Share {
                places: Arc::new(Semaphore::new(PLACES_OF_ONE)),
                users: 0,
            });
        share.users += 1;
        let user = ShareUser {
            places: self,
            registered: Box::from(registered),
        };
        (user, Arc::clone(&share.places))
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<Box<str>, Share>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits for a place of a share, or has one.
struct ShareUser<'a> {
    places: &'a Places,
    registered: Box<str>,
}

impl Drop for ShareUser<'_> {
    fn drop(&mut self) {
        let mut shares = self.places.shares();
        if let Some(share) = shares.get_mut(&self.registered) {
            share.users -= 1;
            if share.users == 0 {
                shares.remove(&self.registered);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).unwrap()
    }

    #[test]
    fn one_owner_has_some_of_the_places_and_leaves_nothing_behind() {
        let places = Places::new();
        let take = |text: &str| places.take(&name(text)).now_or_never().flatten();
        let mut taken: Vec<_> = (0..PLACES_OF_ONE)
            .map(|n| take(&format!("_x.n{n}.one.co.uk")).unwrap())
            .collect();
        assert!(take("more.one.co.uk").is_none());
        assert!(take("one.co.uk").is_none());
        assert!(take("two.co.uk").is_some());
        assert!(take("co.uk").is_some());
        taken.pop();
        assert!(take("more.one.co.uk").is_some());
        drop(taken);
        assert!(places.shares().is_empty());
        assert_eq!(places.all.available_permits(), PLACES);
    }
}
