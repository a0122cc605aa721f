//! Stores of other versions: one of an earlier outgate is brought up to date whole or not at all, wherever that is
//! cut off; one of a newer outgate is refused and left alone; and nobody changes tables under a daemon that is older.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use rusqlite::Connection;

use crate::site::{Site, until};

/// What earlier outgates wrote, by the version of the tables.
pub const EARLIER: [&str; 2] = [
    include_str!("../store/versions/1.sql"),
    include_str!("../store/versions/2.sql"),
];
/// The version that this outgate works with.
const NEWEST: i64 = 3;
/// Trouble is noticed within this time.
const NOTICED: Duration = Duration::from_secs(1);

/// A site with a store that an earlier outgate left behind.
fn left_behind(version: usize) -> Site {
    let site = Site::new();
    std::fs::create_dir(site.path("state")).unwrap();
    write_earlier(&site.database(), version);
    site
}

fn write_earlier(file: &Path, version: usize) {
    let store = Connection::open(file).unwrap();
    let wal = "PRAGMA journal_mode = wal";
    store.query_row(wal, [], |_| Ok(())).unwrap();
    store.execute_batch(EARLIER[version - 1]).unwrap();
}

fn version(file: &Path) -> i64 {
    let store = Connection::open(file).unwrap();
    store
        .query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap()
}

/// The version, and whether the file is whole.
fn state(file: &Path) -> (i64, String) {
    let store = Connection::open(file).unwrap();
    let whole = "PRAGMA integrity_check";
    let whole = store.query_row(whole, [], |row| row.get(0)).unwrap();
    (version(file), whole)
}

#[track_caller]
fn exit(ran: &Output, code: i32, words: &[&str]) {
    assert_eq!(ran.status.code(), Some(code), "{ran:?}");
    let said = String::from_utf8_lossy(&ran.stderr);
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
}

#[test]
fn a_daemon_goes_on_with_what_an_earlier_one_left() {
    for earlier in 1..=EARLIER.len() {
        let site = left_behind(earlier);
        let daemon = site.ready();
        assert_eq!(site.policy("news@example.com"), "DUNNO");
        assert!(site.policy("ceo@bank.example").starts_with("550 5.7.1 "));
        let said = format!("was brought from schema version {earlier} to {NEWEST}");
        daemon.err.wait("migration", |line| line.contains(&said));
        daemon.stop();
        assert_eq!(state(&site.database()), (NEWEST, "ok".to_owned()));
        let shown: serde_json::Value =
            serde_json::from_str(&site.done(&["--json", "user", "show", "shop"])).unwrap();
        assert_eq!(shown["logins"][0], "jane@example.com");
        // What was used is still used: 40 that were added up, and 2 of the ledger.
        let total = &shown["quotas"][2];
        let used = if earlier == 1 { 0 } else { 42 };
        assert_eq!(
            (&total["window"], &total["used"]),
            (&"total".into(), &used.into())
        );
    }
}

/// `outgate user list` on a store of version 1, which it brings up to date, with this done to a system call of it
/// (strace(1), `--inject`).
fn disturbed(site: &Site, call: &str) -> Output {
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{suffix}", site.database().display()));
    }
    write_earlier(&site.database(), 1);
    let program = site.command(&["user", "list"]);
    let mut strace = Command::new("strace");
    strace.env_clear().env("PATH", "/usr/bin:/bin");
    strace.args(["-f", "-o", "/dev/null", "-e"]);
    strace.arg(format!("inject={call}"));
    strace.arg(program.get_program()).args(program.get_args());
    strace.stdin(Stdio::null()).output().unwrap()
}

fn strace_works() -> bool {
    let tried = Command::new("strace")
        .args(["-o", "/dev/null", "true"])
        .output();
    tried.is_ok_and(|tried| tried.status.success())
}

