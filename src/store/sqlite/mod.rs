//! State in a SQLite file, shared by the daemon and the command line.
//!
//! Look-ups go to threads with read-only connections, what decisions leave behind to one writer
//! thread; operators work on the caller's thread. The file is opened behind all of them: nothing
//! here blocks a caller of the asynchronous questions. All SQL is in `statements`.

mod database;
mod file;
mod questions;
mod queue;
mod readers;
mod rows;
mod schema;
mod statements;
mod transaction;
mod users;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use self::database::{Access, Database};
use self::queue::{Queue, Refused};
use self::readers::{Fate, Question, Reader};
use self::transaction::SqliteTransaction;
use self::writer::Job;
use super::{Answer, Changes, Credential, ManageError, Store, StoreError, Use, Work};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::user::{Ownership, Plan, User};

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
    /// The writer, then the readers.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl SqliteStore {
    /// Starts to open a database, and returns at once: for the daemon. Makes the file if there
    /// is none. Questions wait for the opening, at most some seconds; an opening that fails is
    /// tried again until it works.
    pub fn start(path: &Path) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore {
            database: Arc::new(Database::new(path)),
            questions: Arc::new(Queue::new(MAX_QUESTIONS)),
            jobs: Arc::new(Queue::new(MAX_JOBS)),
            threads: Mutex::default(),
        };
        let (database, jobs) = (store.database.clone(), store.jobs.clone());
        store.spawn("store-writer", move || writer::run(&database, &jobs))?;
        let cores = thread::available_parallelism().map_or(2, usize::from);
        for _ in 0..cores.clamp(2, 8) {
            let (database, questions) = (store.database.clone(), store.questions.clone());
            store.spawn("store-reader", move || readers::run(&database, &questions))?;
        }
        Ok(store)
    }

    /// Opens a database and waits for that: for commands, which have nothing else to do.
    pub fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let store = SqliteStore::start(path)?;
        store.database.insist()?;
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
        let (reply, answer) = oneshot::channel();
        let run = Box::new(run);
        self.handed_over(self.jobs.push(Job { run, reply }))?;
        answer.await.map_err(|_| broken_off())?
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

    fn plan<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<Plan>> {
        let account = account.clone();
        Box::pin(self.look_up(move |connection| questions::plan(connection, &account)))
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

    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        let database = self.database.clone();
        Box::pin(self.ask(move |reader| {
            // Whoever watches for changes is told of a lost file too.
            reader.identity.check()?;
            questions::changes(reader.connection, after).map_err(|error| database.trouble(&error))
        }))
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
