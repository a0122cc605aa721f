//! The daemon writes, `outgate log` and `outgate explain ID` read.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use outgate::store::log::FILE;
use outgate::store::sqlite::log::SqliteLogWriter;
use rusqlite::Connection;
use serde_json::Value;

use crate::sample::{Fact, append};
use crate::site::{LONG, Site, until};
use crate::smtpd::{Message, Milter, Policy};

fn message(login: &str, sender: &str, from: &str) -> Message {
    Message {
        login: login.to_owned(),
        client: "192.0.2.7",
        sender: sender.to_owned(),
        from: vec![from.to_owned()],
        recipients: 2,
    }
}

/// Lines of `outgate log --json` with these arguments, once there are so many.
#[track_caller]
fn lines(site: &Site, args: &[&str], count: usize) -> Vec<Value> {
    let ask = || {
        let out = site.done(&[&["--json", "log"], args].concat());
        let lines = out.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    until(LONG, ask, |lines| lines.len() == count)
}

fn by_id<'a>(lines: impl IntoIterator<Item = &'a Value>) -> BTreeMap<String, &'a Value> {
    let id = |line: &'a Value| (line["id"].as_str().unwrap().to_owned(), line);
    lines.into_iter().map(id).collect()
}

/// One of each: accepted, refused and let pass, by every front end.
fn submit(site: &Site) {
    let mut policy = Policy::connect(site);
    let mut number = 0;
    let mut by_policy = |login: &str, sender: &str| {
        number += 1;
        policy.hand_in(&message(login, sender, ""), number);
    };
    by_policy("shop", "a@example.com");
    by_policy("shop", "a@evil.example");
    by_policy("ghost\u{1b}[31m\u{202e}", "a@example.com");
    by_policy("watched", "a@evil.example");
    for (login, sender, from) in [
        ("shop", "a@example.com", "Bücher <a@example.com>"),
        ("shop", "a@example.com", "b@evil.example"),
        ("shop", "", "a@example.com, b@example.com"),
        ("office", "a@example.com", "a@example.com"),
    ] {
        Milter::connect(site).hand_in(&message(login, sender, from));
    }
    let mut auth = site.connect("auth");
    auth.handshake();
    // \0shop\0wrong
    auth.send(b"AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.7\tsecured\tresp=AHNob3AAd3Jvbmc=\n");
    assert!(auth.line().starts_with("FAIL\t1"));
}

const LINES: usize = 10;

fn site() -> Site {
    let site = Site::with(
        "[log]\nformat = \"json\"\n[reply]\nreport-url = \"https://relay.example/r/{id}\"\n",
    );
    site.shop();
    for user in ["watched --enforce audit", "office --ip 198.51.100.0/24"] {
        let words = ["user", "add"].into_iter().chain(user.split(' '));
        site.done(&words.collect::<Vec<_>>());
        let name = user.split(' ').next().unwrap();
        site.done(&["user", "set", name, "--allow", "example.com"]);
    }
    site
}

