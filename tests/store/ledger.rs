//! The ledger in its file: folding, restarts, trouble, and how it is when it is full.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use outgate::model::name::UserId;
use outgate::model::quota::{Counter, Subject, Window};
use outgate::store::sqlite::{SqliteStore, Upkeep};
use outgate::store::{Charged, Store, StoreError};
use rusqlite::Connection;
use uuid::Uuid;

use crate::conformance::Stand;
use crate::file::{beside, open, place, recovers, started};
use crate::sample::*;

/// Folds whatever is not among the last few rows.
pub const EARLY: Upkeep = Upkeep {
    keep: Duration::from_secs(600),
    most: 10,
    step: 3,
};

/// Folds everything.
const AT_ONCE: Upkeep = Upkeep {
    keep: Duration::ZERO,
    ..EARLY
};

pub fn folding(path: &Path, upkeep: Upkeep) -> Arc<dyn Store> {
    Arc::new(SqliteStore::start_folding(path, upkeep).unwrap())
}

pub fn folding_early() -> Stand {
    let (directory, path) = place();
    Stand {
        store: folding(&path, EARLY),
        another: Box::new(move || {
            let _keep = &directory;
            open(&path)
        }),
    }
}

/// How many rows the ledger, the table of counters and that of void rows have.
fn rows(path: &Path) -> (u32, u32, u32) {
    let count = "SELECT (SELECT count(*) FROM ledger), (SELECT count(*) FROM counter), \
        (SELECT count(*) FROM void)";
    let read = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let connection = Connection::open(path).unwrap();
    connection.query_row(count, [], read).unwrap()
}

async fn all_done(store: &Arc<dyn Store>, numbers: std::ops::Range<u64>, counters: &[&Counter]) {
    let dues: Vec<_> = counters.iter().map(|counter| due(counter, 0, 0)).collect();
    let charges = numbers.map(|number| store.charge(charge(number, &dues)));
    for charged in futures_util::future::join_all(charges).await {
        assert_eq!(charged, Ok(Charged::Done));
    }
}

#[tokio::test]
async fn rows_are_folded_and_all_is_known_as_before() {
    let (_directory, path) = place();
    let (shop, pool) = (subject(&user("shop")), shared("default"));
    let (daily, monthly) = (counter(&shop, Window::Day), counter(&pool, Window::Month));
    let store = folding(&path, AT_ONCE);
    all_done(&store, 0..50, &[&daily, &monthly]).await;
    // The newest row stays, so that its number does not come again.
    recovers(async || rows(&path) == (1, 2, 0)).await;
    assert_eq!(used(&store, &daily, 0).await, 50);
    assert_eq!(view(&store, |t| t.used(&daily, at(0))), 50);
    all_done(&store, 50..60, &[&daily]).await;
    recovers(async || rows(&path) == (1, 2, 0)).await;
    drop(store);
    let store = open(&path);
    assert_eq!(used(&store, &daily, 0).await, 60);
    assert_eq!(used(&store, &monthly, 0).await, 50);
    let over = store.charge(charge(99, &[due(&daily, 0, 60)])).await;
    assert_eq!(over, Ok(Charged::Over { due: 0, used: 60 }));
    let numbers = "SELECT max(number) FROM ledger";
    let newest: i64 = Connection::open(&path)
        .unwrap()
        .query_row(numbers, [], |row| row.get(0))
        .unwrap();
    assert_eq!(newest, 110);
}

#[tokio::test]
async fn young_rows_wait_and_a_long_ledger_does_not() {
    let (_directory, path) = place();
    let daily = counter(&subject(&user("shop")), Window::Day);
    let store = folding(&path, EARLY);
    all_done(&store, 0..200, &[&daily]).await;
    recovers(async || rows(&path) == (10, 1, 0)).await;
    let known = async |number| store.is_charged(message(number)).await.unwrap();
    assert!(known(199).await && known(190).await);
    assert!(!known(189).await, "gone with its row");
    drop(store);
    let store = folding(&path, EARLY);
    assert_eq!(store.is_charged(message(190)).await, Ok(true));
    let again = store.charge(charge(190, &[due(&daily, 0, 0)])).await;
    assert_eq!(again, Ok(Charged::Already), "also after a restart");
    assert_eq!(used(&store, &daily, 0).await, 200);
}

#[tokio::test]
async fn commands_fold_nothing() {
    let (_directory, path) = place();
    let daily = counter(&subject(&user("shop")), Window::Day);
    let store = open(&path);
    all_done(&store, 0..50, &[&daily]).await;
    drop(store);
    assert_eq!(rows(&path), (50, 0, 0));
}

