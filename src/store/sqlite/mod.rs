//! State in a SQLite file, shared by the daemon and the command line.
//!
//! Look-ups go to threads with read-only connections, what decisions leave behind to one writer
//! thread; operators work on the caller's thread. The file is opened behind all of them: nothing
//! here blocks a caller of the asynchronous questions. All SQL is in `statements`.

mod database;
mod file;
mod inspection;
mod job;
mod ledger;
mod questions;
mod queue;
mod readers;
mod rows;
mod schema;
mod statements;
mod transaction;
mod users;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use self::database::{Access, Database};
pub use self::inspection::inspect;
use self::job::{Job, Reply};
pub use self::ledger::Upkeep;
use self::ledger::{Folding, Ledger, Live, Recalled};
use self::queue::{Queue, Refused};
use self::readers::{Fate, Question, Reader};
use self::transaction::SqliteTransaction;
use super::{
    Answer, Change, Changes, Charge, Charged, Credential, ManageError, Store, StoreError, Use, Work,
};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, MessageKey};
use crate::model::user::{AccountTerms, Ownership, User};

/// At most so many questions wait for a reader; each is answered in some microseconds.
const MAX_QUESTIONS: usize = 65_536;
/// At most so many jobs wait for the writer.
const MAX_JOBS: usize = 65_536;
/// What an operator's transaction may keep in memory before it writes, in KiB: an import of a
/// million users writes each page of an index once instead of many times.
const OPERATOR_CACHE_KIB: i64 = 128 * 1024;

/// A database file.
pub struct SqliteStore {
    database: Arc<Database>,
    questions: Arc<Queue<Question>>,
    jobs: Arc<Queue<Job>>,
    /// What is known of uses.
    live: Arc<Live>,
    /// Whether this is the process that charges: what others have charged is not looked for at each
    /// question, but before each charge.
    charges: bool,
    /// The writer, then the readers.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Starts to open a database, and returns at once: for the daemon. Makes the file if there
    /// is none. Questions wait for the opening, at most some seconds; an opening that fails is
    /// tried again until it works. Keeps the ledger of uses in memory, and folds it.
    pub fn start(path: &Path) -> Result<SqliteStore, StoreError> {
        SqliteStore::start_folding(path, Upkeep::default())
    }

    /// Like [`SqliteStore::start`], with other figures.
    pub fn start_folding(path: &Path, upkeep: Upkeep) -> Result<SqliteStore, StoreError> {
        SqliteStore::launch(path, Some(upkeep))
    }

