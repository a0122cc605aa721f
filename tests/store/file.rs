//! What can happen to a database file: in use, full, damaged, moved away, of somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate::model::user::UserRecord;
use outgate::store::sqlite::SqliteStore;
use outgate::store::{Change, Credential, ManageError, Store, StoreError, Use};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sample::*;
use crate::small_disk::SmallDisk;

pub fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("outgate.db");
    (directory, path)
}

pub fn open(path: &Path) -> Arc<dyn Store> {
    Arc::new(SqliteStore::open(path).unwrap())
}

fn refusal(path: &Path) -> String {
    match SqliteStore::open(path) {
        Err(error @ (StoreError::Unusable(_) | StoreError::Mismatch(_))) => error.to_string(),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("{} was taken", path.display()),
    }
}

pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

fn used(record: &UserRecord, second: i64) -> Use {
    Use {
        user: record.user.id,
        at: at(second),
        network: Some("192.0.2.1/32".parse().unwrap()),
    }
}

/// Asks again until the answer is right; fails after ten seconds, the longest that recovery may take.
pub async fn recovers(ask: impl AsyncFn() -> bool) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let all = async {
        while !ask().await {
            look.tick().await;
        }
    };
    let in_time = tokio::time::timeout(Duration::from_secs(10), all).await;
    assert!(in_time.is_ok(), "it did not recover");
}

#[test]
fn what_is_not_an_outgate_database_is_refused_and_left_alone() {
    let (directory, _) = place();
    let foreign = directory.path().join("foreign.db");
    let sql = "CREATE TABLE note (text); INSERT INTO note VALUES ('mine')";
    Connection::open(&foreign)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
    let text = directory.path().join("text.db");
    fs::write(
        &text,
        "not a database, but long enough to be read as one. ".repeat(99),
    )
    .unwrap();
    for (path, why) in [(&foreign, "not one of outgate"), (&text, "no database")] {
        let before = fs::read(path).unwrap();
        let refused = refusal(path);
        assert!(refused.contains(why), "{refused}");
        assert!(refused.contains(path.to_str().unwrap()), "{refused}");
        assert_eq!(fs::read(path).unwrap(), before);
    }
    let refused = refusal(Path::new("/proc/no/such/place.db"));
    assert!(refused.contains("cannot be made"), "{refused}");
    let refused = refusal(directory.path());
    assert!(refused.contains("unable to open"), "{refused}");
}

#[test]
fn a_newer_schema_is_refused() {
    let (_directory, path) = place();
    drop(open(&path));
    let newer = Connection::open(&path).unwrap();
    newer.execute_batch("PRAGMA user_version = 4711").unwrap();
    drop(newer);
    let refused = refusal(&path);
    assert!(refused.contains("schema version 4711"), "{refused}");
}

#[test]
fn an_empty_file_is_a_new_database() {
    let (_directory, path) = place();
    fs::write(&path, "").unwrap();
    assert_eq!(view(&open(&path), |t| t.accounts()).len(), 1);
}

#[test]
fn files_are_private_and_belong_to_the_owner_of_their_directory() {
    // Of the whole process; no other test minds.
    rustix::process::umask(rustix::fs::Mode::empty());
    let (directory, _) = place();
    let mut owner = rustix::process::geteuid().as_raw();
    if owner == 0 {
        owner = 65534;
        chown(directory.path(), Some(owner), Some(owner)).unwrap();
    }
    let path = directory.path().join("a/b/outgate.db");
    let store = open(&path);
    put(&store, &[&user("shop")]);
    let expected = [
        (path.clone(), 0o600),
        (beside(&path, "-wal"), 0o600),
        (beside(&path, "-shm"), 0o600),
        (directory.path().join("a/b"), 0o700),
        (directory.path().join("a"), 0o700),
    ];
    for (file, mode) in expected {
        let found = fs::metadata(&file).unwrap();
        let name = file.display();
        assert_eq!(found.permissions().mode() & 0o7777, mode, "{name}");
        assert_eq!(found.uid(), owner, "{name}");
    }
}

#[test]
fn many_can_open_a_new_database_at_once() {
    let (_directory, path) = place();
    std::thread::scope(|scope| {
        let openings: Vec<_> = (0..8)
            .map(|n| {
                let path = &path;
                scope.spawn(move || put(&open(path), &[&user(&format!("u{n}"))]))
            })
            .collect();
        openings.into_iter().for_each(|one| one.join().unwrap());
    });
    let size = view(&open(&path), |t| t.account_size(&name("default")));
    assert_eq!(size, (8, 0));
}

#[tokio::test]
async fn while_somebody_writes_reads_go_on_and_writes_are_busy() {
    let (_directory, path) = place();
    let store = open(&path);
    let record = user("shop");
    put(&store, &[&record]);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let command = store.clone();
    let transaction =
        std::thread::spawn(move || transact(&command, |t| t.put_account(&account("acme"))));
    let written = store.record_uses(vec![used(&record, 1)]).await;
    assert!(matches!(written, Err(StoreError::Busy(_))), "{written:?}");
    let refused = transaction.join().unwrap();
    assert!(
        matches!(refused, Err(ManageError::Store(StoreError::Busy(_)))),
        "{refused:?}"
    );
    assert!(store.user(&login("shop")).await.unwrap().is_some());
    assert!(store.changes(0).await.is_ok());
    other.execute_batch("COMMIT").unwrap();
    assert_eq!(store.record_uses(vec![used(&record, 1)]).await, Ok(()));
    put(&store, &[&user("second")]);
}

