//! What the store of a running daemon says has been used: read from its file, as a command does.
//!
//! For the tests that run the daemon as a process. Only quotas of the window `total` are of
//! interest: no test may fail because an hour ended.

use std::path::Path;

use jiff::Timestamp;
use outgate::model::name::Name;
use outgate::model::quota::{Counter, Subject, Unit, Window};
use outgate::store::Store;
use outgate::store::sqlite::SqliteStore;

/// What a user, or `account:NAME`, has used in `total`.
#[track_caller]
pub fn used(database: &Path, subject: &str, unit: Unit) -> u64 {
    let store = SqliteStore::open(database).unwrap();
    let mut used = 0;
    let read = store.view(&mut |t| {
        let subject = match subject.strip_prefix("account:") {
            Some(account) => Subject::Account(Name::parse(account).unwrap()),
            None => {
                let record = t.user_named(&Name::parse(subject).unwrap())?;
                Subject::User(record.unwrap().user.id)
            }
        };
        let counter = Counter {
            subject,
            window: Window::Total,
            unit,
        };
        used = t.used(&counter, Timestamp::UNIX_EPOCH)?;
        Ok(())
    });
    read.unwrap();
    used
}