    /// Opens a database and waits for that: for commands, which have nothing else to do. Reads
    /// the ledger of uses when somebody asks for it.
    pub fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore::launch(path, None)?;
        store.database.insist()?;
        Ok(store)
    }

    fn launch(path: &Path, upkeep: Option<Upkeep>) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore {
            database: Arc::new(Database::new(path)),
            questions: Arc::new(Queue::new(MAX_QUESTIONS)),
            jobs: Arc::new(Queue::new(MAX_JOBS)),
            live: Arc::new(Live::new()),
            charges: upkeep.is_some(),
            threads: Mutex::default(),
        };
        let (database, jobs) = (store.database.clone(), store.jobs.clone());
        let ledger = Ledger::new(store.live.clone());
        let folding = upkeep.map(|upkeep| Folding::new(upkeep, database.now()));
        store.spawn("store-writer", move || {
            writer::run(&database, &jobs, ledger, folding);
        })?;
        let cores = thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..cores.clamp(2, 8) {
            let (database, questions) = (store.database.clone(), store.questions.clone());
            store.spawn("store-reader", move || readers::run(&database, &questions))?;
        }
        Ok(store)
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), StoreError> {
        let spawned = thread::Builder::new().name(name.to_owned()).spawn(run);
        let thread = spawned.map_err(|error| {
            StoreError::Unusable(format!("no thread for it could be started: {error}"))
        })?;
        self.threads().push(thread);
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has a reader look something up.
    async fn ask<T: Send + 'static>(
        &self,
        look_up: impl FnOnce(Reader<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let run = Box::new(move |reader: Result<Reader<'_>, StoreError>| {
            // Who asked may have gone away meanwhile.
            if reply.is_closed() {
                return Fate::Keep;
            }
            let result = reader.and_then(look_up);
            let fate = match &result {
                Ok(_) | Err(StoreError::Busy(_)) => Fate::Keep,
                Err(StoreError::ReadOnly(_) | StoreError::Unusable(_)) => Fate::Renew,
            };
            let _ = reply.send(result);
            fate
        });
        let deadline = self.database.deadline();
        let pushed = self.questions.push(Question { deadline, run });
        self.handed_over(pushed)?;
        answer.await.map_err(|_| broken_off())?
    }

    /// Has a reader run a question of [`questions`].
    async fn look_up<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let database = self.database.clone();
        self.ask(move |reader| {
            question(reader.connection).map_err(|error| database.trouble(&error))
        })
        .await
    }

    /// Has the writer write something.
    async fn write(
        &self,
        run: impl FnMut(&Connection) -> rusqlite::Result<()> + Send + 'static,
    ) -> Result<(), StoreError> {
        let run = Box::new(run);
        self.order(|reply| Job::Write { run, reply }).await
    }

    /// Gives the writer a job, now; what comes of it.
    fn order<T>(
        &self,
        job: impl FnOnce(Reply<T>) -> Job,
    ) -> impl Future<Output = Result<T, StoreError>> {
        let (reply, answer) = oneshot::channel();
        let handed_over = self.handed_over(self.jobs.push(job(reply)));
        async move {
            handed_over?;
            answer.await.map_err(|_| broken_off())?
        }
    }

    /// Has the writer say what counters hold.
    async fn recall(&self, counters: Vec<(Counter, Timestamp)>) -> Result<Vec<u64>, StoreError> {
        self.order(|reply| Job::Recall { counters, reply }).await
    }

    /// Says what counters hold, some of which are in the tables alone.
    async fn learn(
        &self,
        counters: &[(Counter, Timestamp)],
        missing: Vec<Counter>,
        epoch: u64,
    ) -> Result<Vec<u64>, StoreError> {
        let read = |tables: &Connection, counter: Counter| {
            let base = ledger::base(tables, &counter)?;
            Ok((counter, base))
        };
        let folded = self
            .look_up(move |tables| {
                missing
                    .into_iter()
                    .map(|counter| read(tables, counter))
                    .collect()
            })
            .await?;
        match self.live.learn(folded, epoch, counters) {
            Recalled::All(used) => Ok(used),
            // It changed meanwhile, or memory is full.
            Recalled::Missing { .. } | Recalled::Nothing => self.recall(counters.to_vec()).await,
        }
    }

    fn handed_over(&self, pushed: Result<(), Refused>) -> Result<(), StoreError> {
        pushed.map_err(|refused| match refused {
            Refused::Full => self.database.crowded(),
            Refused::Closed => self.database.closed(),
        })
    }

    /// Runs an operator's work on a connection of its own, which costs less than a millisecond
    /// and leaves nothing behind to go stale.
    fn operate(&self, access: Access, work: &mut Work<'_>) -> Result<(), ManageError> {
        let database = &*self.database;
        let trouble = |error: rusqlite::Error| ManageError::Store(database.trouble(&error));
        let identity = database.wait(database.deadline())?;
        let mut connection = database.connect(&identity, access)?;
        let behavior = match access {
            Access::Read => TransactionBehavior::Deferred,
            Access::Write => TransactionBehavior::Immediate,
        };
        connection
            .pragma_update(None, "cache_size", -OPERATOR_CACHE_KIB)
            .map_err(trouble)?;
        let inner = connection
            .transaction_with_behavior(behavior)
            .map_err(trouble)?;
        let mut transaction = SqliteTransaction::new(database, &inner);
        work(&mut transaction)?;
        transaction.keep_changes()?;
        // The last moment to notice that this would be written into the void.
        identity.check()?;
        inner.commit().map_err(trouble)
    }
}