#[test]
fn what_is_logged_is_found_by_every_filter_and_explained() {
    let site = site();
    let daemon = site.ready();
    submit(&site);
    let all = lines(&site, &[], LINES);

    // Line by line what went to standard error.
    let said: Vec<Value> = daemon
        .err
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let said = by_id(said.iter().filter(|line| line.get("id").is_some()));
    assert_eq!(by_id(&all), said);
    let times: Vec<_> = all.iter().map(|line| line["time"].to_string()).collect();
    assert!(times.is_sorted(), "{times:?}");

    let reasons = |args: &[&str], count| {
        let lines = lines(&site, args, count);
        lines
            .iter()
            .map(|line| line["reason"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(reasons(&["--would-refuse"], 1), ["sender-not-allowed"]);
    assert_eq!(
        reasons(&["--reason", "ip-not-authorized"], 1),
        ["ip-not-authorized"]
    );
    assert_eq!(
        reasons(&["--user", "SHOP", "--refused"], 3),
        [
            "sender-not-allowed",
            "header-from-not-allowed",
            "bad-password"
        ]
    );
    assert_eq!(
        reasons(&["--user", "shop", "--limit", "1"], 1),
        ["bad-password"]
    );
    assert_eq!(
        reasons(&["--account", "default", "--reason", "allowed"], 4).len(),
        4
    );
    reasons(&["--account", "acme"], 0);
    reasons(&["--since", "1h"], LINES);
    reasons(&["--until", "2026-01-01"], 0);
    // By a name that is gone.
    site.done(&["user", "set", "shop", "--rename", "store"]);
    for name in ["store", "shop"] {
        reasons(&["--user", name], 6);
    }

    for line in &all {
        explained(&site, line);
    }
    daemon.stop();
    lines(&site, &[], LINES);
}

#[test]
fn the_table_is_harmless_and_a_long_cell_stretches_its_own_line() {
    let site = site();
    let daemon = site.ready();
    submit(&site);
    // Nothing that a client sent reaches the terminal, and what is long stretches its own line alone.
    let mut policy = Policy::connect(&site);
    let long = format!("{}@evil.example", "x".repeat(200));
    policy.hand_in(&message("office", &long, ""), 99);
    lines(&site, &[], LINES + 1);
    let stretched = |line: &&str| line.len() > 200;
    let table = site.done(&["log"]);
    assert_eq!(table.lines().filter(stretched).count(), 1, "{table}");
    assert_eq!(table.lines().count(), LINES + 2, "{table}");
    assert!(table.contains("ghost\\u{1b}[31m\\u{202e}"), "{table}");
    assert!(table.contains("192.0.2.7"), "{table}");
    daemon.stop();
}

#[test]
fn lines_of_a_clock_that_was_ahead_are_not_the_newest() {
    let site = site();
    let file = site.path("state").join(FILE);
    std::fs::create_dir_all(site.path("state")).unwrap();
    // In 2040.
    let facts = (0..60).map(|n| Fact::allowed(2_208_988_800_000_000 + n, 1));
    append(&mut SqliteLogWriter::new(&file), facts);
    let daemon = site.ready();
    Policy::connect(&site).hand_in(&message("shop", "a@example.com", ""), 1);
    lines(&site, &[], 1);
    lines(&site, &["--until", "9999-01-01", "--limit", "100"], 61);
    let ran = site.command(&["log"]).output().unwrap();
    let note = String::from_utf8(ran.stderr).unwrap();
    assert!(note.contains("clock that was ahead"), "{note}");
    let mut follower = site.command(&["--json", "log", "--follow"]);
    let mut follower = follower.stdout(Stdio::piped()).spawn().unwrap();
    let mut heard = BufReader::new(follower.stdout.take().unwrap()).lines();
    assert!(heard.next().unwrap().unwrap().contains("a@example.com"));
    Policy::connect(&site).hand_in(&message("shop", "b@example.com", ""), 2);
    assert!(heard.next().unwrap().unwrap().contains("b@example.com"));
    follower.kill().unwrap();
    follower.wait().unwrap();
    daemon.stop();
}

/// `explain ID` of a line.
fn explained(site: &Site, line: &Value) {
    let id = line["id"].as_str().unwrap();
    let ran = site.command(&["--json", "explain", id]).output().unwrap();
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(&answer["decision"], line);
    let allowed = answer["verdict"] == "allow";
    assert_eq!(ran.status.code(), Some(if allowed { 0 } else { 1 }));
    let let_pass = line["audit"] == true && line["verdict"] == "allow";
    if line["reason"] != "bad-password" && !let_pass {
        assert_eq!(answer["verdict"], line["verdict"], "{answer}");
        assert_eq!(answer["reason"], line["reason"], "{answer}");
    }
    // The id stands in the reply.
    let reply = line["reply"].as_str().unwrap();
    assert!(!reply.starts_with("550") || reply.ends_with(id), "{reply}");
    let ran = site.command(&["explain", id]).output().unwrap();
    for passed_on in [
        format!("<https://relay.example/r/{id}>."),
        format!("550 5.7.1 [ACL] Blocked: x See https://relay.example/r?id={id}&x"),
        format!("id={id}"),
    ] {
        let again = site.command(&["explain", &passed_on]).output().unwrap();
        assert_eq!(again.stdout, ran.stdout, "{passed_on}");
    }
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(!text.contains('\u{1b}') && text.contains(id), "{text}");
}

/// What `explain ID` says for eyes of the newest line.
#[track_caller]
fn explained_newest(site: &Site, count: usize) -> (String, String, String) {
    let newest = lines(site, &[], count).pop().unwrap();
    let id = newest["id"].as_str().unwrap();
    let ran = site.command(&["explain", id]).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (id.to_owned(), text(ran.stdout), text(ran.stderr))
}

#[test]
fn what_was_refused_and_cannot_be_judged_again_is_not_said_to_be_allowed() {
    let site = site();
    let daemon = site.ready();
    let broken = |from: &str| {
        Milter::connect(&site).hand_in(&message("shop", "a@example.com", from));
    };
    // The reply says what was wrong with the header From.
    broken("<<<");
    let (id, said, _) = explained_newest(&site, 1);
    assert!(said.contains("header-from      fail"), "{said}");
    assert!(said.contains("today  the answer is the same"), "{said}");
    let ran = site.command(&["--json", "explain", &id]).output().unwrap();
    let answer: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(ran.status.code(), Some(1));
    assert_eq!(answer["reason"], "header-from-malformed");
    assert_eq!(
        answer["reply"],
        answer["decision"]["reply"]
            .as_str()
            .unwrap()
            .split(" See ")
            .next()
            .unwrap()
    );
    // What changes the answer is seen.
    site.done(&["user", "set", "shop", "--check-from", "envelope"]);
    let (_, said, _) = explained_newest(&site, 1);
    assert!(said.contains("the answer differs"), "{said}");
    site.done(&["user", "set", "shop", "--check-from", "both"]);
    daemon.stop();

    site.configure(&site.listen(), "[reply]\ndetail = false\n");
    let daemon = site.ready();
    broken("<<<");
    let (_, said, note) = explained_newest(&site, 2);
    assert!(said.contains("nothing else speaks against it"), "{said}");
    assert!(note.contains("is not logged"), "{note}");
    daemon.stop();
}

#[test]
fn each_line_of_one_message_in_audit_mode_is_the_same_today() {
    let site = site();
    let daemon = site.ready();
    Milter::connect(&site).hand_in(&message("watched", "a@evil.example", "b@evil.example"));
    for line in lines(&site, &[], 3) {
        let id = line["id"].as_str().unwrap();
        let ran = site.command(&["explain", id]).output().unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        assert!(said.contains("today  the answer is the same"), "{said}");
    }
    daemon.stop();
}

#[test]
fn a_login_that_means_another_user_today_is_said() {
    let site = site();
    let daemon = site.ready();
    Policy::connect(&site).hand_in(&message("shop", "a@evil.example", ""), 1);
    let (_, _, note) = explained_newest(&site, 1);
    assert!(!note.contains("another user"), "{note}");
    site.done(&["user", "remove", "shop"]);
    site.done(&["user", "add", "shop", "--allow", "example.com"]);
    let (_, _, note) = explained_newest(&site, 1);
    assert!(note.contains("another user today"), "{note}");
    daemon.stop();
}

#[test]
fn an_id_that_nobody_has_is_a_refusal_with_a_hint() {
    let site = Site::new();
    for (id, hint) in [
        ("BmEafEqQ4hhuYv06FVpP-ORm0NCKbis", "kept for 30 days"),
        ("x", "take it from the log"),
    ] {
        let ran = site.command(&["explain", id]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(1), "{said}");
        assert!(said.contains(hint), "{said}");
    }
    let ran = site.command(&["log", "--reason", "x"]).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let ran = site
        .command(&["log", "--since", "yesterday"])
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(2));
    // An empty log is no fault, and asking for it makes no file.
    assert_eq!(site.done(&["log"]), "");
    assert!(!site.path("state").join(FILE).exists());
}

#[test]
fn followers_hear_what_comes_and_leave_when_nobody_listens() {
    let site = site();
    let daemon = site.ready();
    let policy = |number: usize| {
        let sender = format!("a{number}@evil.example");
        Policy::connect(&site).hand_in(&message("shop", &sender, ""), number);
        sender
    };
    policy(0);
    lines(&site, &[], 1);
    let mut follow: Command = site.command(&["--json", "log", "--follow", "--refused"]);
    let mut follower = follow.stdout(Stdio::piped()).spawn().unwrap();
    let mut out = BufReader::new(follower.stdout.take().unwrap());
    let mut next = || {
        let mut line = String::new();
        out.read_line(&mut line).unwrap();
        let line: Value = serde_json::from_str(&line).unwrap();
        line["mail_from"].as_str().unwrap().to_owned()
    };
    assert_eq!(next(), "a0@evil.example");
    for number in 1..4 {
        let sender = policy(number);
        assert_eq!(next(), sender);
    }
    drop(out);
    assert_eq!(follower.wait().unwrap().code(), Some(0));
    daemon.stop();
}

#[test]
fn what_was_answered_is_in_the_log_that_is_read_next() {
    let site = site();
    let daemon = site.ready();
    for number in 0..20 {
        // The second line of a burst is not written at once: more may come.
        for nobody in ["a", "b"] {
            let sender = format!("{nobody}{number}@evil.example");
            assert!(site.policy(&sender).starts_with("550 "));
        }
        let newest = site.done(&["--json", "log", "--limit", "1"]);
        let newest: Value = serde_json::from_str(newest.trim()).unwrap();
        assert_eq!(newest["mail_from"], format!("b{number}@evil.example"));
    }
    daemon.stop();
}

#[test]
fn a_log_that_cannot_be_written_changes_no_answer_and_is_said() {
    let site = site();
    let file = site.path("state").join(FILE);
    std::fs::write(&file, "this is no database").unwrap();
    let daemon = site.ready();
    assert!(site.policy("a@evil.example").starts_with("550 "));
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    daemon.err.wait("trouble", |line| {
        line.contains("the decision log cannot be written")
    });
    // What waited lands when the file is out of the way.
    std::fs::remove_file(&file).unwrap();
    lines(&site, &[], 1);
    daemon.err.wait("end", |line| {
        line.contains("the decision log is written again")
    });
    // Held by somebody else: the answer does not wait for it.
    let lock = Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(site.policy("b@evil.example").starts_with("550 "));
    drop(lock);
    lines(&site, &[], 2);
    daemon.stop();
}
