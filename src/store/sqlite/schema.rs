//! The tables, and how a database of an earlier version gets them.

use rusqlite::{Connection, TransactionBehavior};
use thiserror::Error;

/// What a kind of file holds.
pub struct Schema {
    /// Marks a file as of this kind (`PRAGMA application_id`).
    application_id: i32,
    /// One step a version: the first makes version 1. A step that was ever released never changes.
    steps: &'static [&'static str],
}

/// The state of a host: "ogdb".
pub const STATE: Schema = Schema {
    application_id: 0x6f67_6462,
    steps: &[
        include_str!("schema-1.sql"),
        include_str!("schema-2.sql"),
        include_str!("schema-3.sql"),
    ],
};

/// The decision log: "oglg". Readers take what is there: once there is a second step, they have to look at the
/// version first.
pub const LOG: Schema = Schema {
    application_id: 0x6f67_6c67,
    steps: &[include_str!("log/schema-1.sql")],
};

/// Why a database is not used.
#[derive(Debug, Error)]
pub enum SchemaError {
    /// Written by a newer outgate.
    #[error(
        "has schema version {found}, and this outgate knows versions up to {known}: use the newer outgate, or a copy from before"
    )]
    Newer {
        /// Its version.
        found: usize,
        /// The newest that this program knows.
        known: usize,
    },
    /// A database of another program.
    #[error(
        "is a database, but not one of outgate: name another file in [store] url, or move it away"
    )]
    Foreign,
    /// A step to a newer version failed, and with it all of them.
    #[error("cannot be brought from schema version {found} to {known}: {error}")]
    Step {
        /// Its version, before and now.
        found: usize,
        /// The newest that this program knows.
        known: usize,
        /// What SQLite says.
        error: rusqlite::Error,
    },
    /// A file system on which processes cannot share memory.
    #[error(
        "cannot be kept in WAL mode on this file system (SQLite stays in {0:?}): put it on a local disk"
    )]
    NoSharedMemory(String),
    /// What SQLite says.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

impl Schema {
    /// The newest version, which is the one that this program works with.
    pub fn newest(&self) -> usize {
        self.steps.len()
    }
}

/// Brings the database to the newest version, all steps in one transaction: a failure leaves it as it was, and
/// usable by the program that wrote it. Costs nothing when it is there already, and writes nothing then. The
/// version that it had.
pub fn migrate(connection: &mut Connection, schema: &Schema) -> Result<usize, SchemaError> {
    let (found, known) = (version(connection, schema)?, schema.newest());
    if found == known {
        return Ok(found);
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Another process may have been faster.
    let found = recognise(&transaction, schema)?;
    let take = || {
        for step in schema.steps.iter().skip(found) {
            transaction.execute_batch(step)?;
        }
        transaction.pragma_update(None, "application_id", schema.application_id)?;
        transaction.pragma_update(None, "user_version", known as u32)
    };
    let failed = |error| SchemaError::Step {
        found,
        known,
        error,
    };
    take().map_err(failed)?;
    transaction.commit().map_err(failed)?;
    Ok(found)
}

/// The version as it is marked, of a database that was recognised before.
pub fn marked(connection: &Connection) -> rusqlite::Result<i64> {
    let mut statement = connection.prepare_cached("PRAGMA user_version")?;
    statement.query_row([], |row| row.get(0))
}

/// The version of the schema; 0 for an empty file. Anything that is not ours is an error.
pub fn version(connection: &Connection, schema: &Schema) -> Result<usize, SchemaError> {
    // One view of all marks: another process may be making the tables right now.
    recognise(&*connection.unchecked_transaction()?, schema)
}

/// Writes the version once more: a page, and nothing new in it.
pub fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", marked(connection)?)
}

/// Like [`version`], inside a transaction.
fn recognise(connection: &Connection, schema: &Schema) -> Result<usize, SchemaError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get(0));
    let application: i64 = number("application_id")?;
    let version: i64 = number("user_version")?;
    let known = schema.steps.len();
    if application == i64::from(schema.application_id) {
        return match usize::try_from(version) {
            Ok(found) if found <= known => Ok(found),
            Ok(found) => Err(SchemaError::Newer { found, known }),
            Err(_) => Err(SchemaError::Foreign),
        };
    }
    let empty = "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)";
    let empty: bool = connection.query_row(empty, [], |row| row.get(0))?;
    if application == 0 && version == 0 && empty {
        Ok(0)
    } else {
        Err(SchemaError::Foreign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_taken_once() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STATE).unwrap();
        assert_eq!(recognise(&connection, &STATE).unwrap(), STATE.steps.len());
        migrate(&mut connection, &STATE).unwrap();
        let accounts = "SELECT count(*) FROM account";
        let accounts: u32 = connection
            .query_row(accounts, [], |row| row.get(0))
            .unwrap();
        assert_eq!(accounts, 1);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let cases = [
            "CREATE TABLE t (a)",
            "PRAGMA user_version = 1",
            "PRAGMA application_id = 7",
            "PRAGMA application_id = 0x6f676462; PRAGMA user_version = -1",
        ];
        for sql in cases {
            let mut connection = Connection::open_in_memory().unwrap();
            connection.execute_batch(sql).unwrap();
            let refused = migrate(&mut connection, &STATE);
            assert!(matches!(refused, Err(SchemaError::Foreign)), "{sql}");
        }
    }

    #[test]
    fn a_newer_schema_is_refused() {
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, &STATE).unwrap();
        let newer = STATE.steps.len() + 1;
        let set = format!("PRAGMA user_version = {newer}");
        connection.execute_batch(&set).unwrap();
        match migrate(&mut connection, &STATE) {
            Err(SchemaError::Newer { found, known }) => {
                assert_eq!((found, known), (newer, newer - 1));
            }
            Err(other) => panic!("{other}"),
            Ok(_) => panic!("taken for ours"),
        }
    }
}
