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

/// The decision log: "oglg".
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
    /// A file system on which processes cannot share memory.
    #[error(
        "cannot be kept in WAL mode on this file system (SQLite stays in {0:?}): put it on a local disk"
    )]
    NoSharedMemory(String),
    /// What SQLite says.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

/// Brings the database to the newest version, step by step, each in one transaction. Costs
/// nothing when it is there already, and writes nothing then.
pub fn migrate(connection: &mut Connection, schema: &Schema) -> Result<(), SchemaError> {
    let mut version = version(connection, schema)?;
    while version < schema.steps.len() {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Another process may have been faster.
        version = recognise(&transaction, schema)?;
        if let Some(step) = schema.steps.get(version) {
            transaction.execute_batch(step)?;
            transaction.pragma_update(None, "application_id", schema.application_id)?;
            version += 1;
            transaction.pragma_update(None, "user_version", version as u32)?;
        }
        transaction.commit()?;
    }
    Ok(())
}

/// The version of the schema; 0 for an empty file. Anything that is not ours is an error.
pub fn version(connection: &Connection, schema: &Schema) -> Result<usize, SchemaError> {
    // One view of all marks: another process may be making the tables right now.
    recognise(&*connection.unchecked_transaction()?, schema)
}

/// Writes the version once more: a page, and nothing new in it.
pub fn touch(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    connection.pragma_update(None, "user_version", version)
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
    fn users_of_an_earlier_version_stay_what_they_are() {
        let mut connection = Connection::open_in_memory().unwrap();
        for step in &STATE.steps[..2] {
            connection.execute_batch(step).unwrap();
        }
        let id = STATE.application_id;
        let marks = format!("PRAGMA application_id = {id}; PRAGMA user_version = 2");
        let user = "INSERT INTO user VALUES (1, x'018f2f3e000070008000000000000001', 'shop', \
            'default', 'active', 'default', '[]', '[]', 'both', 'audit', NULL, 1, '[]', '[]', '', \
            '', 0, 0, NULL, NULL)";
        connection
            .execute_batch(&format!("{marks}; {user}"))
            .unwrap();
        migrate(&mut connection, &STATE).unwrap();
        let stored = "SELECT name, enforce, enforce_until FROM user";
        let stored: (String, String, Option<i64>) = connection
            .query_row(stored, [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(stored, ("shop".to_owned(), "audit".to_owned(), None));
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
            Ok(()) => panic!("taken for ours"),
        }
    }
}
