//! Looking things up: threads with a connection each, which never wait for whoever writes.

use std::sync::Arc;
use std::time::Instant;

use rusqlite::Connection;

use super::database::{Access, Database};
use super::file::Identity;
use super::queue::{Next, Queue};
use crate::store::StoreError;

/// What is to be looked up, and where the answer goes.
pub struct Question {
    /// Until when it may wait for the database to be opened.
    pub deadline: Instant,
    /// What to do.
    pub run: LookUp,
}

/// Looks something up on a connection, or passes the trouble on.
pub type LookUp = Box<dyn FnOnce(Result<Reader<'_>, StoreError>) -> Fate + Send>;

/// A connection, and the files that it belongs to.
#[derive(Clone, Copy)]
pub struct Reader<'a> {
    /// Read-only.
    pub connection: &'a Connection,
    /// What was opened.
    pub identity: &'a Identity,
}

/// What becomes of the connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is good for the next question.
    Keep,
    /// What it remembers of the file may be wrong.
    Renew,
}

/// Answers questions until there are no more.
pub fn run(database: &Arc<Database>, questions: &Queue<Question>) {
    let mut open: Option<(Connection, Identity)> = None;
    while let Next::Item(question) = questions.next(None) {
        if open.is_none() {
            match connect(database, question.deadline) {
                Ok(fresh) => open = Some(fresh),
                Err(error) => {
                    (question.run)(Err(error));
                    continue;
                }
            }
        }
        let Some((connection, identity)) = &open else {
            continue;
        };
        let reader = Reader {
            connection,
            identity,
        };
        // A panic in one question must not end the thread that answers all others.
        let run = std::panic::AssertUnwindSafe(|| (question.run)(Ok(reader)));
        if std::panic::catch_unwind(run).unwrap_or(Fate::Renew) == Fate::Renew {
            open = None;
        }
    }
}

fn connect(database: &Database, deadline: Instant) -> Result<(Connection, Identity), StoreError> {
    let identity = database.wait(deadline)?;
    let connection = database.connect(&identity, Access::Read)?;
    Ok((connection, identity))
}
