//! Writing what decisions leave behind: one thread, many jobs to a commit.
//!
//! A commit costs one wait for the disk, whether it holds one job or hundreds. Each job has a
//! savepoint of its own: one that fails takes no other with it. (Charges need none: they write nothing
//! before all is judged.) Nobody hears of success before the commit. This thread also opens the
//! database, so that nobody waits for that but in its turn, and folds the ledger while nothing waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, Transaction, TransactionBehavior};

use super::database::{Access, BUSY, Database};
use super::file::Identity;
use super::job::{Job, Reply, Writing};
use super::ledger::{Folding, Ledger, Sheet};
use super::queue::{Next, Queue};
use crate::store::{Charge, Charged, StoreError};

/// At most so many jobs in one commit.
const GROUP: usize = 1024;
/// Whoever was just told of a commit may be about to ask again. For so long, a group waits to become as
/// large as the one before: a commit costs the same for all of them.
const GATHER: Duration = Duration::from_micros(50);
/// How long to wait before the next try to open a database that could not be opened.
const RETRY: Duration = Duration::from_millis(250);

/// Opens the database, then writes until there is nothing more to write. Folds the ledger, and knows
/// it from the start, if that is this process's part.
pub fn run(database: &Arc<Database>, jobs: &Queue<Job>, ledger: Ledger, folding: Option<Folding>) {
    loop {
        match database.open() {
            Ok((connection, identity)) => {
                let writer = Writer {
                    database,
                    identity,
                    connection,
                    stale: false,
                    ledger,
                    folding,
                };
                return writer.serve(jobs);
            }
            Err(error) => {
                if refuse(database, jobs, &error) == Refusing::Over {
                    return;
                }
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Refusing {
    /// Time for another try.
    TryAgain,
    /// Nobody wants anything any more.
    Over,
}

/// Tells everybody why nothing can be written, until it is time to try again.
fn refuse(database: &Database, jobs: &Queue<Job>, error: &StoreError) -> Refusing {
    let again = database.in_future(RETRY);
    loop {
        let left = database.left_until(again);
        if left.is_zero() {
            return Refusing::TryAgain;
        }
        match jobs.next(Some(left)) {
            Next::Item(job) => job.refuse(error.clone()),
            Next::Nothing => return Refusing::TryAgain,
            Next::Closed => return Refusing::Over,
        }
    }
}

struct Writer<'a> {
    database: &'a Database,
    identity: Identity,
    connection: Connection,
    /// After trouble, what the connection remembers of the file may be wrong.
    stale: bool,
    ledger: Ledger,
    folding: Option<Folding>,
}

/// What one transaction writes.
#[derive(Default)]
struct Group {
    writes: Vec<(Writing, Reply<()>)>,
    charges: Vec<(Charge, Reply<Charged>)>,
}

/// What came of a group, in its order, to be told after the commit.
struct Done {
    written: Vec<Result<(), StoreError>>,
    charged: Vec<Charged>,
}

impl Group {
    fn len(&self) -> usize {
        self.writes.len() + self.charges.len()
    }

    fn tell(self, done: Result<Done, StoreError>) {
        let (writes, charges) = (self.writes.into_iter(), self.charges.into_iter());
        match done {
            Ok(Done { written, charged }) => {
                let charges = charges.zip(charged);
                charges.for_each(|((_, reply), charged)| drop(reply.send(Ok(charged))));
                let writes = writes.zip(written);
                writes.for_each(|((_, reply), written)| drop(reply.send(written)));
            }
            Err(error) => {
                charges.for_each(|(_, reply)| drop(reply.send(Err(error.clone()))));
                writes.for_each(|(_, reply)| drop(reply.send(Err(error.clone()))));
            }
        }
    }
}

/// Why nothing of a transaction was written.
struct Failed {
    error: StoreError,
    /// Whether that is certain.
    certain: bool,
}

impl Writer<'_> {
    fn serve(mut self, jobs: &Queue<Job>) {
        if self.folding.is_some() {
            // What fails now is tried again when it is needed, and told then.
            let _ = self.guarded(|writer| writer.reading(|_, _| Ok(())));
        }
        loop {
            let now = self.database.now();
            let patience = self.folding.as_ref();
            let patience = patience.and_then(|folding| folding.patience(&self.ledger, now));
            match jobs.next_group(GROUP, patience) {
                Next::Item(group) => {
                    self.renew();
                    let told = group.len();
                    self.work(group);
                    if told > 1 {
                        jobs.gather(told, GATHER);
                    }
                }
                Next::Nothing => self.renew(),
                Next::Closed => return,
            }
            self.fold();
        }
    }

    /// Takes another connection after trouble.
    fn renew(&mut self) {
        // The old one goes when the new one is there: the last to go would take the log away.
        if self.stale
            && let Ok(fresh) = self.database.connect(&self.identity, Access::Write)
        {
            self.connection = fresh;
            self.ledger.reconnected();
            self.stale = false;
        }
    }

    fn work(&mut self, group: Vec<Job>) {
        let mut writing = Group::default();
        for job in group {
            match job {
                Job::Recall { counters, reply } => {
                    let used = self.guarded(|writer| {
                        writer.reading(|ledger, tables| ledger.used(tables, &counters))
                    });
                    drop(reply.send(used));
                }
                Job::CatchUp { reply } => {
                    // What is not known will be read when it is needed.
                    let done = match self.ledger.is_loaded() {
                        true => self.guarded(|writer| writer.reading(|_, _| Ok(()))),
                        false => Ok(()),
                    };
                    drop(reply.send(done));
                }
                Job::Write { run, reply } => writing.writes.push((run, reply)),
                Job::Charge { charge, reply } => writing.charges.push((charge, reply)),
            }
        }
        if writing.len() > 0 {
            self.write(writing);
        }
    }

    fn write(&mut self, mut group: Group) {
        let (jobs, began) = (group.len(), self.database.now());
        let done = self.guarded(|writer| writer.commit(&mut group));
        let (now, figures) = (self.database.now(), &self.database.figures);
        figures.commit(jobs, began, now, done.is_ok());
        self.database.wrote(done.as_ref().err());
        group.tell(done);
    }

    /// Does something, and draws the conclusions if it fails or panics.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let done = catch_unwind(AssertUnwindSafe(|| work(self)));
        let done = done.unwrap_or_else(|_| {
            let error = StoreError::Unusable("writing broke off: see the log".to_owned());
            Err(Failed {
                error,
                certain: false,
            })
        });
        done.map_err(|Failed { error, certain }| {
            self.stale |= spoils(&error);
            if !certain {
                self.ledger.distrust();
            }
            error
        })
    }

    /// Reads in a view of its own, in which the ledger has caught up.
    fn reading<T>(
        &mut self,
        read: impl FnOnce(&Ledger, &Connection) -> rusqlite::Result<T>,
    ) -> Result<T, Failed> {
        self.identity.check().map_err(Failed::maybe)?;
        let trouble = |error: rusqlite::Error| Failed::surely(self.database.trouble(&error));
        let view = self.connection.transaction().map_err(trouble)?;
        self.ledger.catch_up(&view).map_err(trouble)?;
        read(&self.ledger, &view).map_err(trouble)
    }

    /// Writes a group in one transaction. An error means that nothing of it was written.
    fn commit(&mut self, group: &mut Group) -> Result<Done, Failed> {
        let database = self.database;
        let trouble = |error: rusqlite::Error| Failed::surely(database.trouble(&error));
        let mut transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(trouble)?;
        let writes = group.writes.iter_mut();
        let written = writes
            .map(|(run, _)| write_one(database, &mut transaction, run))
            .collect::<rusqlite::Result<_>>()
            .map_err(trouble)?;
        let (mut charged, mut sheet) = (Vec::new(), Sheet::default());
        if !group.charges.is_empty() {
            self.ledger.catch_up(&transaction).map_err(trouble)?;
            let charges = group.charges.iter().map(|(charge, _)| charge);
            (charged, sheet) = self.ledger.charge(&transaction, charges).map_err(trouble)?;
        }
        finish(database, &self.identity, transaction)?;
        self.ledger.publish(sheet);
        Ok(Done { written, charged })
    }

    /// Takes a step in folding the ledger, if one is due.
    fn fold(&mut self) {
        let began = self.database.now();
        let Some(folding) = &mut self.folding else {
            return;
        };
        let Some(upto) = folding.due(&self.ledger, began) else {
            return;
        };
        let done = self.guarded(|writer| {
            // Whoever holds the lock must not make charges wait for this as well.
            writer.patient(Duration::ZERO)?;
            writer.fold_upto(upto)
        });
        let patient = self.guarded(|writer| writer.patient(BUSY));
        let (now, done) = (self.database.now(), done.is_ok() && patient.is_ok());
        if let Some(folding) = &mut self.folding {
            folding.rest(&self.ledger, began, now, done);
        }
    }

    fn patient(&self, patience: Duration) -> Result<(), Failed> {
        let set = self.connection.busy_timeout(patience);
        set.map_err(|error| Failed::surely(self.database.trouble(&error)))
    }

    fn fold_upto(&mut self, upto: i64) -> Result<(), Failed> {
        let database = self.database;
        let trouble = |error: rusqlite::Error| Failed::surely(database.trouble(&error));
        self.identity.check().map_err(Failed::maybe)?;
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)
            .map_err(trouble)?;
        self.ledger.catch_up(&transaction).map_err(trouble)?;
        let step = self.ledger.fold(&transaction, upto).map_err(trouble)?;
        finish(database, &self.identity, transaction)?;
        self.ledger.folded(&step);
        Ok(())
    }
}