#[tokio::test]
async fn a_locked_database_is_waited_for_behind_a_start_that_does_not_block() {
    let (_directory, path) = place();
    put(&open(&path), &[&user("shop")]);
    let other = Connection::open(&path).unwrap();
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT";
    other.execute_batch(lock).unwrap();
    let store = SqliteStore::start(&path).unwrap();
    let shop = login("shop");
    let asked = store.user(&shop).await;
    assert!(matches!(asked, Err(StoreError::Busy(_))), "{asked:?}");
    drop(other);
    recovers(async || matches!(store.user(&shop).await, Ok(Some(_)))).await;
    let record = store.user(&shop).await.unwrap().unwrap();
    let uses = vec![Use {
        user: record.id,
        at: at(3),
        network: None,
    }];
    assert_eq!(store.record_uses(uses).await, Ok(()));
}

#[tokio::test]
async fn a_command_waits_for_a_database_that_is_free_soon() {
    let (_directory, path) = place();
    drop(open(&path));
    let other = Connection::open(&path).unwrap();
    let lock = "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; COMMIT";
    other.execute_batch(lock).unwrap();
    let begun = started();
    assert!(matches!(
        SqliteStore::open(&path).map(drop),
        Err(StoreError::Busy(_))
    ));
    let took = begun.elapsed();
    assert!(took >= Duration::from_secs(4), "gave up after {took:?}");
    let opening = std::thread::spawn(move || SqliteStore::open(&path).map(drop));
    drop(other);
    assert_eq!(opening.join().unwrap(), Ok(()));
}

#[expect(clippy::disallowed_methods, reason = "measures the real patience")]
pub fn started() -> Instant {
    Instant::now()
}

#[tokio::test]
async fn a_database_moved_away_is_trouble_until_it_is_back() {
    let (directory, path) = place();
    let store = open(&path);
    let record = user("shop");
    put(&store, &[&record]);
    for suffix in ["", "-wal", "-shm"] {
        let place = beside(&path, suffix);
        let away = directory.path().join("away");
        fs::rename(&place, &away).unwrap();
        all_is_trouble(&store, &record, "was removed").await;
        assert!(!place.exists(), "written into the void: {suffix}");
        fs::copy(&away, &place).unwrap();
        all_is_trouble(&store, &record, "was replaced").await;
        fs::rename(&away, &place).unwrap();
        assert!(store.changes(0).await.is_ok());
        assert_eq!(store.record_uses(vec![used(&record, 2)]).await, Ok(()));
        put(&store, &[&record]);
    }
}

