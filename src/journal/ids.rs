//! Giving ids to decisions: times that never repeat, and bits that nobody guesses.

use std::cell::RefCell;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jiff::{SignedDuration, Timestamp};

use crate::model::decision_id::DecisionId;

/// A clock that goes back by more than this is believed: the numbers follow it. For less, they wait where they
/// are, so that the lines of the log stay in their order.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(1);

/// Random bytes that are fetched at a time: a system call for each id would cost more than all the rest
/// of its line.
const FETCHED: usize = 1024;

/// Gives ids, each once.
#[derive(Default)]
pub struct Ids {
    last: AtomicI64,
}

impl Ids {
    /// The next one.
    pub fn next(&self, now: Timestamp) -> DecisionId {
        let now = now.as_microsecond();
        let follow = |last| Some(after(last, now));
        // Never fails: there is always a next one.
        let last = self
            .last
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, follow)
            .unwrap_or_default();
        DecisionId {
            number: after(last, now),
            token: token(),
        }
    }

    /// Goes on behind this number, which an earlier process gave.
    pub fn continue_behind(&self, number: i64) {
        self.last.fetch_max(number, Ordering::Relaxed);
    }
}

fn after(last: i64, now: i64) -> i64 {
    let ahead = last.saturating_sub(now);
    if i128::from(ahead) > MAX_AHEAD.as_micros() {
        now
    } else {
        now.max(last.saturating_add(1))
    }
}

/// Random bytes in stock; each is given once.
struct Stock {
    bytes: [u8; FETCHED],
    left: usize,
}

thread_local! {
    static STOCK: RefCell<Stock> = const {
        RefCell::new(Stock { bytes: [0; FETCHED], left: 0 })
    };
}

fn token() -> [u8; 16] {
    STOCK.with_borrow_mut(|stock| {
        let mut token = [0; 16];
        if stock.left == 0 {
            if getrandom::fill(&mut stock.bytes).is_err() {
                // Without the system's randomness an id could be guessed; it names a decision all the same.
                token[..8].copy_from_slice(&COUNTER.fetch_add(1, Ordering::Relaxed).to_be_bytes());
                return token;
            }
            stock.left = FETCHED;
        }
        stock.left -= token.len();
        let given = &mut stock.bytes[stock.left..stock.left + token.len()];
        token.copy_from_slice(given);
        given.fill(0);
        token
    })
}

static COUNTER: AtomicU64 = AtomicU64::new(0);

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_microsecond(micros).unwrap()
    }

    #[test]
    fn numbers_rise_through_small_steps_of_the_clock_and_follow_large_ones() {
        let ids = Ids::default();
        let hour = 3_600_000_000;
        let number = |micros| ids.next(at(micros)).number;
        assert_eq!(number(10 * hour), 10 * hour);
        assert_eq!(number(10 * hour), 10 * hour + 1);
        assert_eq!(number(9 * hour + 1), 10 * hour + 2);
        assert_eq!(number(2 * hour), 2 * hour);
        assert_eq!(number(2 * hour + 5), 2 * hour + 5);
        ids.continue_behind(2 * hour + 100);
        assert_eq!(number(2 * hour + 6), 2 * hour + 101);
    }

    #[test]
    fn no_id_comes_twice_whatever_the_threads() {
        let ids = Ids::default();
        let all: Vec<DecisionId> = std::thread::scope(|scope| {
            let give = || (0..1000).map(|_| ids.next(at(5))).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(give)).collect();
            threads
                .into_iter()
                .flat_map(|t| t.join().unwrap())
                .collect()
        });
        let numbers: HashSet<i64> = all.iter().map(|id| id.number).collect();
        let tokens: HashSet<[u8; 16]> = all.iter().map(|id| id.token).collect();
        assert_eq!((numbers.len(), tokens.len()), (4000, 4000));
        assert!(!tokens.contains(&[0; 16]));
    }
}
