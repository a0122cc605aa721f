//! Copies of a database in use: each one whole, whatever goes on meanwhile.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outgate::model::quota::{Counter, Window};
use outgate::model::user::UserRecord;
use outgate::store::backup::{BackupError, Copied, Progress};
use outgate::store::{Charged, Store};
use rusqlite::Connection;

use crate::file::{open, place};
use crate::ledger::{EARLY, folding};
use crate::sample::*;
use crate::small_disk::SmallDisk;

/// More than one step of a copy.
const CROWD: usize = 2000;

fn crowd(store: &Arc<dyn Store>) {
    let users: Vec<_> = (0..CROWD)
        .map(|number| {
            let mut record = user(&format!("user{number:06}"));
            record.note = "x".repeat(1000);
            record
        })
        .collect();
    put(store, &users.iter().collect::<Vec<_>>());
}

fn try_to_back_up(
    path: &Path,
    file: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    let url = format!("sqlite:{}", path.display()).parse().unwrap();
    outgate::store::back_up(&url, file, progress)
}

fn back_up(path: &Path, file: &Path, progress: &mut dyn FnMut(Progress)) {
    File::create_new(file).unwrap();
    let copied = try_to_back_up(path, file, progress).unwrap();
    assert_eq!(copied.bytes, file.metadata().unwrap().len());
}

/// What SQLite finds when it looks at everything.
fn integrity(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    let check = "PRAGMA integrity_check";
    connection.query_row(check, [], |row| row.get(0)).unwrap()
}

/// Charges of two counters, and changes of two users, each time both in one transaction.
struct Load {
    /// Charges that were begun, and that are done.
    begun: AtomicU64,
    done: AtomicU64,
    over: AtomicBool,
}

impl Load {
    async fn charge(&self, store: &Arc<dyn Store>, counters: &[Counter; 2]) {
        let dues = counters.each_ref().map(|counter| due(counter, 0, 0));
        while !self.over.load(Ordering::SeqCst) {
            let number = self.begun.fetch_add(1, Ordering::SeqCst);
            let charged = store.charge(charge(number, &dues)).await;
            assert_eq!(charged, Ok(Charged::Done));
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// One change a charge: nobody is to be starved.
    fn change(&self, store: &Arc<dyn Store>, mut users: [UserRecord; 2]) {
        let mut seen = 0;
        while !self.over.load(Ordering::SeqCst) {
            let done = self.done.load(Ordering::SeqCst);
            if done == seen {
                std::thread::yield_now();
                continue;
            }
            seen = done;
            users.iter_mut().for_each(|u| u.note = done.to_string());
            put(store, &users.each_ref());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_copies_under_load_are_whole_and_of_their_moment() {
    let (directory, path) = place();
    let store = folding(&path, EARLY);
    let users = [user("left"), user("right")];
    put(&store, &users.each_ref());
    crowd(&store);
    let of_user = counter(&subject(&users[0]), Window::Total);
    let counters = [of_user, counter(&shared("default"), Window::Total)];
    let load = Arc::new(Load {
        begun: AtomicU64::new(0),
        done: AtomicU64::new(0),
        over: AtomicBool::new(false),
    });
    let charging = tokio::spawn({
        let (load, store, counters) = (load.clone(), store.clone(), counters.clone());
        async move { load.charge(&store, &counters).await }
    });
    let changing = std::thread::spawn({
        let (load, store) = (load.clone(), store.clone());
        move || load.change(&store, users)
    });
    for number in 0..10 {
        let file = directory.path().join(format!("copy {number} ?#%ü.db"));
        let before = load.done.load(Ordering::SeqCst);
        let mut steps = Vec::new();
        back_up(&path, &file, &mut |_| {
            // The copy stands still, and the others go on.
            let begun = load.begun.load(Ordering::SeqCst);
            steps.push(begun);
            while load.done.load(Ordering::SeqCst) < begun && !charging.is_finished() {
                std::thread::yield_now();
            }
        });
        assert!(steps.len() > 1, "a single step");
        let copy = open(&file);
        for counter in &counters {
            let used = used(&copy, counter, 0).await;
            assert!(
                (before..=steps[0]).contains(&used),
                "{before}, {used}, {steps:?}"
            );
            assert_eq!(used, view(&copy, |t| t.used(&counters[0], at(0))));
        }
        let note = |text| view(&copy, |t| t.user_named(&name(text))).unwrap().note;
        assert_eq!(note("left"), note("right"));
        copy.close();
        assert_eq!(integrity(&file), "ok");
    }
    load.over.store(true, Ordering::SeqCst);
    charging.await.unwrap();
    changing.join().unwrap();
    assert!(load.done.load(Ordering::SeqCst) > 10);
}

#[test]
fn nothing_is_left_beside_a_copy() {
    let (directory, path) = place();
    let store = open(&path);
    put(&store, &[&rich_user("shop")]);
    let copies = directory.path().join("copies");
    std::fs::create_dir(&copies).unwrap();
    back_up(&path, &copies.join("copy.db"), &mut |_| ());
    let found = std::fs::read_dir(&copies).unwrap().count();
    assert_eq!(found, 1);
    let copy = open(&copies.join("copy.db"));
    let stored = |store: &Arc<dyn Store>| view(store, |t| t.user_named(&name("shop")));
    assert_eq!(stored(&copy), stored(&store));
}

#[test]
fn what_cannot_be_copied_is_an_error() {
    let (directory, path) = place();
    let _store = open(&path);
    let file = directory.path().join("missing/copy.db");
    let missing = try_to_back_up(&path, &file, &mut |_| ());
    assert!(matches!(missing, Err(BackupError::File(_))), "{missing:?}");
    std::fs::rename(&path, directory.path().join("away")).unwrap();
    let away = try_to_back_up(&path, &file, &mut |_| ());
    assert!(matches!(away, Err(BackupError::Store(_))), "{away:?}");
}

#[test]
fn a_disk_that_is_too_small_is_said_to_be_that_of_the_copy() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let (_directory, path) = place();
    let store = open(&path);
    crowd(&store);
    let file = disk.path().join("copy.db");
    File::create_new(&file).unwrap();
    let full = try_to_back_up(&path, &file, &mut |_| ());
    assert!(matches!(full, Err(BackupError::File(_))), "{full:?}");
    // And the store does not mind.
    put(&store, &[&user("more")]);
}

#[test]
fn what_an_older_outgate_has_made_is_copied_as_it_is() {
    let (directory, path) = place();
    open(&path).close();
    let version = |path: &Path| -> u32 {
        let connection = Connection::open(path).unwrap();
        connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap()
    };
    let now = version(&path);
    let older = Connection::open(&path).unwrap();
    older.pragma_update(None, "user_version", now - 1).unwrap();
    drop(older);
    let file = directory.path().join("copy.db");
    back_up(&path, &file, &mut |_| ());
    assert_eq!((version(&path), version(&file)), (now - 1, now - 1));
}
