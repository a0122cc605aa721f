//! State in a SQLite file, shared by the daemon and the command line.
//!
//! Look-ups go to threads with read-only connections, what decisions leave behind to one writer
//! thread; operators work on the caller's thread. The file is opened behind all of them: nothing
//! here blocks a caller of the asynchronous questions. All SQL is in `statements`.

mod backup;
mod database;
mod file;
mod inspection;
mod job;
mod ledger;
pub mod log;
mod questions;
mod queue;
mod readers;
mod rows;
mod schema;
mod statements;
mod transaction;
mod users;
mod uses;
mod writer;

use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use ipnet::IpNet;
use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

pub use self::backup::back_up;
use self::database::{Access, Database};
pub use self::inspection::inspect;
use self::job::{Job, Reply};
pub use self::ledger::Upkeep;
use self::ledger::{Folding, Ledger, Live};
use self::queue::{Queue, Refused};
use self::readers::{Fate, Question, Reader};
use self::transaction::SqliteTransaction;
use super::{
    Age, Answer, Change, Changes, Charge, Charged, Credential, Held, ManageError, Store,
    StoreError, Use, Work, Writing, figures,
};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, MessageKey};
use crate::model::user::{AccountTerms, Ownership, User};

/// At most so many questions wait for a reader; each is answered in some microseconds.
const MAX_QUESTIONS: usize = 65_536;
/// At most so many jobs wait for the writer.
const MAX_JOBS: usize = 65_536;
/// So many last uses are written at a time, each into a place of its own: charges wait that long.
const USES: usize = 256;
/// What an operator's transaction may keep in memory before it writes, in KiB: an import of a
/// million users writes each page of an index once instead of many times.
const OPERATOR_CACHE_KIB: i64 = 128 * 1024;

/// What a file is to this program: looks, and makes nothing.
pub fn age(path: &Path) -> Result<Age, StoreError> {
    Database::new(path).age()
}

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
                Err(
                    StoreError::ReadOnly(_) | StoreError::Unusable(_) | StoreError::Mismatch(_),
                ) => Fate::Renew,
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
        database.still_ours(&inner)?;
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
        let (login, live) = (login.clone(), self.live.clone());
        Box::pin(self.look_up(move |connection| {
            let epoch = live.epoch();
            let user = questions::user(connection, &login)?;
            // Whoever asks for a user asks next what it has used: one trip here is enough.
            if let Some(user) = &user {
                ledger::foresee(&live, epoch, connection, user)?;
            }
            Ok(user)
        }))
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

    fn record_uses(&self, mut uses: Vec<Use>) -> Answer<'_, ()> {
        // Users that lie together in the file are written together.
        uses.sort_unstable_by_key(|used| used.user.0);
        Box::pin(async move {
            for some in uses.chunks(USES) {
                let some = some.to_vec();
                let write =
                    move |connection: &Connection| questions::record_uses(connection, &some);
                self.write(write).await?;
            }
            Ok(())
        })
    }

    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()> {
        Box::pin(
            self.write(move |connection| questions::rehash(connection, user, &credential, &hash)),
        )
    }

    fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
        self.charge_once(charge)
    }

    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>> {
        self.what_is_used(counters)
    }

    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        self.was_charged(key)
    }

    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        let database = self.database.clone();
        let changes = self.ask(move |reader| {
            // Whoever watches for changes is told of a lost file too.
            reader.identity.check()?;
            database.still_ours(reader.connection)?;
            questions::changes(reader.connection, after).map_err(|error| database.trouble(&error))
        });
        Box::pin(async move {
            let changes = changes.await?;
            // Whoever has heard of a reset finds it done.
            if changes.changes.iter().any(Change::concerns_uses) {
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

    fn figures(&self) -> Option<figures::Reading> {
        Some(self.database.figures.read(self.jobs.waiting() as u64))
    }

    fn writing(&self) -> Writing {
        self.database.writing()
    }

    fn try_writing(&self) -> Answer<'_, ()> {
        Box::pin(self.write(schema::touch))
    }

    fn close(&self) {
        let mut threads = std::mem::take(&mut *self.threads());
        self.questions.close();
        // A thread that panicked has said so.
        let readers = threads.drain(1.min(threads.len())..);
        readers.for_each(|reader| drop(reader.join()));
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
