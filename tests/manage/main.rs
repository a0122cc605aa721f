//! What operators can do, tried on every store: the memory and a SQLite file.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that meets what it does not expect has failed"
)]

mod account;
mod audit;
mod domain;
mod export;
mod grants;
mod import;
mod quota;
mod user;

use std::fmt::Debug;
use std::sync::Arc;

use jiff::Timestamp;
use outgate::manage::edit::{Amendment, Settings};
use outgate::manage::{self, Done, ManageError, domain::Terms};
use outgate::model::user::{DomainRecord, UserRecord};
use outgate::store::Store;
use outgate::store::memory::MemoryStore;
use outgate::store::sqlite::SqliteStore;

/// Any hash will do where nobody logs in.
const HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo";

/// Runs a story on a fresh store of each kind.
fn on_every_store(story: impl Fn(&dyn Store)) {
    story(&MemoryStore::new());
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&directory.path().join("outgate.db")).unwrap();
    story(&store);
    store.close();
}

/// A store for stories that need only one.
fn in_memory() -> Arc<dyn Store> {
    Arc::new(MemoryStore::new())
}

/// The time in these stories; `day` counts from 1.
fn day(day: i8) -> Timestamp {
    format!("2026-03-{day:02}T12:00:00Z").parse().unwrap()
}

/// The sentence and the hint of a refusal.
fn refusal<T: Debug>(result: Result<T, ManageError>) -> (String, String) {
    match result {
        Err(ManageError::Refused { error, hint }) => (error, hint),
        other => panic!("not refused: {other:?}"),
    }
}

/// Checks that it is refused with a sentence and a hint that contain these words.
#[track_caller]
fn refused<T: Debug>(result: Result<T, ManageError>, error: &str, hint: &str) {
    let (said, advised) = refusal(result);
    assert!(said.contains(error), "{said:?} lacks {error:?}");
    assert!(advised.contains(hint), "{advised:?} lacks {hint:?}");
}

fn texts(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn strings<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn account(store: &dyn Store, name: &str) {
    manage::account::add(store, name, None, &[], day(1)).unwrap();
}

fn trusted(store: &dyn Store, domain: &str, account: &str) -> DomainRecord {
    let terms = Terms {
        trusted: true,
        with_subdomains: false,
    };
    manage::domain::add(store, domain, Some(account), terms, day(1))
        .unwrap()
        .record
}

fn wide(store: &dyn Store, domain: &str, account: &str) {
    let terms = Terms {
        trusted: true,
        with_subdomains: true,
    };
    manage::domain::add(store, domain, Some(account), terms, day(1)).unwrap();
}

fn pending(store: &dyn Store, domain: &str, account: &str) -> DomainRecord {
    manage::domain::add(store, domain, Some(account), Terms::default(), day(1))
        .unwrap()
        .record
}

fn add(
    store: &dyn Store,
    name: &str,
    settings: &Settings,
) -> Result<Done<UserRecord>, ManageError> {
    manage::user::add(store, name, settings, HASH, day(1))
}

fn set(
    store: &dyn Store,
    name: &str,
    amendment: &Amendment,
) -> Result<Done<UserRecord>, ManageError> {
    manage::user::set(store, name, amendment, day(2))
}

fn show(store: &dyn Store, name: &str) -> UserRecord {
    manage::user::show(store, name).unwrap().record
}

/// A user with nothing but grants.
fn granted(allow: &[&str]) -> Settings {
    Settings {
        allow: Some(texts(allow)),
        ..Settings::default()
    }
}
