//! What DNS says about sender domains, remembered as long as DNS lets.
//!
//! Sits between the engine and the resolver. What was found about a domain is one small value that
//! costs one hash look-up; the records behind it are not read again before one of them ends.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::clock::Clock;
use crate::dns::Resolver;
use crate::metrics::Hits;
use crate::model::dns::Known;
use crate::model::domain::Domain;
use crate::spf::Shelf;
use crate::standing::{Criteria, Need, Scope, Standing, look};

/// How many standings are expected.
const EXPECTED: usize = 16_384;

/// What an entry costs beside its key's texts and the standing: the tables, the counts of
/// references.
const ENTRY: usize = 256;

/// Look-ups behind a bounded memory.
pub struct Standings {
    resolver: Resolver,
    criteria: Criteria,
    clock: Clock,
    remembered: Cache<Key, Kept, Weight>,
    hits: Arc<Hits>,
}

/// Whose standing.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    domain: Domain,
    /// Only where the domain's SPF record looks at it.
    local: Option<Box<str>>,
    scope: Scope,
}

impl Key {
    fn of_domain(need: &Need) -> Key {
        Key {
            domain: need.domain.clone(),
            local: None,
            scope: need.scope,
        }
    }

    fn for_sender(self, need: &Need) -> Key {
        Key {
            local: Some(need.local.clone()),
            ..self
        }
    }
}

/// A standing, and until when it holds.
#[derive(Clone)]
struct Kept {
    standing: Arc<Standing>,
    until: Instant,
}

/// Weighs by bytes.
#[derive(Clone)]
struct Weight;

impl Weighter<Key, Kept> for Weight {
    fn weight(&self, key: &Key, kept: &Kept) -> u64 {
        let local = key.local.as_ref().map_or(0, |local| local.len());
        let size = ENTRY + key.domain.as_str().len() + local + kept.standing.size();
        size as u64
    }
}

impl Standings {
    /// How many bytes may be remembered.
    pub const CAPACITY: u64 = 16 << 20;

    /// Remembers nothing yet.
    pub fn new(resolver: Resolver, criteria: Criteria, clock: Clock) -> Standings {
        Standings::counting(resolver, criteria, clock, Arc::default())
    }

    /// Others to take their place, by another configuration. They remember nothing, and go on with the
    /// figures.
    pub fn next(&self, resolver: Resolver, criteria: Criteria) -> Standings {
        Standings::counting(resolver, criteria, self.clock.clone(), self.hits.clone())
    }

    fn counting(
        resolver: Resolver,
        criteria: Criteria,
        clock: Clock,
        hits: Arc<Hits>,
    ) -> Standings {
        Standings {
            resolver,
            criteria,
            clock,
            remembered: Cache::with_weighter(EXPECTED, Self::CAPACITY, Weight),
            hits,
        }
    }

    /// Who asks.
    pub fn resolver(&self) -> &Resolver {
        &self.resolver
    }

    /// The standings that a decision needs, asked side by side within one budget of time.
    pub async fn look_up(&self, needs: Vec<Need>) -> Vec<(Need, Arc<Standing>)> {
        let now = self.clock.instant();
        let deadline = now + self.resolver.budget();
        join_all(needs.into_iter().map(|need| async move {
            let standing = self.standing(&need, now, deadline).await;
            (need, standing)
        }))
        .await
    }

    /// How many standings are remembered, and how many bytes they take.
    pub fn remembered(&self) -> (usize, u64) {
        (self.remembered.len(), self.remembered.weight())
    }

    /// How often memory sufficed.
    pub fn hits(&self) -> &Hits {
        &self.hits
    }

    async fn standing(&self, need: &Need, now: Instant, deadline: Instant) -> Arc<Standing> {
        let recalled = self.recall(need, now);
        self.hits.note(recalled.is_some());
        if let Some(standing) = recalled {
            return standing;
        }
        let shelf = Shelf::default();
        let judge = move |known: &Known| look(&self.criteria, need, known, &shelf);
        let found = self.resolver.gather(deadline, judge).await;
        let kept = Kept {
            standing: Arc::new(found.value),
            until: found.until,
        };
        let standing = kept.standing.clone();
        let key = Key::of_domain(need);
        if !standing.is_of_domain() {
            self.remembered
                .insert(key.clone().for_sender(need), kept.clone());
        }
        self.remembered.insert(key, kept);
        standing
    }

    fn recall(&self, need: &Need, now: Instant) -> Option<Arc<Standing>> {
        let fresh = |kept: &Kept| now < kept.until;
        let key = Key::of_domain(need);
        let kept = self.remembered.get(&key).filter(fresh)?;
        if kept.standing.is_of_domain() {
            return Some(kept.standing);
        }
        // It was found for some sender of the domain: is it this one?
        let kept = self.remembered.get(&key.for_sender(need)).filter(fresh)?;
        Some(kept.standing)
    }
}
