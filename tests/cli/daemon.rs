//! What commands say to a running daemon, and what they make of its answer. A thread plays the
//! daemon: it answers each line on the control socket and keeps what it was asked.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};

use crate::site::Site;

/// Answers every question with one line; `None`: takes the question and says nothing.
fn daemon(site: &Site, answer: Option<&'static str>) -> Receiver<Value> {
    let listener = UnixListener::bind(site.path("control.sock")).unwrap();
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        let mut silent = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut line = String::new();
            BufReader::new(&stream).read_line(&mut line).unwrap();
            let told = asked.send(serde_json::from_str(&line).unwrap()).is_ok();
            match answer {
                Some(answer) => writeln!(stream, "{answer}").unwrap(),
                // Kept open: whoever asked waits until its patience ends.
                None => silent.push(stream),
            }
            if !told {
                break;
            }
        }
    });
    questions
}

#[test]
fn every_change_is_told_to_the_daemon_and_nothing_else() {
    let site = Site::new();
    let file = site.path("file.jsonl");
    crate::site::write(&file, &[r#"{"type":"user","name":"press"}"#]);
    let file = file.to_str().unwrap();
    let questions = daemon(&site, Some("{}"));
    for args in [
        &["account", "add", "acme"][..],
        &["account", "set", "acme", "--plan", "free"],
        &["account", "remove", "acme"],
        &["domain", "add", "example.com", "--trusted"],
        &["user", "add", "shop"],
        &["user", "set", "shop", "--allow", "example.com"],
        &["user", "passwd", "shop"],
        &["user", "suspend", "shop"],
        &["user", "resume", "shop"],
        &["quota", "reset", "shop"],
        &["import", "outgate", file],
        &["domain", "remove", "example.com"],
        &["user", "remove", "shop"],
    ] {
        site.done(args);
        assert_eq!(
            questions.try_recv(),
            Ok(json!({"ask": "noted"})),
            "{args:?}"
        );
    }
    for args in [
        &["account", "list"][..],
        &["account", "show", "default"],
        &["domain", "list"],
        &["user", "list"],
        &["user", "show", "press"],
        &["user", "test", "press"],
        &["explain", "--user", "press"],
        &["import", "outgate", file, "--dry-run"],
        &["export", "-"],
        &["backup", site.path("copy.db").to_str().unwrap()],
        &["check-config"],
    ] {
        site.done(args);
        assert!(questions.try_recv().is_err(), "{args:?}");
    }
    site.refused(&["user", "add", "press"]);
    assert!(questions.try_recv().is_err());
}

#[test]
fn what_is_stored_but_not_confirmed_is_said_so() {
    for answer in [
        None,
        Some("{\"error\":\"the store is in trouble\"}"),
        Some("what?"),
    ] {
        let site = Site::new();
        let _questions = daemon(&site, answer);
        let ran = site.run(&["--json", "user", "add", "shop"]);
        assert_eq!(ran.code, 75, "{ran:?}");
        let added: Value = serde_json::from_str(&ran.out).unwrap();
        assert!(added["password"].is_string());
        let error = ran.err.lines().last().unwrap();
        let error: Value = serde_json::from_str(error).unwrap();
        let said = error["error"].as_str().unwrap();
        assert!(said.starts_with("stored, not confirmed"), "{said}");
        site.done(&["user", "show", "shop"]);
    }
}

#[test]
fn unlock_names_the_user_by_its_id() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let id = site.json(&["user", "show", "shop"])["id"].clone();
    let questions = daemon(&site, Some("{}"));
    assert_eq!(
        site.json(&["user", "unlock", "SHOP"]),
        json!({"name": "shop", "unlocked": true})
    );
    assert_eq!(questions.recv(), Ok(json!({"ask": "unlock", "user": id})));
}

#[test]
fn status_is_what_the_daemon_says() {
    let site = Site::new();
    let answer =
        r#"{"version":"0.1.0","users":{"cached":3},"listeners":["unix:/a","\u001b[2Junix:/b"]}"#;
    let questions = daemon(&site, Some(answer));
    let status = site.json(&["status"]);
    assert_eq!(status, serde_json::from_str::<Value>(answer).unwrap());
    assert_eq!(questions.recv(), Ok(json!({"ask": "status"})));
    let out = site.done(&["status"]);
    let lines: Vec<Vec<&str>> = out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(lines.contains(&vec!["users.cached", "3"]), "{out}");
    assert!(lines.contains(&vec!["version", "0.1.0"]), "{out}");
    assert!(!out.contains('\x1b'), "{out}");
}

#[test]
fn status_for_eyes_begins_with_what_matters() {
    let site = Site::new();
    let _questions = daemon(
        &site,
        Some(
            r#"{"connection_limits":{"auth":null,"milter":70},"connections":{"auth":1,"milter":2},"last_errors":[{"time":"2026-11-25T14:43:02Z","level":"warn","times":3,"message":"so \u001b[2J so"}],"listeners":[{"front_end":"auth","address":"unix:/a"}],"store":{"ok":true},"uptime_seconds":273900,"version":"0.1.0"}"#,
        ),
    );
    let out = site.done(&["status"]);
    let words: Vec<String> = out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    let expected = [
        "version 0.1.0",
        "uptime 3d 4h 5m",
        "store.ok true",
        "listening.auth unix:/a",
        "connections.auth 1",
        "connections.milter 2 of 70",
        "",
        "last errors level times message",
        "2026-11-25T14:43:02Z warn 3 so \\u{1b}[2J so",
    ];
    assert_eq!(words, expected);
}

#[test]
fn a_daemon_that_does_not_answer_is_temporary() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let _questions = daemon(&site, None);
    for args in [&["status"][..], &["user", "unlock", "shop"]] {
        let ran = site.run(args);
        assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{args:?}: {ran:?}");
    }
}