#[test]
fn killed_or_out_of_space_at_any_write_a_store_stays_as_it_was() {
    if !strace_works() {
        eprintln!("skipped: strace cannot trace a process here");
        return;
    }
    let site = left_behind(1);
    let before = std::fs::read(site.database()).unwrap();
    let (mut killed, mut full) = (0, 0);
    for write in 1..200 {
        let ran = disturbed(&site, &format!("pwrite64:signal=KILL:when={write}"));
        let (version, whole) = state(&site.database());
        assert_eq!(whole, "ok", "killed at write {write}");
        // A store that was brought up to date has all of it.
        assert!([1, NEWEST].contains(&version), "killed at write {write}");
        let done = ran.status.success();
        if !done && version == 1 {
            killed += 1;
            site.done(&["user", "show", "shop"]);
            assert_eq!(state(&site.database()), (NEWEST, "ok".to_owned()));
        }
        let ran = disturbed(&site, &format!("pwrite64:error=ENOSPC:when={write}"));
        if !ran.status.success() {
            full += 1;
            exit(&ran, 75, &[site.database().to_str().unwrap()]);
            assert_eq!(std::fs::read(site.database()).unwrap(), before);
            assert_eq!(state(&site.database()), (1, "ok".to_owned()));
        }
        if done {
            // All writes have had their turn.
            assert!(killed > 10 && full > 10, "{killed} killed, {full} full");
            return;
        }
    }
    panic!("it never came through");
}