#[tokio::test]
async fn rows_of_earlier_windows_and_void_ones_are_worth_nothing_when_folded() {
    let (_directory, path) = place();
    let (shop, other) = (subject(&user("shop")), subject(&user("other")));
    let (daily, theirs) = (counter(&shop, Window::Day), counter(&other, Window::Day));
    let store = open(&path);
    for (number, second) in [(0, 0), (1, 0), (2, 100), (3, 0), (4, 50)] {
        let dues = [due(&daily, second, 0), due(&theirs, second, 0)];
        let charged = store.charge(charge(number, &dues)).await;
        assert_eq!(charged, Ok(Charged::Done));
    }
    transact(&store, |t| t.reset(&shop, "root", at(0))).unwrap();
    all_done(&store, 5..6, &[&daily]).await;
    assert_eq!(rows(&path), (11, 0, 1));
    drop(store);
    let store = folding(&path, AT_ONCE);
    recovers(async || rows(&path).0 == 1).await;
    all_done(&store, 6..7, &[&theirs]).await;
    recovers(async || rows(&path) == (1, 2, 0)).await;
    assert_eq!(used(&store, &daily, 0).await, 1);
    assert_eq!(used(&store, &theirs, 100).await, 4);
    assert_eq!(view(&store, |t| t.used(&theirs, at(100))), 4);
}

#[tokio::test]
async fn many_subjects_are_seen_in_one_view() {
    let (_directory, path) = place();
    let store = open(&path);
    let subjects: Vec<Subject> = (0..20).map(|_| Subject::User(UserId::new())).collect();
    let counters: Vec<Counter> = subjects.iter().map(|s| counter(s, Window::Total)).collect();
    for (number, counter) in counters.iter().enumerate() {
        let first = number as u64 * 100;
        all_done(&store, first..first + number as u64, &[counter]).await;
    }
    transact(&store, |t| {
        for (number, counter) in counters.iter().enumerate() {
            assert_eq!(t.used(counter, at(0))?, number as u64);
        }
        assert_eq!(t.reset(&subjects[7], "root", at(0))?, 1);
        assert_eq!(t.used(&counters[7], at(0))?, 0);
        assert_eq!(t.used(&counters[8], at(0))?, 8);
        Ok(())
    })
    .unwrap();
}

#[tokio::test]
async fn two_processes_charge_the_same_counters() {
    let (_directory, path) = place();
    let daily = counter(&subject(&user("shop")), Window::Day);
    // Three that make one file at once may find it locked.
    drop(open(&path));
    let stores = [folding(&path, EARLY), folding(&path, AT_ONCE), open(&path)];
    let send = async |number: u64| {
        let store = &stores[number as usize % 3];
        store.charge(charge(number, &[due(&daily, 0, 60)])).await
    };
    for number in 0..60 {
        assert_eq!(send(number).await, Ok(Charged::Done), "{number}");
    }
    for number in 60..66 {
        let over = Ok(Charged::Over { due: 0, used: 60 });
        assert_eq!(send(number).await, over);
    }
    assert_eq!(used(&stores[0], &daily, 0).await, 60);
}

#[tokio::test]
async fn a_locked_database_costs_nothing_but_time() {
    let (_directory, path) = place();
    let daily = counter(&subject(&user("shop")), Window::Day);
    let store = folding(&path, AT_ONCE);
    let send = |number, limit| store.charge(charge(number, &[due(&daily, 0, limit)]));
    assert_eq!(send(0, 2).await, Ok(Charged::Done));
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let busy = send(1, 2).await;
    assert!(matches!(busy, Err(StoreError::Busy(_))), "{busy:?}");
    assert_eq!(used(&store, &daily, 0).await, 1);
    assert_eq!(store.is_charged(message(1)).await, Ok(false));
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(send(1, 2).await, Ok(Charged::Done));
    assert_eq!(send(2, 2).await, Ok(Charged::Over { due: 0, used: 2 }));
}