impl Failed {
    /// Nothing was written, and the tables are as they were.
    fn surely(error: StoreError) -> Failed {
        Failed {
            error,
            certain: true,
        }
    }

    /// Something may have been written, or the tables may be others.
    fn maybe(error: StoreError) -> Failed {
        Failed {
            error,
            certain: false,
        }
    }
}

/// Commits.
fn finish(
    database: &Database,
    identity: &Identity,
    transaction: Transaction<'_>,
) -> Result<(), Failed> {
    // The last moment to notice that this would be written into the void, or into tables of another version.
    identity.check().map_err(Failed::maybe)?;
    database.still_ours(&transaction).map_err(Failed::maybe)?;
    transaction.commit().map_err(|error| {
        let code = error.sqlite_error_code();
        let certain = matches!(code, Some(ErrorCode::DiskFull | ErrorCode::DatabaseBusy));
        let error = database.trouble(&error);
        Failed { error, certain }
    })
}

/// Runs a job on a savepoint of its own. `Err`: it has taken the whole transaction with it.
fn write_one(
    database: &Database,
    transaction: &mut Transaction<'_>,
    run: &mut Writing,
) -> rusqlite::Result<Result<(), StoreError>> {
    let savepoint = transaction.savepoint()?;
    match run(&savepoint) {
        Ok(()) => {
            savepoint.commit()?;
            Ok(Ok(()))
        }
        // SQLite has rolled everything back: a full disk, or one that fails.
        Err(error) if savepoint.is_autocommit() => Err(error),
        Err(error) => {
            savepoint.finish()?;
            Ok(Err(database.trouble(&error)))
        }
    }
}

