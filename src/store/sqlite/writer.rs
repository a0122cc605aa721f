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
        match jobs.next(Some(database.left_until(again))) {
            // Who has gone away needs no answer.
            Next::Item(job) => drop(job.reply.send(Err(error.clone()))),
            Next::Nothing => return Refusing::TryAgain,
            Next::Closed => return Refusing::Over,
        }
    }
}

fn serve(database: &Database, jobs: &Queue<Job>, mut connection: Connection, identity: &Identity) {
    while let Next::Item(first) = jobs.next(None) {
        let mut group = vec![first];
        while group.len() < GROUP
            && let Next::Item(job) = jobs.next(Some(Duration::ZERO))
        {
            group.push(job);
        }
        let written = catch_unwind(AssertUnwindSafe(|| {
            commit(database, identity, &mut connection, &mut group)
        }));
        let written = written.unwrap_or_else(|_| {
            Err(StoreError::Unusable(
                "writing broke off: see the log".to_owned(),
            ))
        });
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
                renew(database, identity, &mut connection, &error);
            }
        }
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

/// Takes another connection after trouble with this one: what it remembers of the file may be
/// wrong, or the file could not be written when it was opened. The old one goes when the new one
/// is there: the last connection to close would take the log away.
fn renew(
    database: &Database,
    identity: &Identity,
    connection: &mut Connection,
    error: &StoreError,
) {
    match error {
        StoreError::Busy(_) => {}
        StoreError::ReadOnly(_) | StoreError::Unusable(_) => {
            if let Ok(fresh) = database.connect(identity, Access::Write) {
                *connection = fresh;
            }
        }
    }
}
