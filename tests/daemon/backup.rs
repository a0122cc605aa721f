//! A backup of the store of a running daemon, and its way back: stop, copy, start.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use outgate::model::quota::Unit::Messages;
use rusqlite::Connection;

use crate::counters::used;
use crate::site::Site;
use crate::submission::Policy;

/// Everything that an operator sees, but for what changes by itself.
fn state(site: &Site) -> String {
    ["account", "domain"]
        .map(|noun| site.done(&["--json", noun, "list"]))
        .concat()
}

#[test]
fn a_restored_copy_has_the_users_and_what_they_have_used() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    site.done(&["user", "set", "shop", "--quota", "5/total"]);
    let mut policy = Policy::connect(&site).unwrap();
    for message in 0..3 {
        let answer = policy.data("shop", &format!("1.{message}")).unwrap();
        assert_eq!(answer, "DUNNO");
    }
    let file = site.path("copy.db");
    site.done(&["backup", file.to_str().unwrap()]);
    let before = state(&site);

    // What comes later is not in it.
    assert_eq!(policy.data("shop", "2.0").unwrap(), "DUNNO");
    site.done(&["domain", "add", "later.example", "--trusted"]);
    site.done(&["user", "remove", "shop"]);
    assert!(site.policy("a@example.com").starts_with("550 "));

    // As docs/src/how-to/backup.md says it; killed, so that the old log is still there.
    drop(daemon);
    for suffix in ["-wal", "-shm"] {
        let beside = site.path(&format!("state/outgate.db{suffix}"));
        assert!(beside.exists());
        std::fs::remove_file(beside).unwrap();
    }
    std::fs::copy(&file, site.database()).unwrap();
    let daemon = site.ready();
    assert_eq!(state(&site), before);
    assert_eq!(used(&site.database(), "shop", Messages), 3);
    let mut policy = Policy::connect(&site).unwrap();
    // Charged before the copy was made: known.
    assert_eq!(policy.data("shop", "1.0").unwrap(), "DUNNO");
    for message in 0..2 {
        let answer = policy.data("shop", &format!("3.{message}")).unwrap();
        assert_eq!(answer, "DUNNO");
    }
    let over = policy.data("shop", "3.2").unwrap();
    assert!(over.starts_with("450 4.7.1 [QUOTA]"), "{over}");
    daemon.stop();
    assert_eq!(used(&site.database(), "shop", Messages), 5);
}

/// What SQLite finds when it looks at everything.
fn integrity(path: &std::path::Path) -> String {
    let connection = Connection::open(path).unwrap();
    let check = "PRAGMA integrity_check";
    connection.query_row(check, [], |row| row.get(0)).unwrap()
}

#[test]
fn ten_copies_while_messages_and_changes_go_on() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    site.done(&["user", "set", "shop", "--quota", "1000000/total"]);
    let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut policy = Policy::connect(&site).unwrap();
            while !over.load(Ordering::SeqCst) {
                let number = begun.fetch_add(1, Ordering::SeqCst);
                let answer = policy.data("shop", &format!("1.{number}")).unwrap();
                assert_eq!(answer, "DUNNO");
                done.fetch_add(1, Ordering::SeqCst);
            }
        });
        scope.spawn(|| {
            for number in 0.. {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                site.done(&["user", "set", "shop", "--note", &number.to_string()]);
            }
        });
        for number in 0..10 {
            let file = site.path(&format!("copy{number}.db"));
            let before = done.load(Ordering::SeqCst);
            site.done(&["backup", file.to_str().unwrap()]);
            let after = begun.load(Ordering::SeqCst);
            assert_eq!(integrity(&file), "ok");
            let used = used(&file, "shop", Messages);
            assert!(
                (before..=after).contains(&used),
                "{before}, {used}, {after}"
            );
        }
        over.store(true, Ordering::SeqCst);
    });
    daemon.stop();
    let done = done.load(Ordering::SeqCst);
    assert!(done > 0);
    assert_eq!(used(&site.database(), "shop", Messages), done);
}