#[test]
fn a_step_that_cannot_be_taken_is_told_and_takes_back_those_before() {
    let site = left_behind(1);
    // What the last step adds is there already: the ones before it succeed.
    let store = Connection::open(site.database()).unwrap();
    store
        .execute_batch("ALTER TABLE user ADD COLUMN enforce_until INTEGER")
        .unwrap();
    drop(store);
    let before = std::fs::read(site.database()).unwrap();
    let words = [
        "outgate.db was not brought from schema version 1 to 3, and is as it was",
        "duplicate column name",
        "go back to the outgate that wrote it",
    ];
    exit(
        &site.command(&["user", "list"]).output().unwrap(),
        75,
        &words,
    );
    let (code, said) = site.fails();
    assert_eq!(code, 1, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(std::fs::read(site.database()).unwrap(), before);
    assert_eq!(state(&site.database()), (1, "ok".to_owned()));
}

#[test]
fn whoever_is_older_than_the_store_says_so_and_touches_nothing() {
    let site = Site::new();
    site.shop();
    let newer = format!("PRAGMA user_version = {}", NEWEST + 1);
    let store = Connection::open(site.database()).unwrap();
    store.execute_batch(&newer).unwrap();
    drop(store);
    let before = std::fs::read(site.database()).unwrap();
    let words = [
        "outgate.db has schema version 4, and this outgate knows versions up to 3",
        "use the newer outgate, or a copy from before",
    ];
    let (export, copy) = (site.path("export"), site.path("copy"));
    let commands: [&[&str]; 12] = [
        &["user", "list"],
        &["user", "add", "other"],
        &["user", "suspend", "shop"],
        &["user", "passwd", "shop"],
        &["user", "test", "shop"],
        &["domain", "list"],
        &["account", "list"],
        &["quota", "show"],
        &["quota", "reset", "shop"],
        &["explain", "--user", "shop"],
        &["export", export.to_str().unwrap()],
        &["backup", copy.to_str().unwrap()],
    ];
    for command in commands {
        let ran = site.command(command).stdin(Stdio::null()).output().unwrap();
        exit(&ran, 78, &words);
        assert!(ran.stdout.is_empty(), "{command:?}: {ran:?}");
    }
    assert!(!copy.exists());
    let (code, said) = site.fails();
    assert_eq!(code, 78, "{said}");
    for word in words {
        assert!(said.contains(word), "no {word:?} in {said}");
    }
    assert_eq!(std::fs::read(site.database()).unwrap(), before);
}

/// A daemon of an earlier outgate, as far as commands see it.
fn earlier_daemon(site: &Site) -> UnixListener {
    let listener = UnixListener::bind(site.path("state/control.sock")).unwrap();
    let answering = listener.try_clone().unwrap();
    std::thread::spawn(move || {
        for stream in answering.incoming() {
            let mut stream = stream.unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            stream.write_all(b"{\"version\":\"0.0.9\"}\n").unwrap();
        }
    });
    listener
}

#[test]
fn no_command_changes_tables_under_an_older_daemon() {
    let site = left_behind(2);
    let _daemon = earlier_daemon(&site);
    let words = [
        "the daemon that is running is older than this program",
        "schema version 2",
        "systemctl restart outgate",
    ];
    for command in [
        &["user", "list"][..],
        &["quota", "show"],
        &["user", "suspend", "shop"],
    ] {
        exit(&site.command(command).output().unwrap(), 75, &words);
    }
    let copy = site.path("copy.db");
    site.done(&["backup", copy.to_str().unwrap()]);
    assert_eq!((version(&site.database()), version(&copy)), (2, 2));
    let found = site.command(&["--json", "doctor"]).output().unwrap();
    let found = String::from_utf8(found.stdout).unwrap();
    assert!(found.contains("store-older"), "{found}");
    assert_eq!(version(&site.database()), 2);
    // Without it, the first command brings the store up to date.
    std::fs::remove_file(site.path("state/control.sock")).unwrap();
    site.done(&["user", "list"]);
    assert_eq!(version(&site.database()), NEWEST);
}

#[test]
fn a_daemon_whose_tables_were_changed_stops_permitting_and_writing() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert_eq!(session.policy("a@example.com"), "DUNNO");
    let newer = Connection::open(site.database()).unwrap();
    newer
        .execute_batch("ALTER TABLE user ADD COLUMN more TEXT; PRAGMA user_version = 4")
        .unwrap();
    let deferred = |answer: &String| answer.starts_with("451 4.3.0 ");
    until(NOTICED, || session.policy("a@example.com"), deferred);
    let status = site.control(b"{\"ask\":\"status\"}\n");
    let why = "was brought from schema version 3 to 4 while it was in use: restart outgate";
    assert!(status.contains(why), "{status}");
    daemon.err.wait("trouble", |line| line.contains(why));
    site.connect("auth").handshake();
    // Nothing is written into tables that are not known.
    let charged = "SELECT count(*) FROM ledger";
    let charged: u32 = newer.query_row(charged, [], |row| row.get(0)).unwrap();
    assert_eq!(charged, 0);
    exit(
        &site.command(&["user", "list"]).output().unwrap(),
        78,
        &["schema version 4"],
    );
    // And it is over when the cause is.
    newer.execute_batch("PRAGMA user_version = 3").unwrap();
    until(
        NOTICED,
        || session.policy("a@example.com"),
        |a| a == "DUNNO",
    );
    daemon.stop();
}

#[test]
fn a_decision_log_of_a_newer_outgate_is_left_alone_and_missed() {
    let site = Site::new();
    site.shop();
    let daemon = site.ready();
    assert!(site.policy("a@bank.example").starts_with("550 "));
    let log = site.path("state/log.db");
    until(
        NOTICED,
        || site.done(&["log"]),
        |log| log.contains("bank.example"),
    );
    daemon.stop();
    let newer = Connection::open(&log).unwrap();
    newer.execute_batch("PRAGMA user_version = 2").unwrap();
    drop(newer);
    let before = std::fs::read(&log).unwrap();
    exit(
        &site.command(&["log"]).output().unwrap(),
        78,
        &["log.db has schema version 2, and this outgate knows versions up to 1"],
    );
    // Decisions do not wait for their log.
    let daemon = site.ready();
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    assert!(site.policy("a@bank.example").starts_with("550 "));
    let trouble = "log.db has schema version 2";
    daemon.err.wait("trouble", |line| line.contains(trouble));
    let status = || site.control(b"{\"ask\":\"status\"}\n");
    until(NOTICED, status, |status| status.contains(trouble));
    daemon.stop();
    assert_eq!(std::fs::read(&log).unwrap(), before);
}
