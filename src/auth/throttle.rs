//! The brake on guessing: counts different wrong passwords, forgets them after a while.
//!
//! Three counts: of a user from a network, of a user from everywhere, of a network against
//! everybody. What is counted are fingerprints, so a password repeated counts once, and one
//! password tried on many names counts once for each. The window slides: each wrong password
//! counts for `auth.throttle.window` from when it was first seen. Memory is bounded: beyond
//! [`MAX_ENTRIES`] the oldest are forgotten.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;

use super::fingerprint::{Fingerprint, Whose};
use crate::config;
use crate::model::name::UserId;

/// The totals are held against this many times the limit.
const TOTAL: usize = 10;
/// How many entries are kept, three for each wrong password: 40 MiB at the most, and more than
/// the hashes that a small host can compute in a quarter of an hour.
const MAX_ENTRIES: usize = 1 << 18;

/// A password tried for somebody from somewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Guess {
    subject: u64,
    network: u64,
    mark: u64,
}

/// How a guess stands before it is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It may be looked at.
    Free,
    /// Too many for this user from everywhere; does not hold for networks that the user is known
    /// to log in from.
    UserOver,
    /// Too many from this network, for this user or altogether.
    NetworkOver,
}

/// What is counted together: a user (or unknown name) from a network, or one of them alone.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Scope {
    subject: Option<u64>,
    network: Option<u64>,
}

/// One different wrong password within a scope, and its place in the order of all.
struct Entry {
    mark: u64,
    number: u64,
}

/// When an entry was made, for forgetting it.
struct Filed {
    at: Instant,
    scope: Scope,
    number: u64,
}

#[derive(Default)]
struct Table {
    scopes: HashMap<Scope, Vec<Entry>>,
    /// Oldest first; an entry of the same number may be gone already (an operator's unlock).
    order: VecDeque<Filed>,
    next: u64,
    /// Subjects that an operator has unlocked, and when.
    pardoned: HashMap<u64, Instant>,
}

/// The counts.
#[derive(Default)]
pub struct Throttle {
    table: Mutex<Table>,
    names: RandomState,
}

impl Throttle {
    /// A guess in the form that is counted. An unknown network is one network.
    pub fn guess(&self, whose: Whose<'_>, network: Option<IpNet>, print: Fingerprint) -> Guess {
        let subject = match whose {
            Whose::User(id, _) => self.subject(id),
            Whose::Nobody(login) => self.names.hash_one(login),
        };
        Guess {
            subject,
            network: self.names.hash_one(network),
            mark: print.short(),
        }
    }

    /// Whether the guess may be looked at.
    pub fn standing(&self, guess: Guess, limits: &config::Throttle, now: Instant) -> Standing {
        let mut table = self.table();
        table.forget_old(limits.window.0, now);
        let limit = usize::try_from(limits.distinct_failures.get()).unwrap_or(usize::MAX);
        let total = limit.saturating_mul(TOTAL);
        let [both, user, network] = scopes(guess);
        let pardoned = table
            .pardoned
            .get(&guess.subject)
            .is_some_and(|at| now.saturating_duration_since(*at) < limits.window.0);
        if table.count(both) >= limit || (table.count(network) >= total && !pardoned) {
            Standing::NetworkOver
        } else if table.count(user) >= total {
            Standing::UserOver
        } else {
            Standing::Free
        }
    }

    /// The guess was wrong.
    pub fn count(&self, guess: Guess, now: Instant) {
        let mut table = self.table();
        for scope in scopes(guess) {
            table.add(scope, guess.mark, now);
        }
        while table.order.len() > MAX_ENTRIES {
            table.forget_oldest();
        }
    }

    /// Lifts the brake for a user: forgets what was counted against it, and for one window holds
    /// no network's total against it.
    pub fn unlock(&self, user: UserId, window: Duration, now: Instant) {
        let subject = self.subject(user);
        let mut table = self.table();
        table
            .scopes
            .retain(|scope, _| scope.subject != Some(subject));
        table
            .pardoned
            .retain(|_, at| now.saturating_duration_since(*at) < window);
        table.pardoned.insert(subject, now);
    }

