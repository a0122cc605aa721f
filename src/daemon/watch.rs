//! The watcher: asks the store what changed, ten times a second and whenever a command says that
//! it changed something, and makes the directory forget it. Whether the store answers at all is
//! seen here too: as long as it does not, the directory answers nothing from memory.
//!
//! It decides nothing and reads no records.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::clock::Clock;
use crate::directory::Directory;
use crate::store::{Change, StoreError, Trouble};
use crate::telemetry;

/// How soon a change is noticed that nobody tells of.
const PERIOD: Duration = Duration::from_millis(100);

/// A store that needs longer for one indexed look-up hangs.
const PATIENCE: Duration = Duration::from_secs(2);

/// One question to the store and what came of it.
#[derive(Clone, Debug)]
struct Round {
    /// The last wish that had been made when the round began.
    wish: u64,
    outcome: Result<(), StoreError>,
    trouble: Option<Trouble>,
}

/// Rounds, and those who wait for one.
pub struct Watch {
    wishes: AtomicU64,
    wake: Notify,
    /// The last round; `None` before the first.
    rounds: watch::Sender<Option<Round>>,
}

impl Default for Watch {
    fn default() -> Watch {
        Watch {
            wishes: AtomicU64::new(0),
            wake: Notify::new(),
            rounds: watch::Sender::new(None),
        }
    }
}

impl Watch {
    /// Watches for ever.
    pub async fn run(&self, directory: &Directory, clock: &Clock) {
        let mut ticks = interval(PERIOD);
        // A round that took long is not made up for by a burst of rounds.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut known = 0;
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = self.wake.notified() => {}
            }
            let wish = self.wishes.load(Ordering::SeqCst);
            let outcome = look(directory, &mut known).await;
            match &outcome {
                Ok(()) => telemetry::store_recovered(),
                Err(error) => telemetry::store_trouble(clock, error),
            }
            let error = outcome.clone().err();
            directory.set_trouble(error.clone());
            let before = self.trouble();
            let trouble = Trouble::after(before.as_ref(), error, clock.now());
            self.rounds.send_replace(Some(Round {
                wish,
                outcome,
                trouble,
            }));
        }
    }

    /// Waits until every question is answered by what is stored now: for a round that began after
    /// this call. An error if the store gave none.
    pub async fn noted(&self) -> Result<(), StoreError> {
        let wish = self.wishes.fetch_add(1, Ordering::SeqCst) + 1;
        self.wake.notify_one();
        self.next(|round| round.wish >= wish).await
    }

    /// Waits for the store's first answer. An error says that it can never give one; a store that
    /// is locked, full or slow is waited for.
    pub async fn opened(&self) -> Result<(), StoreError> {
        self.next(|round| match round.outcome {
            Ok(()) | Err(StoreError::Unusable(_) | StoreError::Mismatch(_)) => true,
            Err(StoreError::Busy(_) | StoreError::ReadOnly(_)) => false,
        })
        .await
    }

    /// What the last round met.
    pub fn trouble(&self) -> Option<Trouble> {
        let round = self.rounds.borrow();
        round.as_ref().and_then(|round| round.trouble.clone())
    }

    /// Whether there was a round.
    pub fn has_looked(&self) -> bool {
        self.rounds.borrow().is_some()
    }

    async fn next(&self, fits: impl Fn(&Round) -> bool) -> Result<(), StoreError> {
        let mut rounds = self.rounds.subscribe();
        let round = rounds
            .wait_for(|round| round.as_ref().is_some_and(&fits))
            .await;
        match round.as_deref() {
            Ok(Some(round)) => round.outcome.clone(),
            Ok(None) | Err(_) => Err(StoreError::Busy("nobody watches it".to_owned())),
        }
    }
}