async fn all_is_trouble(store: &Arc<dyn Store>, record: &UserRecord, why: &str) {
    let watched = store.changes(0).await.map(|_| ());
    let written = store.record_uses(vec![used(record, 1)]).await;
    let changed = store
        .transact(&mut |t| Ok(t.put_user(record, None)?))
        .map_err(|error| match error {
            ManageError::Store(error) => error,
            ManageError::Refused { error, .. } => panic!("{error}"),
        });
    for answer in [watched, written, changed] {
        match answer {
            Err(StoreError::Unusable(text)) => assert!(text.contains(why), "{text}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_replaced_database_keeps_what_its_new_owner_wrote() {
    let (directory, path) = place();
    let store = open(&path);
    put(&store, &[&user("old")]);
    for suffix in ["", "-wal", "-shm"] {
        let away = directory.path().join(format!("away{suffix}"));
        fs::rename(beside(&path, suffix), away).unwrap();
    }
    let restored = open(&path);
    put(&restored, &[&user("new")]);
    assert!(store.changes(0).await.is_err());
    // Ending must not take away the log of the file that is there now.
    store.close();
    assert!(beside(&path, "-wal").exists());
    assert!(restored.user(&login("new")).await.unwrap().is_some());
    drop(restored);
    let again = open(&path);
    assert!(again.user(&login("new")).await.unwrap().is_some());
    assert_eq!(again.user(&login("old")).await, Ok(None));
}

#[tokio::test]
async fn damage_is_an_error_and_never_an_answer() {
    let (_directory, path) = place();
    let users: Vec<UserRecord> = (0..2000).map(|n| user(&format!("user-{n}"))).collect();
    let store = open(&path);
    put(&store, &users.iter().collect::<Vec<_>>());
    drop(store);
    let good = fs::read(&path).unwrap();
    let mut bad = good.clone();
    // Every eighth page but those of the schema is wiped out.
    for page in (16..bad.len() / 4096).step_by(8) {
        bad[page * 4096..(page + 1) * 4096].fill(0);
    }
    fs::write(&path, &bad).unwrap();
    let store = open(&path);
    let mut damaged = 0;
    for record in &users {
        match store.user(&record.user.name.to_login()).await {
            Ok(found) => assert_eq!(found.as_ref(), Some(&record.user)),
            Err(StoreError::Unusable(text)) => {
                assert!(text.contains("damaged"), "{text}");
                damaged += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!((1..2000).contains(&damaged), "{damaged}");
    // Mended in place: no restart is needed.
    fs::write(&path, &good).unwrap();
    let all = async || {
        for record in &users {
            if store.user(&record.user.name.to_login()).await != Ok(Some(record.user.clone())) {
                return false;
            }
        }
        true
    };
    recovers(all).await;
}

#[tokio::test]
async fn a_job_that_fails_takes_no_other_with_it() {
    let (_directory, path) = place();
    let store = open(&path);
    let users: Vec<UserRecord> = (0..500).map(|n| user(&format!("user-{n}"))).collect();
    put(&store, &users.iter().collect::<Vec<_>>());
    // No integer of SQL: the store cannot write that.
    let impossible = Credential {
        hash: "$hash$".to_owned(),
        version: u64::MAX,
    };
    let mut jobs = Vec::new();
    for (n, record) in users.iter().enumerate() {
        jobs.push(store.record_uses(vec![used(record, 7)]));
        if n % 100 == 0 {
            jobs.push(store.rehash(record.user.id, impossible.clone(), String::new()));
        }
    }
    let outcomes = futures_util::future::join_all(jobs).await;
    assert_eq!(outcomes.iter().filter(|one| one.is_ok()).count(), 500);
    assert_eq!(outcomes.iter().filter(|one| one.is_err()).count(), 5);
    for record in &users {
        let stored = view(&store, |t| t.user_with_id(record.user.id)).unwrap();
        assert_eq!(stored.last_used_at, Some(at(7)));
    }
}

#[tokio::test]
async fn closing_finishes_what_was_handed_over() {
    let (_directory, path) = place();
    let store = open(&path);
    let users: Vec<UserRecord> = (0..300).map(|n| user(&format!("user-{n}"))).collect();
    put(&store, &users.iter().collect::<Vec<_>>());
    let jobs = users
        .iter()
        .map(|record| store.record_uses(vec![used(record, 9)]));
    let closing = store.clone();
    let (outcomes, ()) = futures_util::future::join(futures_util::future::join_all(jobs), async {
        // Polled after the jobs: they are in the queue now.
        closing.close();
    })
    .await;
    assert!(outcomes.iter().all(Result::is_ok));
    assert!(!beside(&path, "-wal").exists(), "the log is in the file");
    let late = store.user(&login("user-0")).await;
    assert!(matches!(late, Err(StoreError::Unusable(_))), "{late:?}");
    assert!(store.view(&mut |_| Ok(())).is_err());
    let again = open(&path);
    for record in &users {
        let stored = view(&again, |t| t.user_with_id(record.user.id)).unwrap();
        assert_eq!(stored.last_used_at, Some(at(9)));
    }
}

#[tokio::test]
async fn on_a_full_disk_reads_go_on_and_writes_return_with_the_space() {
    // The writer's own test covers this error where nothing can be mounted.
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let path = disk.path().join("outgate.db");
    let store = open(&path);
    let record = user("shop");
    put(&store, &[&record]);
    let ballast = disk.path().join("ballast");
    // Fails when the disk is full, as it should.
    fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    let mut big = rich_user("big");
    big.note = "x".repeat(100_000);
    let refused = transact(&store, |t| t.put_user(&big, None));
    assert!(
        matches!(refused, Err(ManageError::Store(StoreError::ReadOnly(_)))),
        "{refused:?}"
    );
    let full = async || {
        let written = store.record_uses(vec![used(&record, 1)]).await;
        matches!(written, Err(StoreError::ReadOnly(_)))
    };
    recovers(full).await;
    let found = store.user(&login("shop")).await;
    assert_eq!(found, Ok(Some(record.user.clone())));
    fs::remove_file(&ballast).unwrap();
    assert_eq!(store.record_uses(vec![used(&record, 2)]).await, Ok(()));
    let start = store.changes(u64::MAX).await.unwrap().last;
    put(&store, &[&big]);
    let changes = store.changes(start).await.unwrap().changes;
    assert_eq!(changes[0], Change::Login(login("big")));
    drop(store);
}

#[tokio::test]
async fn a_database_that_may_not_be_written_is_used_as_soon_as_it_may() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let path = disk.path().join("outgate.db");
    put(&open(&path), &[&user("shop")]);
    disk.remount("remount,ro");
    let store = SqliteStore::start(&path).unwrap();
    let shop = login("shop");
    let asked = store.user(&shop).await;
    assert!(matches!(asked, Err(StoreError::ReadOnly(_))), "{asked:?}");
    let refused = SqliteStore::open(&path).map(drop);
    assert!(
        matches!(refused, Err(StoreError::ReadOnly(_))),
        "{refused:?}"
    );
    disk.remount("remount,rw");
    recovers(async || matches!(store.user(&shop).await, Ok(Some(_)))).await;
    drop(store);
}
