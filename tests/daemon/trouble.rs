//! The store in trouble, at the start and later: nothing is permitted without facts, logins find
//! somebody to talk to, and it is over without a restart when the cause is.

use std::time::Duration;

use outgate::clock::Clock;
use rusqlite::Connection;

use crate::site::{LONG, Site, until};

const TROUBLE: &str = "451 4.3.0 ";

/// Trouble is noticed within this time.
const NOTICED: Duration = Duration::from_secs(1);

/// A database that somebody else holds for himself before the daemon has ever opened it.
pub fn blocked(site: &Site) -> Connection {
    std::fs::create_dir(site.path("state")).unwrap();
    let lock = Connection::open(site.database()).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    lock
}

fn in_trouble(answer: &str) -> bool {
    answer.starts_with(TROUBLE)
}

#[test]
fn the_handshake_needs_no_store() {
    let site = Site::new();
    let lock = blocked(&site);
    let daemon = site.start();
    daemon
        .out
        .wait("auth", |line| line.contains("front_end=auth"));
    let clock = Clock::system();
    for _ in 0..10 {
        let began = clock.instant();
        site.connect("auth").handshake();
        assert!(clock.instant() - began < Duration::from_millis(100));
    }
    let answer = site.policy("a@example.com");
    assert!(in_trouble(&answer), "{answer}");
    daemon
        .err
        .wait("trouble", |line| line.contains("the store is in trouble"));
    assert!(!daemon.out.text().contains("ready"));
    drop(lock);
    daemon.out.wait("ready", |line| line == "ready");
    site.shop();
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    daemon
        .err
        .wait("end", |line| line.contains("the store answers again"));
    daemon.stop();
}

#[test]
fn a_database_that_is_held_for_reading_too_is_waited_for() {
    let site = Site::new();
    site.shop();
    let lock = Connection::open(site.database()).unwrap();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE t (a);")
        .unwrap();
    let daemon = site.start();
    daemon
        .out
        .wait("auth", |line| line.contains("front_end=auth"));
    site.connect("auth").handshake();
    assert!(in_trouble(&site.policy("a@example.com")));
    drop(lock);
    daemon.out.wait("ready", |line| line == "ready");
    assert_eq!(site.policy("a@example.com"), "DUNNO");
}

#[test]
fn somebody_who_writes_for_long_does_not_stop_decisions() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let writer = Connection::open(site.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    assert!(site.policy("a@other.example").starts_with("550 5.7.1 "));
    let locked = site.command(&["user", "suspend", "shop"]).output().unwrap();
    assert_eq!(locked.status.code(), Some(75), "{locked:?}");
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    assert!(!daemon.err.text().contains("in trouble"));
    drop(writer);
    daemon.stop();
}

#[test]
fn a_database_that_was_moved_away_is_missed_until_it_is_back() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert_eq!(session.policy("a@example.com"), "DUNNO");
    let away = site.path("away.db");
    std::fs::rename(site.database(), &away).unwrap();
    until(
        NOTICED,
        || session.policy("a@example.com"),
        |a| in_trouble(a),
    );
    let status = site.control(b"{\"ask\":\"status\"}\n");
    assert!(status.contains("was removed"), "{status}");
    let answer = site.control(b"{\"ask\":\"noted\"}\n");
    assert!(answer.contains("error"), "{answer}");
    site.connect("auth").handshake();
    std::fs::rename(&away, site.database()).unwrap();
    until(
        NOTICED,
        || session.policy("a@example.com"),
        |a| a == "DUNNO",
    );
    site.done(&["user", "suspend", "shop"]);
    assert!(session.policy("a@example.com").starts_with("550 "));
    daemon.stop();
}

#[test]
fn another_database_in_its_place_is_not_used_before_a_restart() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert_eq!(session.policy("a@example.com"), "DUNNO");
    let other = Site::new();
    other.ready().stop();
    std::fs::rename(other.database(), site.database()).unwrap();
    until(
        NOTICED,
        || session.policy("a@example.com"),
        |a| in_trouble(a),
    );
    daemon.stop();
    for beside in ["outgate.db-wal", "outgate.db-shm"] {
        let _ = std::fs::remove_file(site.path("state").join(beside));
    }
    let _restarted = site.ready();
    assert!(site.policy("a@example.com").starts_with("550 "));
}

#[test]
fn what_is_no_database_of_ours_ends_the_start_with_a_sentence() {
    for (sql, sentence) in [
        ("CREATE TABLE t (a)", "not one of outgate"),
        (
            "PRAGMA application_id = 0x6f676462; PRAGMA user_version = 9999; CREATE TABLE t (a)",
            "use the newer outgate",
        ),
    ] {
        let site = Site::new();
        std::fs::create_dir(site.path("state")).unwrap();
        let database = Connection::open(site.database()).unwrap();
        database.execute_batch(sql).unwrap();
        drop(database);
        let (code, said) = site.fails();
        assert_eq!(code, 78, "{said}");
        assert!(said.contains(sentence), "{said}");
    }
    let site = Site::new();
    std::fs::create_dir(site.path("state")).unwrap();
    std::fs::write(
        site.database(),
        "no database at all, but more than a page header".repeat(9),
    )
    .unwrap();
    let (code, said) = site.fails();
    assert_eq!(code, 1, "{said}");
}

#[test]
fn without_the_index_of_its_log_it_stops_permitting() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert_eq!(session.policy("a@example.com"), "DUNNO");
    std::fs::remove_file(site.path("state/outgate.db-shm")).unwrap();
    until(LONG, || session.policy("a@example.com"), |a| in_trouble(a));
    drop(daemon);
}
