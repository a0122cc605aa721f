//! Writing what decisions leave behind: one thread, many jobs to a commit.
//!
//! A commit costs one wait for the disk, whether it holds one job or hundreds. Each job has a
//! savepoint of its own: one that fails takes no other with it. Nobody hears of success before
//! the commit. This thread also opens the database, so that nobody waits for that but in its turn.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::database::{Access, Database};
use super::file::Identity;
use super::queue::{Next, Queue};
use crate::store::StoreError;

/// At most so many jobs in one commit.
const GROUP: usize = 256;
/// How long to wait before the next try to open a database that could not be opened.
const RETRY: Duration = Duration::from_millis(250);

/// Something to write.
pub struct Job {
    /// What to do.
    pub run: Writing,
    /// Hears what came of it.
    pub reply: oneshot::Sender<Result<(), StoreError>>,
}

/// Writes something inside a transaction.
pub type Writing = Box<dyn FnMut(&Connection) -> rusqlite::Result<()> + Send>;

/// Opens the database, then writes until there is nothing more to write.
pub fn run(database: &Arc<Database>, jobs: &Queue<Job>) {
    loop {
        match database.open() {
            Ok((connection, identity)) => return serve(database, jobs, connection, &identity),
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
            // Who has gone away needs no answer.
            Next::Item(job) => drop(job.reply.send(Err(error.clone()))),
            Next::Nothing => return Refusing::TryAgain,
            Next::Closed => return Refusing::Over,
        }
    }
}

fn serve(database: &Database, jobs: &Queue<Job>, mut connection: Connection, identity: &Identity) {
    // After trouble, what the connection remembers of the file may be wrong.
    let mut stale = false;
    while let Next::Item(first) = jobs.next(None) {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Next::Item(job) = jobs.next(Some(Duration::ZERO))
        {
            group.push(job);
        }
        // The old one goes when the new one is there: the last to go would take the log away.
        if stale && let Ok(fresh) = database.connect(identity, Access::Write) {
            connection = fresh;
        }
        let written = catch_unwind(AssertUnwindSafe(|| {
            commit(database, identity, &mut connection, &mut group)
        }));
        let written = written.unwrap_or_else(|_| {
            Err(StoreError::Unusable(
                "writing broke off: see the log".to_owned(),
            ))
        });
        stale = match &written {
            Ok(outcomes) => outcomes
                .iter()
                .any(|outcome| spoils(outcome.as_ref().err())),
            Err(error) => stale || spoils(Some(error)),
        };
        match written {
            Ok(outcomes) => {
                for (job, outcome) in group.into_iter().zip(outcomes) {
                    let _ = job.reply.send(outcome);
                }
            }
            Err(error) => {
                for job in group {
                    let _ = job.reply.send(Err(error.clone()));
                }
            }
        }
    }
}

/// Whether this trouble is a reason to take another connection.
fn spoils(error: Option<&StoreError>) -> bool {
    match error {
        None | Some(StoreError::Busy(_)) => false,
        Some(StoreError::ReadOnly(_) | StoreError::Unusable(_)) => true,
    }
}

/// Writes a group in one transaction. An error means that nothing of it was written.
fn commit(
    database: &Database,
    identity: &Identity,
    connection: &mut Connection,
    group: &mut [Job],
) -> Result<Vec<Result<(), StoreError>>, StoreError> {
    let trouble = |error: rusqlite::Error| database.trouble(&error);
    identity.check()?;
    let mut transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(trouble)?;
    let mut outcomes = Vec::with_capacity(group.len());
    for job in group {
        let savepoint = transaction.savepoint().map_err(trouble)?;
        match (job.run)(&savepoint) {
            Ok(()) => {
                savepoint.commit().map_err(trouble)?;
                outcomes.push(Ok(()));
            }
            // SQLite has rolled everything back: a full disk, or one that fails.
            Err(error) if savepoint.is_autocommit() => return Err(trouble(error)),
            Err(error) => {
                savepoint.finish().map_err(trouble)?;
                outcomes.push(Err(trouble(error)));
            }
        }
    }
    // The last moment to notice that this would be written into the void.
    identity.check()?;
    transaction.commit().map_err(trouble)?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that makes the file larger by so many KiB.
    fn grow(kib: usize) -> (Job, oneshot::Receiver<Result<(), StoreError>>) {
        let (reply, answer) = oneshot::channel();
        let run: Writing = Box::new(move |connection| {
            let sql = "INSERT INTO change (kind, name) VALUES ('everything', ?1)";
            connection.execute(sql, ["x".repeat(kib * 1024)])?;
            Ok(())
        });
        (Job { run, reply }, answer)
    }

    fn grown(connection: &Connection) -> u32 {
        let sql = "SELECT count(*) FROM change";
        connection.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn without_space_a_whole_group_fails_and_the_next_one_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::new(&directory.path().join("outgate.db"));
        let (mut connection, identity) = database.open().unwrap();
        connection
            .pragma_update(None, "max_page_count", 60)
            .unwrap();
        let mut group = [grow(1).0, grow(1000).0, grow(1).0];
        let full = commit(&database, &identity, &mut connection, &mut group);
        assert!(matches!(full, Err(StoreError::ReadOnly(_))), "{full:?}");
        assert_eq!(grown(&connection), 0);
        connection
            .pragma_update(None, "max_page_count", 600)
            .unwrap();
        let written = commit(&database, &identity, &mut connection, &mut group);
        assert_eq!(written, Ok(vec![Ok(()); 3]));
        assert_eq!(grown(&connection), 3);
    }

    #[test]
    fn a_job_that_panics_fails_and_the_writer_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let database = Arc::new(Database::new(&directory.path().join("outgate.db")));
        let jobs = Queue::new(10);
        let (reply, broken) = oneshot::channel();
        let run: Writing = Box::new(|_| panic!("as a test"));
        assert_eq!(jobs.push(Job { run, reply }), Ok(()));
        let broken = std::thread::scope(|scope| {
            scope.spawn(|| super::run(&database, &jobs));
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