/// Whether this trouble is a reason to take another connection.
fn spoils(error: &StoreError) -> bool {
    match error {
        StoreError::Busy(_) => false,
        StoreError::ReadOnly(_) | StoreError::Unusable(_) | StoreError::Mismatch(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use tokio::sync::oneshot;

    use super::*;
    use crate::model::name::UserId;
    use crate::model::quota::{Counter, MessageKey, Subject, Unit, Window};
    use crate::store::Due;
    use crate::store::Held;
    use crate::store::sqlite::ledger::{Live, Recalled};

    /// A job that makes the file larger by so many KiB.
    fn grow(kib: usize) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let run: Writing = Box::new(move |connection| {
            let sql = "INSERT INTO change (kind, name) VALUES ('everything', ?1)";
            connection.execute(sql, ["x".repeat(kib * 1024)])?;
            Ok(())
        });
        (Job::Write { run, reply }, answer)
    }

    fn counter() -> Counter {
        Counter {
            subject: Subject::User(UserId(uuid::Uuid::nil())),
            window: Window::Total,
            unit: Unit::Messages,
        }
    }

    /// One of two messages that fit.
    fn charge(key: u8) -> (Job, oneshot::Receiver<Result<Charged, StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let due = Due {
            counter: counter(),
            starts: Timestamp::UNIX_EPOCH,
            amount: 1,
            limit: 2,
        };
        let charge = Charge {
            key: MessageKey([key; 16]),
            at: Timestamp::UNIX_EPOCH,
            dues: vec![due],
        };
        (Job::Charge { charge, reply }, answer)
    }

    fn grown(connection: &Connection) -> u32 {
        let sql = "SELECT count(*) FROM change";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn without_space_a_whole_group_fails_and_the_next_one_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::new(&directory.path().join("outgate.db"));
        let (connection, identity) = database.open().unwrap();
        let live = Arc::new(Live::new());
        let mut writer = Writer {
            database: &database,
            identity,
            connection,
            stale: false,
            ledger: Ledger::new(live.clone()),
            folding: None,
        };
        let starts = Timestamp::UNIX_EPOCH;
        let all = |used| Recalled::All(vec![Held { starts, used }]);
        let used = || live.recall(&[(counter(), Timestamp::UNIX_EPOCH)]);
        let pages = |writer: &Writer<'_>, most: u32| {
            let set = writer
                .connection
                .pragma_update(None, "max_page_count", most);
            set.unwrap();
        };
        let (first, answer) = charge(1);
        writer.work(vec![first]);
        assert_eq!(answer.blocking_recv().unwrap(), Ok(Charged::Done));
        pages(&writer, 70);
        for attempt in [Err(()), Ok(())] {
            let (small, fit) = (grow(1), charge(2));
            let (large, misfit) = (grow(1000), charge(3));
            writer.work(vec![small.0, fit.0, large.0, misfit.0]);
            let (fit, misfit) = (fit.1.blocking_recv(), misfit.1.blocking_recv());
            let small = small.1.blocking_recv().unwrap();
            assert_eq!(large.1.blocking_recv().unwrap(), small);
            match attempt {
                Err(()) => {
                    let full = matches!(small, Err(StoreError::ReadOnly(_)));
                    assert!(full, "{small:?}");
                    assert_eq!(fit.unwrap().unwrap_err(), small.unwrap_err());
                    assert!(misfit.unwrap().is_err());
                    assert_eq!(grown(&writer.connection), 0);
                    assert_eq!(used(), all(1), "still known");
                    pages(&writer, 700);
                }
                Ok(()) => {
                    assert_eq!(small, Ok(()));
                    assert_eq!(fit.unwrap(), Ok(Charged::Done));
                    let over = Charged::Over { due: 0, used: 2 };
                    assert_eq!(misfit.unwrap(), Ok(over));
                    assert_eq!(grown(&writer.connection), 2);
                    assert_eq!(used(), all(2));
                }
            }
        }
    }

    #[test]
    fn a_job_that_panics_fails_and_the_writer_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::new(&directory.path().join("outgate.db")));
        let jobs = Queue::new(10);
        let (reply, broken) = oneshot::channel();
        let run: Writing = Box::new(|_| panic!("as a test"));
        assert_eq!(jobs.push(Job::Write { run, reply }), Ok(()));
        let ledger = Ledger::new(Arc::new(Live::new()));
        let broken = std::thread::scope(|scope| {
            scope.spawn(|| super::run(&database, &jobs, ledger, None));
            let broken = broken.blocking_recv().unwrap();
            let (job, answer) = grow(1);
            assert_eq!(jobs.push(job), Ok(()));
            assert_eq!(answer.blocking_recv().unwrap(), Ok(()));
            jobs.close();
            broken
        });
        assert!(matches!(broken, Err(StoreError::Unusable(_))), "{broken:?}");
    }
}