    fn subject(&self, user: UserId) -> u64 {
        self.names.hash_one(user)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn scopes(guess: Guess) -> [Scope; 3] {
    let (subject, network) = (Some(guess.subject), Some(guess.network));
    [(subject, network), (subject, None), (None, network)]
        .map(|(subject, network)| Scope { subject, network })
}

impl Table {
    fn count(&self, scope: Scope) -> usize {
        self.scopes.get(&scope).map_or(0, Vec::len)
    }

    fn add(&mut self, scope: Scope, mark: u64, at: Instant) {
        let number = self.next;
        // Most have one entry for ever: a botnet tries each name once.
        let entries = self
            .scopes
            .entry(scope)
            .or_insert_with(|| Vec::with_capacity(1));
        if entries.iter().any(|entry| entry.mark == mark) {
            return;
        }
        entries.push(Entry { mark, number });
        self.order.push_back(Filed { at, scope, number });
        self.next += 1;
    }

    fn forget_old(&mut self, window: Duration, now: Instant) {
        while self
            .order
            .front()
            .is_some_and(|filed| now.saturating_duration_since(filed.at) >= window)
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(filed) = self.order.pop_front() else {
            return;
        };
        let Some(entries) = self.scopes.get_mut(&filed.scope) else {
            return;
        };
        // The oldest of all is the oldest of its scope, unless that was unlocked meanwhile.
        if entries.first().is_some_and(|e| e.number == filed.number) {
            entries.remove(0);
        }
        if entries.is_empty() {
            self.scopes.remove(&filed.scope);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::super::fingerprint::Fingerprinter;
    use super::*;
    use crate::clock::Clock;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Three different wrong passwords from one network, thirty in all, in ten minutes.
    struct Bench {
        throttle: Throttle,
        printer: Fingerprinter,
        limits: config::Throttle,
        clock: Clock,
    }

    impl Bench {
        fn new() -> Bench {
            Bench {
                throttle: Throttle::default(),
                printer: Fingerprinter::new(),
                limits: config::Throttle {
                    distinct_failures: NonZeroU32::new(3).unwrap(),
                    window: config::value::Duration(10 * MINUTE),
                },
                clock: Clock::movable(),
            }
        }

        fn guess(&self, whose: Whose<'_>, network: &str, password: &str) -> Guess {
            let network = network.parse().ok();
            let print = self.printer.take(whose, password.as_bytes());
            self.throttle.guess(whose, network, print)
        }

        fn standing(&self, whose: Whose<'_>, network: &str) -> Standing {
            let guess = self.guess(whose, network, "right");
            self.throttle
                .standing(guess, &self.limits, self.clock.instant())
        }

        fn wrong(&self, whose: Whose<'_>, network: &str, password: &str) {
            let guess = self.guess(whose, network, password);
            self.throttle.count(guess, self.clock.instant());
        }
    }

    fn somebody() -> Whose<'static> {
        Whose::User(UserId::new(), 1)
    }

    #[test]
    fn different_passwords_count_repeated_ones_do_not() {
        let bench = Bench::new();
        for whose in [somebody(), Whose::Nobody("nobody")] {
            for _ in 0..1000 {
                bench.wrong(whose, "192.0.2.1/32", "old");
            }
            bench.wrong(whose, "192.0.2.1/32", "1");
            assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::Free);
            bench.wrong(whose, "192.0.2.1/32", "2");
            assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::NetworkOver);
            // Others, and the same one from elsewhere, are not concerned.
            assert_eq!(bench.standing(whose, "192.0.2.2/32"), Standing::Free);
            assert_eq!(bench.standing(whose, ""), Standing::Free);
            assert_eq!(bench.standing(somebody(), "192.0.2.1/32"), Standing::Free);
        }
    }

    #[test]
    fn the_window_slides() {
        let bench = Bench::new();
        let whose = somebody();
        for password in ["1", "2", "3"] {
            bench.wrong(whose, "192.0.2.1/32", password);
            bench.clock.advance(3 * MINUTE);
        }
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::NetworkOver);
        bench.clock.advance(MINUTE);
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::Free);
        bench.wrong(whose, "192.0.2.1/32", "1");
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::NetworkOver);
        bench.clock.advance(10 * MINUTE);
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::Free);
        assert!(bench.throttle.table().scopes.is_empty());
    }

    #[test]
    fn a_user_has_a_total_over_all_networks() {
        let bench = Bench::new();
        let whose = somebody();
        for number in 0..30 {
            assert_eq!(bench.standing(whose, "198.51.100.1/32"), Standing::Free);
            bench.wrong(whose, &format!("192.0.2.{number}/32"), &number.to_string());
            // The same password from elsewhere is not another one.
            bench.wrong(whose, "203.0.113.9/32", "0");
        }
        assert_eq!(bench.standing(whose, "198.51.100.1/32"), Standing::UserOver);
        assert_eq!(
            bench.standing(somebody(), "198.51.100.1/32"),
            Standing::Free
        );
    }

    #[test]
    fn a_network_has_a_total_over_all_names_even_with_one_password() {
        let bench = Bench::new();
        for number in 0..30 {
            assert_eq!(bench.standing(somebody(), "2001:db8::/64"), Standing::Free);
            let name = format!("user{number}");
            bench.wrong(Whose::Nobody(&name), "2001:db8::/64", "Summer2026");
        }
        assert_eq!(
            bench.standing(somebody(), "2001:db8::/64"),
            Standing::NetworkOver
        );
        assert_eq!(
            bench.standing(somebody(), "2001:db8:0:1::/64"),
            Standing::Free
        );
    }

    #[test]
    fn unlock_lifts_every_count_for_one_user_only() {
        let bench = Bench::new();
        let id = UserId::new();
        let (whose, other) = (Whose::User(id, 1), somebody());
        for number in 0..40 {
            for whose in [whose, other] {
                bench.wrong(whose, "192.0.2.1/32", &number.to_string());
            }
        }
        bench
            .throttle
            .unlock(id, 10 * MINUTE, bench.clock.instant());
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::Free);
        assert_eq!(bench.standing(whose, "192.0.2.2/32"), Standing::Free);
        assert_eq!(bench.standing(other, "192.0.2.1/32"), Standing::NetworkOver);
        assert_eq!(bench.standing(other, "192.0.2.2/32"), Standing::UserOver);
        // Its own limit holds from the start again.
        for password in ["1", "2", "3"] {
            bench.wrong(whose, "192.0.2.1/32", password);
        }
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::NetworkOver);
        bench.clock.advance(10 * MINUTE);
        assert_eq!(bench.standing(whose, "192.0.2.1/32"), Standing::Free);
        assert!(bench.throttle.table().order.is_empty());
    }

    #[test]
    fn names_and_networks_without_end_do_not_grow_it_and_what_is_new_still_counts() {
        let bench = Bench::new();
        let victim = somebody();
        for number in 0..200_000_u32 {
            let network = std::net::Ipv4Addr::from(number);
            bench.wrong(Whose::User(UserId::new(), 1), &format!("{network}/32"), "x");
        }
        for password in ["1", "2", "3"] {
            bench.wrong(victim, "192.0.2.1/32", password);
        }
        assert_eq!(
            bench.standing(victim, "192.0.2.1/32"),
            Standing::NetworkOver
        );
        let table = bench.throttle.table();
        assert!(table.order.len() <= MAX_ENTRIES);
        assert!(table.scopes.len() <= MAX_ENTRIES);
        assert!(table.scopes.capacity() <= 4 * MAX_ENTRIES);
    }
}
