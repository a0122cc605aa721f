//! Whatever is done in whatever order, the store on disk answers as the plain one in memory does:
//! charges, repetitions, clocks that jump, limits that change, resets, removals, restarts, lost files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use outgate::model::name::UserId;
use outgate::model::quota::{Counter, Subject, Window};
use outgate::store::memory::MemoryStore;
use outgate::store::{Charge, Charged, Due, Store};
use proptest::prelude::*;
use tempfile::TempDir;
use uuid::Uuid;

use crate::file::{open, place};
use crate::ledger::{EARLY, folding};
use crate::sample::*;

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A message of a user, so many recipients, in a window, under limits.
    Message {
        user: u8,
        amount: u64,
        limits: [u64; 3],
    },
    /// Several at once.
    Burst { user: u8, several: u8, limit: u64 },
    /// One of the last messages again: so many back.
    Repeat(u8),
    /// The clock moves to this window, forward or back.
    Clock(i64),
    /// By another process, or by the daemon itself.
    Reset { user: u8, another: bool },
    /// All of the account.
    ResetAccount,
    /// The daemon ends and starts anew.
    Restart,
    /// The file is away for a while, and a message falls into that.
    Lost { user: u8 },
}

fn event() -> impl Strategy<Value = Event> {
    let limits = [0..6_u64, 0..20, 0..40];
    prop_oneof![
        10 => (0..4_u8, 1..4_u64, limits)
            .prop_map(|(user, amount, limits)| Event::Message { user, amount, limits }),
        3 => (0..4_u8, 2..6_u8, 0..20_u64)
            .prop_map(|(user, several, limit)| Event::Burst { user, several, limit }),
        3 => (0..3_u8).prop_map(Event::Repeat),
        3 => (0..5_i64).prop_map(Event::Clock),
        1 => (0..4_u8, any::<bool>()).prop_map(|(user, another)| Event::Reset { user, another }),
        1 => Just(Event::ResetAccount),
        1 => Just(Event::Restart),
        1 => (0..4_u8).prop_map(|user| Event::Lost { user }),
    ]
}

struct World {
    model: Arc<dyn Store>,
    store: Option<Arc<dyn Store>>,
    path: PathBuf,
    _directory: TempDir,
    window: i64,
    number: u64,
    recent: Vec<Charge>,
}

impl World {
    fn new() -> World {
        let (directory, path) = place();
        World {
            model: Arc::new(MemoryStore::new()),
            store: Some(folding(&path, EARLY)),
            path,
            _directory: directory,
            window: 0,
            number: 0,
            recent: Vec::new(),
        }
    }

    fn store(&self) -> &Arc<dyn Store> {
        self.store.as_ref().unwrap()
    }

    fn counters(user: u8) -> [Counter; 3] {
        let own = Subject::User(UserId(Uuid::from_u128(u128::from(user))));
        [
            counter(&own, Window::Day),
            counter(&own, Window::Total),
            counter(&shared("default"), Window::Day),
        ]
    }

    fn message(&mut self, user: u8, amount: u64, limits: [u64; 3]) -> Charge {
        self.number += 1;
        let dues: Vec<Due> = World::counters(user)
            .iter()
            .zip(limits)
            .map(|(counter, limit)| {
                let window = if counter.window == Window::Total {
                    0
                } else {
                    self.window
                };
                Due {
                    amount,
                    ..due(counter, window * 86_400, limit)
                }
            })
            .collect();
        charge(self.number, &dues)
    }

    async fn charge_both(&mut self, charge: Charge) {
        let expected = self.model.charge(charge.clone()).await;
        assert_eq!(
            self.store().charge(charge.clone()).await,
            expected,
            "{charge:?}"
        );
        if expected == Ok(Charged::Done) {
            self.recent.push(charge);
        }
    }

    /// A file must not be moved while it is being opened.
    async fn await_opening(&self) {
        assert_eq!(self.store().used(&[]).await, Ok(vec![]));
    }

    async fn happen(&mut self, event: Event) {
        match event {
            Event::Message {
                user,
                amount,
                limits,
            } => {
                let charge = self.message(user, amount, limits);
                self.charge_both(charge).await;
            }
            Event::Burst {
                user,
                several,
                limit,
            } => self.burst(user, several, limit).await,
            Event::Repeat(back) => {
                let last = self.recent.len().checked_sub(1 + usize::from(back));
                if let Some(charge) = last.and_then(|last| self.recent.get(last).cloned()) {
                    self.charge_both(charge).await;
                }
            }
            Event::Clock(window) => self.window = window,
            Event::Reset { user, another } => {
                self.reset(&World::counters(user)[0].subject, another).await;
            }
            Event::ResetAccount => self.reset(&shared("default"), true).await,
            Event::Restart => {
                // The old one has closed the file before the new one opens it.
                self.store = None;
                self.store = Some(folding(&self.path, EARLY));
                self.await_opening().await;
            }
            Event::Lost { user } => {
                let charge = self.message(user, 1, [0; 3]);
                let away = self.path.with_extension("away");
                rename(&self.path, &away);
                assert!(self.store().charge(charge.clone()).await.is_err());
                rename(&away, &self.path);
                self.charge_both(charge).await;
            }
        }
        self.compare().await;
    }

    /// All messages of a burst are alike, so that it does not matter which ones pass.
    async fn burst(&mut self, user: u8, several: u8, limit: u64) {
        let charges: Vec<Charge> = (0..several)
            .map(|_| self.message(user, 1, [limit, 0, 0]))
            .collect();
        let mut expected = Vec::new();
        for charge in &charges {
            expected.push(self.model.charge(charge.clone()).await);
        }
        let store = self.store().clone();
        let asked = charges.iter().map(|charge| store.charge(charge.clone()));
        let charged = futures_util::future::join_all(asked).await;
        assert_eq!(charged, expected);
        let done = charges.into_iter().zip(charged);
        let done = done.filter(|(_, charged)| *charged == Ok(Charged::Done));
        self.recent.extend(done.map(|(charge, _)| charge));
    }

    async fn reset(&mut self, subject: &Subject, another: bool) {
        let daemon = self.store().clone();
        let by = if another {
            open(&self.path)
        } else {
            daemon.clone()
        };
        let held = transact(&self.model, |t| t.reset(subject, "root", at(1)));
        assert_eq!(transact(&by, |t| t.reset(subject, "root", at(1))), held);
        // As the daemon's watcher does before a command returns.
        daemon.changes(0).await.unwrap();
    }

    async fn compare(&self) {
        let asked: Vec<_> = (0..4)
            .flat_map(World::counters)
            .flat_map(|counter| [0, self.window].map(|w| (counter.clone(), at(w * 86_400))))
            .collect();
        let expected = self.model.used(&asked).await;
        assert_eq!(self.store().used(&asked).await, expected);
        let seen = |store: &Arc<dyn Store>| -> Vec<u64> {
            view(store, |t| {
                asked.iter().map(|(c, starts)| t.used(c, *starts)).collect()
            })
        };
        let expected = expected.unwrap().into_iter().map(|held| held.used);
        assert_eq!(seen(self.store()), expected.collect::<Vec<_>>());
        for charge in self.recent.iter().rev().take(3) {
            assert_eq!(self.store().is_charged(charge.key).await, Ok(true));
        }
    }
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn it_answers_as_the_plain_one(events in prop::collection::vec(event(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut world = World::new();
            world.await_opening().await;
            for event in events {
                world.happen(event).await;
            }
        });
    }
}