impl Store for SqliteStore {
    fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>> {
        let login = login.clone();
        Box::pin(self.look_up(move |connection| questions::user(connection, &login)))
    }

    fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>> {
        let domain = domain.clone();
        Box::pin(self.look_up(move |connection| questions::ownership(connection, &domain)))
    }

    fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>> {
        let account = account.clone();
        Box::pin(self.look_up(move |connection| questions::terms(connection, &account)))
    }

    fn credential(&self, user: UserId) -> Answer<'_, Option<Credential>> {
        Box::pin(self.look_up(move |connection| questions::credential(connection, user)))
    }

    fn logged_in_from(&self, user: UserId, network: IpNet, since: Timestamp) -> Answer<'_, bool> {
        Box::pin(
            self.look_up(move |connection| {
                questions::logged_in_from(connection, user, network, since)
            }),
        )
    }

    fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()> {
        Box::pin(self.write(move |connection| questions::record_uses(connection, &uses)))
    }

    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()> {
        Box::pin(
            self.write(move |connection| questions::rehash(connection, user, &credential, &hash)),
        )
    }

    fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
        // What memory knows is durable: a repetition waits for nobody, not even for a locked file.
        if !charge.dues.is_empty() && self.live.is_charged(&charge.key) == Some(true) {
            return Box::pin(std::future::ready(Ok(Charged::Already)));
        }
        Box::pin(async move { self.order(|reply| Job::Charge { charge, reply }).await })
    }

    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<u64>> {
        match self.live.recall(counters) {
            Recalled::All(used) if self.charges => Box::pin(std::future::ready(Ok(used))),
            Recalled::Missing {
                counters: missing,
                epoch,
            } if self.charges => Box::pin(self.learn(counters, missing, epoch)),
            Recalled::All(_) | Recalled::Missing { .. } | Recalled::Nothing => {
                Box::pin(self.recall(counters.to_vec()))
            }
        }
    }

    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        if let Some(known) = self.live.is_charged(&key) {
            return Box::pin(std::future::ready(Ok(known)));
        }
        Box::pin(async move {
            // Loads what is known, which then answers; if it is lost again at once, that is trouble.
            self.recall(Vec::new()).await?;
            let known = self.live.is_charged(&key);
            known.ok_or_else(|| StoreError::Busy("the ledger is being read: try again".to_owned()))
        })
    }

    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        let database = self.database.clone();
        let changes = self.ask(move |reader| {
            // Whoever watches for changes is told of a lost file too.
            reader.identity.check()?;
            questions::changes(reader.connection, after).map_err(|error| database.trouble(&error))
        });
        Box::pin(async move {
            let changes = changes.await?;
            let of_uses = |change: &Change| match change {
                Change::Quota(_) | Change::Everything => true,
                Change::Login(_)
                | Change::Domain(_)
                | Change::Account(_)
                | Change::Reset { .. } => false,
            };
            // Whoever has heard of a reset finds it done.
            if changes.changes.iter().any(of_uses) {
                let caught_up = self.order(|reply| Job::CatchUp { reply });
                // What is still being read is said by nobody before that is done.
                if self.live.is_loaded() {
                    caught_up.await?;
                }
            }
            Ok(changes)
        })
    }

    fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.operate(Access::Write, work)
    }

    fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.operate(Access::Read, work)
    }

    fn close(&self) {
        let mut threads = std::mem::take(&mut *self.threads());
        self.questions.close();
        // A thread that panicked has said so.
        threads
            .drain(1.min(threads.len())..)
            .for_each(|reader| drop(reader.join()));
        // The last connection to go takes the log into the file and away: the one that may write.
        self.jobs.close();
        threads.drain(..).for_each(|writer| drop(writer.join()));
        self.database.close();
    }
}

/// What those hear whose question ended in a panic.
fn broken_off() -> StoreError {
    StoreError::Unusable("the question broke off: see the log".to_owned())
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.close();
    }
}