#[tokio::test]
async fn what_came_back_is_read_anew() {
    let (directory, path) = place();
    let shop = subject(&user("shop"));
    let daily = counter(&shop, Window::Day);
    let store = folding(&path, EARLY);
    let send = |number| store.charge(charge(number, &[due(&daily, 0, 3)]));
    assert_eq!(send(0).await, Ok(Charged::Done));
    let away = directory.path().join("away");
    fs::rename(&path, &away).unwrap();
    let lost = send(1).await;
    assert!(matches!(lost, Err(StoreError::Unusable(_))), "{lost:?}");
    let asked = [(daily.clone(), at(0))];
    let unknown = store.used(&asked).await;
    assert!(
        matches!(unknown, Err(StoreError::Unusable(_))),
        "{unknown:?}"
    );
    fs::rename(&away, &path).unwrap();
    assert_eq!(send(1).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 0).await, 2);
    // Nobody says that it was as it was left.
    fs::rename(&path, &away).unwrap();
    assert!(send(2).await.is_err());
    fs::rename(&away, &path).unwrap();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("DELETE FROM ledger WHERE number = 1")
        .unwrap();
    assert_eq!(used(&store, &daily, 0).await, 1);
    assert_eq!(send(2).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 0).await, 2);
}

#[tokio::test]
async fn a_damaged_ledger_is_an_error_and_never_an_answer() {
    let (_directory, path) = place();
    let daily = counter(&subject(&user("shop")), Window::Day);
    drop(open(&path));
    for damage in [
        "INSERT INTO ledger VALUES (1, x'00', 4, 0, 1, 0, NULL)",
        "INSERT INTO ledger VALUES (1, x'00112233445566778899aabbccddeeff', 12, 0, 1, 0, NULL)",
        "INSERT INTO ledger VALUES (1, 'acme', 4, 0, -1, 0, NULL)",
        "INSERT INTO ledger VALUES (1, 'acme', 4, 0, 1, 0, x'00')",
    ] {
        let other = Connection::open(&path).unwrap();
        other.execute_batch(damage).unwrap();
        let store = folding(&path, EARLY);
        let charged = store.charge(charge(1, &[due(&daily, 0, 0)])).await;
        assert!(
            matches!(charged, Err(StoreError::Unusable(_))),
            "{damage}: {charged:?}"
        );
        assert!(
            store.used(&[(daily.clone(), at(0))]).await.is_err(),
            "{damage}"
        );
        assert!(store.is_charged(message(1)).await.is_err(), "{damage}");
        other.execute_batch("DELETE FROM ledger").unwrap();
        let charged = store.charge(charge(1, &[due(&daily, 0, 0)])).await;
        assert_eq!(charged, Ok(Charged::Done), "mended: {damage}");
        drop(store);
        other.execute_batch("DELETE FROM ledger").unwrap();
    }
    // Let through to the end by the file's last owner.
    assert!(!beside(&path, "-journal").exists());
}

/// Users with one row each in the ledger.
fn fill(path: &Path, users: u32) {
    drop(open(path));
    let connection = Connection::open(path).unwrap();
    let sql = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {users}) \
         INSERT INTO ledger SELECT i, unhex(printf('%032x', (i * 7919) % 1000003)), 4, 0, 1, 0, \
         unhex(printf('%032x', i)) FROM n"
    );
    connection.execute_batch(&sql).unwrap();
}

#[expect(clippy::print_stderr, reason = "the figures are what is asked for")]
async fn a_ledger_of_so_many_users_is_known_within(users: u32, bound: Duration) -> Duration {
    let (_directory, path) = place();
    fill(&path, users);
    let last = Subject::User(UserId(Uuid::from_u128(
        u128::from(users) * 7919 % 1_000_003,
    )));
    let daily = counter(&last, Window::Day);
    let begun = started();
    let store: Arc<dyn Store> = Arc::new(SqliteStore::start(&path).unwrap());
    let asked = [(daily.clone(), "1970-01-01T00:00:00Z".parse().unwrap())];
    let other = store.user(&login("nobody")).await;
    let question = begun.elapsed();
    assert_eq!(other, Ok(None));
    assert_eq!(amounts(&store, &asked).await, [1]);
    let took = begun.elapsed();
    assert!(took < bound, "{took:?}");
    eprintln!("{users} users: another question after {question:?}, uses after {took:?}");
    let mut first = charge(0, &[due(&daily, 0, 1)]);
    first.key.0 = u128::from(users).to_be_bytes();
    assert_eq!(store.charge(first).await, Ok(Charged::Already));
    took
}

#[tokio::test]
async fn a_ledger_is_read_at_the_start() {
    a_ledger_of_so_many_users_is_known_within(10_000, Duration::from_secs(5)).await;
}

#[tokio::test]
#[ignore = "a full ledger; the bound is that of an optimised build"]
async fn a_full_ledger_is_read_within_a_second() {
    let bound = Duration::from_secs(1);
    a_ledger_of_so_many_users_is_known_within(1_000_000, bound).await;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    for line in status
        .lines()
        .filter(|line| line.starts_with("VmRSS") || line.starts_with("VmHWM"))
    {
        eprintln!("{line}");
    }
}