/// Asks once, and forgets what changed since `known`.
async fn look(directory: &Directory, known: &mut u64) -> Result<(), StoreError> {
    let changes = match timeout(PATIENCE, directory.store().changes(*known)).await {
        Ok(answer) => answer?,
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            return Err(StoreError::Busy(format!("no answer within {seconds} s")));
        }
    };
    for change in &changes.changes {
        directory.forget(change);
        // What was changed before this process began is in the log of the one before.
        if let (Change::Reset { subject, by }, 1..) = (change, *known) {
            tracing::info!(%subject, by, "what was used of quotas was set to 0");
        }
    }
    *known = changes.last;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use ipnet::IpNet;
    use jiff::Timestamp;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::model::domain::Domain;
    use crate::model::name::{Login, Name, UserId};
    use crate::model::quota::{Counter, MessageKey};
    use crate::model::user::{AccountTerms, Ownership, User};
    use crate::store::memory::MemoryStore;
    use crate::store::{
        Answer, Changes, Charge, Charged, Credential, Held, ManageError, Store, Use, Work,
    };

    /// A store whose list of changes can fail, and can be made to wait.
    struct Moody {
        inner: MemoryStore,
        mood: Mutex<Option<StoreError>>,
        /// One for each round that may go on.
        passes: Semaphore,
        began: Notify,
    }

    impl Store for Moody {
        fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>> {
            self.inner.user(login)
        }
        fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>> {
            self.inner.ownership(domain)
        }
        fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>> {
            self.inner.terms(account)
        }
        fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
            self.inner.charge(charge)
        }
        fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>> {
            self.inner.used(counters)
        }
        fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
            self.inner.is_charged(key)
        }
        fn credential(&self, user: UserId) -> Answer<'_, Option<Credential>> {
            self.inner.credential(user)
        }
        fn logged_in_from(&self, user: UserId, net: IpNet, since: Timestamp) -> Answer<'_, bool> {
            self.inner.logged_in_from(user, net, since)
        }
        fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()> {
            self.inner.record_uses(uses)
        }
        fn rehash(&self, user: UserId, known: Credential, hash: String) -> Answer<'_, ()> {
            self.inner.rehash(user, known, hash)
        }
        fn changes(&self, after: u64) -> Answer<'_, Changes> {
            Box::pin(async move {
                self.began.notify_one();
                self.passes.acquire().await.unwrap().forget();
                let mood = self.mood.lock().unwrap().clone();
                match mood {
                    Some(error) => Err(error),
                    None => self.inner.changes(after).await,
                }
            })
        }
        fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
            self.inner.transact(work)
        }
        fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
            self.inner.view(work)
        }
    }

    struct Scene {
        store: Arc<Moody>,
        directory: Arc<Directory>,
        watch: Arc<Watch>,
    }

    /// A watcher at work; so many of its rounds may go on.
    fn scene(passes: usize) -> Scene {
        let store = Arc::new(Moody {
            inner: MemoryStore::new(),
            mood: Mutex::default(),
            passes: Semaphore::new(passes),
            began: Notify::new(),
        });
        let directory = Arc::new(Directory::new(store.clone()));
        let watch = Arc::<Watch>::default();
        let (watching, watched) = (watch.clone(), directory.clone());
        tokio::spawn(async move { watching.run(&watched, &Clock::system()).await });
        Scene {
            store,
            directory,
            watch,
        }
    }

    fn locked() -> StoreError {
        StoreError::Busy("locked".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_is_confirmed_only_by_a_round_that_began_after_it() {
        let scene = scene(0);
        scene.store.began.notified().await;
        // A round is under way: it may have read before the change was made.
        let watch = scene.watch.clone();
        let noted = tokio::spawn(async move { watch.noted().await });
        tokio::task::yield_now().await;
        scene.store.passes.add_permits(1);
        scene.store.began.notified().await;
        assert!(!noted.is_finished());
        scene.store.passes.add_permits(1);
        assert_eq!(noted.await.unwrap(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_hangs_is_in_trouble_and_recovers() {
        let scene = scene(1);
        assert_eq!(scene.watch.opened().await, Ok(()));
        assert_eq!(scene.directory.usable(), Ok(()));
        // No passes are left: the next round hangs.
        let hung = scene.watch.noted().await.unwrap_err();
        assert_eq!(hung, StoreError::Busy("no answer within 2 s".to_owned()));
        assert_eq!(scene.directory.usable(), Err(hung.clone()));
        let trouble = scene.watch.trouble().unwrap();
        assert_eq!(trouble.error, hung);
        assert_eq!(scene.watch.noted().await, Err(hung));
        assert_eq!(scene.watch.trouble().unwrap().since, trouble.since);
        scene.store.passes.add_permits(1000);
        assert_eq!(scene.watch.noted().await, Ok(()));
        assert_eq!(scene.directory.usable(), Ok(()));
        assert_eq!(scene.watch.trouble(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_remembered_before_a_trouble_is_forgotten_after_it() {
        let scene = scene(1000);
        assert_eq!(scene.watch.opened().await, Ok(()));
        assert_eq!(scene.directory.user("shop").await, Ok(None));
        assert_eq!(scene.directory.remembered().0, 1);
        *scene.store.mood.lock().unwrap() = Some(locked());
        assert_eq!(scene.watch.noted().await, Err(locked()));
        assert_eq!(scene.directory.user("shop").await, Err(locked()));
        assert_eq!(scene.directory.remembered().0, 0);
        *scene.store.mood.lock().unwrap() = None;
        assert_eq!(scene.watch.noted().await, Ok(()));
        assert_eq!(scene.directory.user("shop").await, Ok(None));
    }

    #[tokio::test(start_paused = true)]
    async fn opening_waits_for_a_lock_and_gives_up_on_what_is_no_store() {
        let scene = scene(1000);
        assert!(!scene.watch.has_looked());
        *scene.store.mood.lock().unwrap() = Some(locked());
        assert_eq!(scene.watch.noted().await, Err(locked()));
        let watch = scene.watch.clone();
        let opened = tokio::spawn(async move { watch.opened().await });
        assert_eq!(scene.watch.noted().await, Err(locked()));
        assert!(!opened.is_finished());
        let foreign = StoreError::Unusable("foreign".to_owned());
        *scene.store.mood.lock().unwrap() = Some(foreign.clone());
        assert_eq!(opened.await.unwrap(), Err(foreign));
    }
}
