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
        self.arrived.notify_one();
        Ok(())
    }

    /// Takes the oldest one; waits for it for ever, or for so long.
    pub fn next(&self, patience: Option<Duration>) -> Next<T> {
        let idle = |inner: &mut Inner<T>| inner.waiting.is_empty() && !inner.closed;
        let inner = self.lock();
        let mut inner = match patience {
            None => self
                .arrived
                .wait_while(inner, idle)
                .unwrap_or_else(PoisonError::into_inner),
            Some(patience) => {
                self.arrived
                    .wait_timeout_while(inner, patience, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        match inner.waiting.pop_front() {
            Some(item) => Next::Item(item),
            None if inner.closed => Next::Closed,
            None => Next::Nothing,
        }
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
        assert!(matches!(queue.next(None), Next::Item(1)));
        queue.close();
        assert_eq!(queue.push(3), Err(Refused::Closed));
        assert!(matches!(queue.next(None), Next::Item(2)));
        assert!(matches!(queue.next(None), Next::Closed));
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
