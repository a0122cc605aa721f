//! A bounded queue between those who ask and the threads that answer. Knows nothing of databases.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// First in, first out; any number of threads on both sides.
pub struct Queue<T> {
    inner: Mutex<Inner<T>>,
    arrived: Condvar,
    room: usize,
}

struct Inner<T> {
    waiting: VecDeque<T>,
    closed: bool,
    /// Takers that sleep. Waking costs a call of the system even if nobody sleeps.
    asleep: usize,
    /// How many must wait before a taker is woken.
    wanted: usize,
}

/// What a taker gets.
pub enum Next<T> {
    /// The oldest one.
    Item(T),
    /// Nothing came in time.
    Nothing,
    /// Empty, and nothing will come any more.
    Closed,
}

/// Why something was not taken in.
#[derive(Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many wait as may wait.
    Full,
    /// Nothing is taken in any more.
    Closed,
}

impl<T> Queue<T> {
    /// A queue in which at most `room` can wait.
    pub fn new(room: usize) -> Queue<T> {
        Queue {
            inner: Mutex::new(Inner {
                waiting: VecDeque::new(),
                closed: false,
                asleep: 0,
                wanted: 1,
            }),
            arrived: Condvar::new(),
            room,
        }
    }

    /// Hands something over. Never waits.
    pub fn push(&self, item: T) -> Result<(), Refused> {
        let mut inner = self.lock();
        if inner.closed {
            return Err(Refused::Closed);
        }
        if inner.waiting.len() >= self.room {
            return Err(Refused::Full);
        }
        inner.waiting.push_back(item);
        let wake = inner.asleep > 0 && inner.waiting.len() >= inner.wanted;
        drop(inner);
        if wake {
            self.arrived.notify_one();
        }
        Ok(())
    }

    /// Takes the oldest one; waits for it for ever, or for so long.
    pub fn next(&self, patience: Option<Duration>) -> Next<T> {
        let mut inner = self.await_item(patience);
        match inner.waiting.pop_front() {
            Some(item) => Next::Item(item),
            None if inner.closed => Next::Closed,
            None => Next::Nothing,
        }
    }

    /// Like [`Queue::next`], and takes what else waits along, at most `most` in all.
    pub fn next_group(&self, most: usize, patience: Option<Duration>) -> Next<Vec<T>> {
        let mut inner = self.await_item(patience);
        match inner.waiting.len().min(most) {
            0 if inner.closed => Next::Closed,
            0 => Next::Nothing,
            several => Next::Item(inner.waiting.drain(..several).collect()),
        }
    }

    /// Waits until so many wait, but not for longer than this. For the only taker of a queue.
    pub fn gather(&self, wanted: usize, patience: Duration) {
        drop(self.await_items(wanted, Some(patience)));
    }

    fn await_item(&self, patience: Option<Duration>) -> MutexGuard<'_, Inner<T>> {
        self.await_items(1, patience)
    }

    fn await_items(&self, wanted: usize, patience: Option<Duration>) -> MutexGuard<'_, Inner<T>> {
        let idle = |inner: &mut Inner<T>| inner.waiting.len() < wanted && !inner.closed;
        let mut inner = self.lock();
        if !idle(&mut inner) || patience == Some(Duration::ZERO) {
            return inner;
        }
        inner.asleep += 1;
        inner.wanted = wanted;
        let woken = match patience {
            None => self.arrived.wait_while(inner, idle),
            Some(patience) => {
                let woken = self.arrived.wait_timeout_while(inner, patience, idle);
                woken
                    .map(|(inner, _)| inner)
                    .map_err(|poisoned| PoisonError::new(poisoned.into_inner().0))
            }
        };
        let mut inner = woken.unwrap_or_else(PoisonError::into_inner);
        inner.asleep -= 1;
        inner.wanted = 1;
        inner
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.lock().waiting.len()
    }

    /// Takes nothing in any more. What waits is still handed out.
    pub fn close(&self) {
        self.lock().closed = true;
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_ordered_and_empties_after_closing() {
        let queue = Queue::new(2);
        assert!(matches!(queue.next(Some(Duration::ZERO)), Next::Nothing));
        assert_eq!(queue.push(1), Ok(()));
        assert_eq!(queue.push(2), Ok(()));
        assert_eq!(queue.push(3), Err(Refused::Full));
        match queue.next_group(1, None) {
            Next::Item(group) => assert_eq!(group, [1]),
            Next::Nothing | Next::Closed => panic!("one waits"),
        }
        queue.close();
        assert_eq!(queue.push(3), Err(Refused::Closed));
        assert!(matches!(queue.next(None), Next::Item(2)));
        assert!(matches!(queue.next(None), Next::Closed));
    }

    #[test]
    fn a_group_gathers_until_it_is_large_enough_or_time_is_up() {
        let queue = Queue::new(4);
        queue.push(1).unwrap();
        queue.gather(2, Duration::ZERO);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                queue.gather(3, Duration::MAX);
                queue.next_group(4, None)
            });
            queue.push(2).unwrap();
            queue.push(3).unwrap();
            match taker.join().unwrap() {
                Next::Item(group) => assert_eq!(group, [1, 2, 3]),
                Next::Nothing | Next::Closed => panic!("three wait"),
            }
            // Afterwards one is enough again, and the end is the end.
            let taker = scope.spawn(|| matches!(queue.next(None), Next::Item(4)));
            queue.push(4).unwrap();
            assert!(taker.join().unwrap());
            let taker = scope.spawn(|| queue.gather(9, Duration::MAX));
            queue.close();
            taker.join().unwrap();
        });
    }

    #[test]
    fn a_waiting_taker_is_woken() {
        let queue = Queue::new(1);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| matches!(queue.next(None), Next::Item(7)));
            queue.push(7).unwrap();
            assert!(taker.join().unwrap());
            let taker = scope.spawn(|| matches!(queue.next(None), Next::Closed));
            queue.close();
            assert!(taker.join().unwrap());
        });
    }
}
