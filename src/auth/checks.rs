//! Password checks under way. Whoever asks for one that another asked for already waits for that
//! one: hundreds of connections that come up with the same login cost one hash.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::fingerprint::Fingerprint;
use super::pool::{Overloaded, Pool};

/// What a check came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Checked {
    /// It is the user's password.
    Right,
    /// It is not.
    Wrong,
    /// Not looked at: while it waited, the throttle came to stand otherwise.
    Overtaken,
    /// The stored hash cannot be used.
    Broken,
}

/// Those who wait for each check.
#[derive(Default)]
struct Waiting(Mutex<HashMap<Fingerprint, Vec<oneshot::Sender<Checked>>>>);

/// Runs checks.
#[derive(Default)]
pub struct Checks {
    pool: Pool,
    waiting: Arc<Waiting>,
}

impl Checks {
    /// Runs `check`, or waits for one of the same password that is under way; the second value
    /// tells whether it was this one. Fails if the queue is full, or if the check died.
    pub async fn run(
        &self,
        print: Fingerprint,
        threads: usize,
        check: impl FnOnce() -> Checked + Send + 'static,
    ) -> Result<(Checked, bool), Overloaded> {
        let (tell, told) = oneshot::channel();
        let is_first = self.waiting.join(print, tell);
        if is_first {
            let mut run = Run {
                print: Some(print),
                waiting: self.waiting.clone(),
            };
            let work = move || {
                if run.is_wanted() {
                    run.tell(check());
                }
            };
            self.pool.submit(threads, Box::new(work))?;
        }
        let checked = told.await.map_err(|_| Overloaded)?;
        Ok((checked, is_first))
    }

    /// Work for the same threads that nobody waits for; left undone if they are busy.
    pub fn aside(&self, threads: usize, work: impl FnOnce() + Send + 'static) {
        // Overloaded: there will be another occasion.
        let _ = self.pool.submit(threads, Box::new(work));
    }

    /// How many checks wait for a thread, and how many are under way.
    pub fn load(&self) -> (usize, usize) {
        self.pool.load()
    }
}

impl Waiting {
    /// Whether nobody waited for this check yet.
    fn join(&self, print: Fingerprint, tell: oneshot::Sender<Checked>) -> bool {
        let mut waiting = self.lock();
        let those = waiting.entry(print).or_default();
        those.push(tell);
        those.len() == 1
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Fingerprint, Vec<oneshot::Sender<Checked>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A check that was asked for. If it is dropped before it has told a result, all who wait are told
/// that there is none: the queue was full, the check panicked, the pool has ended.
struct Run {
    /// `None`: nobody is left to be told.
    print: Option<Fingerprint>,
    waiting: Arc<Waiting>,
}

impl Run {
    /// Whether anybody still waits. Clients that went away cost no hash.
    fn is_wanted(&mut self) -> bool {
        let Some(print) = self.print else {
            return false;
        };
        let mut waiting = self.waiting.lock();
        let gone = waiting
            .get(&print)
            .is_none_or(|those| those.iter().all(oneshot::Sender::is_closed));
        if gone {
            waiting.remove(&print);
            self.print = None;
        }
        !gone
    }

    fn tell(&mut self, result: Checked) {
        for tell in self.finish() {
            // Err: gone meanwhile.
            let _ = tell.send(result);
        }
    }

    /// Nobody joins any more.
    fn finish(&mut self) -> Vec<oneshot::Sender<Checked>> {
        let print = self.print.take();
        print
            .and_then(|print| self.waiting.lock().remove(&print))
            .unwrap_or_default()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // Those who wait see their senders go.
        drop(self.finish());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::super::fingerprint::{Fingerprinter, Whose};
    use super::*;

    /// Lets the others run until so many wait for this check.
    async fn until_waiting(checks: &Checks, print: Fingerprint, many: usize) {
        while checks.waiting.lock().get(&print).map_or(0, Vec::len) != many {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn the_same_password_is_checked_once_for_all_who_wait() {
        let checks = Arc::new(Checks::default());
        let print = Fingerprinter::new().take(Whose::Nobody("shop"), b"secret");
        let made = Arc::new(AtomicUsize::new(0));
        let (release, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let all: Vec<_> = (0..100)
            .map(|_| {
                let (checks, made, gate) = (checks.clone(), made.clone(), gate.clone());
                let check = move || {
                    let _ = gate.lock().unwrap().recv();
                    made.fetch_add(1, Ordering::SeqCst);
                    Checked::Right
                };
                tokio::spawn(async move { checks.run(print, 4, check).await })
            })
            .collect();
        until_waiting(&checks, print, 100).await;
        release.send(()).unwrap();
        let mut firsts = 0;
        for one in all {
            let (checked, is_first) = one.await.unwrap().unwrap();
            assert_eq!(checked, Checked::Right);
            firsts += usize::from(is_first);
        }
        assert_eq!(firsts, 1);
        assert_eq!(made.load(Ordering::SeqCst), 1);
        // The next one is a check of its own.
        let next = checks.run(print, 4, || Checked::Wrong).await;
        assert_eq!(next, Ok((Checked::Wrong, true)));
        assert!(checks.waiting.lock().is_empty());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_not_checked_and_a_check_that_dies_is_told() {
        let checks = Arc::new(Checks::default());
        let printer = Fingerprinter::new();
        let print = |password: &[u8]| printer.take(Whose::Nobody("shop"), password);
        let (release, gate) = channel::<()>();
        let (dies, gone, last) = (print(b"1"), print(b"2"), print(b"3"));
        let spawn = |print, check: Box<dyn FnOnce() -> Checked + Send>| {
            let checks = checks.clone();
            tokio::spawn(async move { checks.run(print, 1, check).await })
        };
        let dying = spawn(
            dies,
            Box::new(move || {
                let _ = gate.recv();
                panic!("on purpose");
            }),
        );
        until_waiting(&checks, dies, 1).await;
        let made = Arc::new(AtomicUsize::new(0));
        let count = made.clone();
        let leaving = spawn(
            gone,
            Box::new(move || {
                count.fetch_add(1, Ordering::SeqCst);
                Checked::Right
            }),
        );
        until_waiting(&checks, gone, 1).await;
        leaving.abort();
        assert!(leaving.await.is_err());
        release.send(()).unwrap();
        assert_eq!(dying.await.unwrap(), Err(Overloaded));
        // One thread: this comes after the one that was abandoned.
        let last = checks.run(last, 1, || Checked::Right).await;
        assert_eq!(last, Ok((Checked::Right, true)));
        assert_eq!(made.load(Ordering::SeqCst), 0);
        assert!(checks.waiting.lock().is_empty());
    }
}
