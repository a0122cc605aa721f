//! A hash map in many parts, so that growing never takes long: it moves one part at a time.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};

use quick_cache::DefaultHashBuilder;

/// So many that a full ledger (`super::Upkeep::most`) fills the parts well: a part doubles beyond
/// 14,336 entries.
const PARTS: usize = 80;

/// A hash map. Its hasher is fast, with a secret that differs from process to process; keys are made by
/// us or digests, never what a stranger wrote.
pub struct Shards<K, V> {
    hasher: DefaultHashBuilder,
    parts: Vec<HashMap<K, V, DefaultHashBuilder>>,
}

impl<K: Eq + Hash, V> Shards<K, V> {
    /// An empty one.
    pub fn new() -> Shards<K, V> {
        let hasher = DefaultHashBuilder::default();
        let part = || HashMap::with_hasher(hasher.clone());
        Shards {
            parts: std::iter::repeat_with(part).take(PARTS).collect(),
            hasher,
        }
    }

    /// The part that a key belongs to: by bits that a part does not use to find its place.
    fn place(&self, key: &K) -> usize {
        let hash = self.hasher.hash_one(key);
        (hash >> 20) as u32 as usize % PARTS
    }

    /// What is kept for a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.parts.get(self.place(key))?.get(key)
    }

    /// What is kept for a key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.place(key);
        self.parts.get_mut(place)?.get_mut(key)
    }

    /// Keeps a value instead of the one there is.
    pub fn insert(&mut self, key: K, value: V) {
        let place = self.place(&key);
        if let Some(part) = self.parts.get_mut(place) {
            part.insert(key, value);
        }
    }

    /// Takes a value out.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let place = self.place(key);
        self.parts.get_mut(place)?.remove(key)
    }
}
