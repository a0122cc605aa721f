//! `explain`.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::site::{Site, keys};

fn site() -> Site {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.user(
        "shop",
        &["--allow", "example.com", "--ip", "192.0.2.0/24"],
        "long enough",
    );
    site
}

/// Exit status and answer.
fn explain(site: &Site, args: &[&str]) -> (i32, Value) {
    let ran = site.run(&[&["--json", "explain"], args].concat());
    let answer =
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{args:?}: {e}: {ran:?}"));
    (ran.code, answer)
}

#[test]
fn what_is_not_given_is_not_judged() {
    let site = site();
    let (code, answer) = explain(&site, &["--user", "Shop"]);
    assert_eq!(
        (code, &answer["verdict"], &answer["reason"]),
        (0, &json!("allow"), &json!("allowed"))
    );
    assert_eq!((&answer["reply"], &answer["fix"]), (&json!(""), &json!("")));
    let outcomes: Vec<_> = answer["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| {
            (
                step["rule"].as_str().unwrap(),
                step["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        outcomes,
        [
            ("login", "pass"),
            ("status", "pass"),
            ("client", "skip"),
            ("envelope-sender", "skip"),
            ("header-from", "skip"),
            ("recipients", "skip"),
            ("quota", "pass"),
        ]
    );
}

#[test]
fn an_answer_has_these_fields() {
    let site = site();
    let out = site.done(&["--json", "explain", "--user", "shop"]);
    assert_eq!(
        keys(&out)[..5],
        ["verdict", "reason", "reply", "steps", "fix"]
    );
    let (_, answer) = explain(&site, &["--user", "shop"]);
    assert_eq!(keys(&answer["steps"][0].to_string()).len(), 3);
}

#[test]
fn reasons_replies_and_fixes() {
    let site = site();
    site.done(&["account", "add", "acme"]);
    site.done(&[
        "domain",
        "add",
        "taken.example",
        "--account",
        "acme",
        "--trusted",
    ]);
    site.done(&["domain", "add", "pending.example"]);
    site.verified(&["other.example"]);
    site.user(
        "all",
        &["--mode", "all-domains", "--account", "acme"],
        "long enough",
    );
    site.user("gone", &[], "long enough");
    site.done(&["user", "suspend", "gone"]);
    let from = |address: &'static str| ["--user", "shop", "--mail-from", address];
    for (args, reason, reply, fix) in [
        (&from("a@example.com")[..], "allowed", "", ""),
        (&from("<a@EXAMPLE.com.>"), "allowed", "", ""),
        (&from(""), "allowed", "", ""),
        (&from("<>"), "allowed", "", ""),
        (
            &from("a@other.example"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user set shop --add-allow other.example",
        ),
        (
            &from("a@evil.example"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate domain add evil.example --trusted && outgate user set shop --add-allow evil.example",
        ),
        (
            &from("a@pending.example"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate domain add pending.example --trusted && outgate user set shop --add-allow pending.example",
        ),
        (
            &from("a@taken.example"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &from("a@[192.0.2.1]"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &from("a"),
            "sender-malformed",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &from("a@b@"),
            "sender-malformed",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &["--user", "all", "--mail-from", "a@evil.example"],
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate domain add evil.example --account acme --trusted",
        ),
        (
            &["--user", "gone"],
            "suspended",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user resume gone",
        ),
        (
            &["--user", "shop", "--ip", "203.0.113.9"],
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
            "outgate user set shop --add-ip 203.0.113.9",
        ),
        (
            &["--user", "shop", "--ip", "::ffff:192.0.2.9"],
            "allowed",
            "",
            "",
        ),
        (
            &["--user", "shop", "--ip", "unknown"],
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
            "",
        ),
        (
            &["--user", "Nobody"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user add nobody",
        ),
        (
            &["--user", "shop@x.example"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user set shop --login shop@x.example",
        ),
        (
            &["--user", "jane@x.example"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user add jane --login jane@x.example",
        ),
        (
            &["--user", "018f0c5e-0000-7000-8000-000000000001"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &["--user", "x;reboot"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "",
        ),
        (
            &["--user", "jane@$(reboot)"],
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: ",
            "outgate user add jane --login 'jane@$(reboot)'",
        ),
    ] {
        let (code, answer) = explain(&site, args);
        assert_eq!(answer["reason"], reason, "{args:?}: {answer}");
        assert_eq!(code, i32::from(reason != "allowed"), "{args:?}");
        assert_eq!(
            answer["verdict"],
            if code == 0 { "allow" } else { "refuse" }
        );
        assert!(
            answer["reply"].as_str().unwrap().starts_with(reply),
            "{args:?}: {answer}"
        );
        assert_eq!(answer["fix"], fix, "{args:?}");
    }
}

#[test]
fn a_message_has_exactly_one_from_field() {
    let site = site();
    let from = "--header-from";
    let (code, answer) = explain(&site, &["--user", "shop", from, ""]);
    assert_eq!(
        (code, &answer["reason"]),
        (1, &json!("header-from-missing"))
    );
    assert_eq!(answer["fix"], "outgate user set shop --check-from envelope");
    let twice = [
        "--user",
        "shop",
        from,
        "a@example.com",
        from,
        "a@example.com",
    ];
    let (code, answer) = explain(&site, &twice);
    assert_eq!(
        (code, &answer["reason"], &answer["fix"]),
        (1, &json!("header-from-malformed"), &json!(""))
    );
}

#[test]
fn a_fix_changes_the_answer() {
    let site = site();
    site.verified(&["other.example"]);
    site.user("gone", &[], "long enough");
    site.done(&["user", "suspend", "gone"]);
    for args in [
        &["--user", "shop", "--mail-from", "a@other.example"][..],
        &["--user", "shop", "--mail-from", "a@evil.example"],
        &["--user", "shop", "--ip", "203.0.113.9"],
        &["--user", "gone"],
        &["--user", "nobody"],
        &["--user", "shop@x.example"],
        &["--user", "it's@x.example"],
        &["--user", "shop@'$(x)`y`"],
        &["--user", "shop", "--header-from", ""],
    ] {
        let (code, answer) = explain(&site, args);
        assert_eq!(code, 1, "{args:?}");
        let fix = answer["fix"].as_str().unwrap();
        if fix.is_empty() {
            continue;
        }
        let program = std::path::Path::new(env!("CARGO_BIN_EXE_outgate"))
            .parent()
            .unwrap();
        let status = std::process::Command::new("sh")
            .args(["-c", fix])
            .env("PATH", format!("{}:/usr/bin:/bin", program.display()))
            .env("OUTGATE_CONFIG", &site.config)
            .output()
            .unwrap();
        assert!(status.status.success(), "{fix}: {status:?}");
        assert_eq!(explain(&site, args).0, 0, "{args:?}: {fix}");
    }
}

#[test]
fn any_domain_is_refused_for_want_of_spf() {
    let (site, _server) = Site::with_zone("", "known.example TXT \"v=spf1 mx -all\"");
    site.user("any", &["--mode", "any-domain"], "long enough");
    let (code, answer) = explain(&site, &["--user", "any", "--mail-from", "a@evil.example"]);
    assert_eq!((code, &answer["reason"]), (1, &json!("spf-missing")));
    assert_eq!(
        answer["fix"], "outgate domain check evil.example",
        "{answer}"
    );
    site.done(&["account", "set", "default", "--plan", "free"]);
    let (_, answer) = explain(&site, &["--user", "any", "--mail-from", "a@evil.example"]);
    assert_eq!(
        (&answer["reason"], &answer["fix"]),
        (
            &json!("plan"),
            &json!("outgate account set default --plan pro")
        )
    );
}

#[test]
fn audit_mode_shows_the_verdict_in_force() {
    let site = site();
    site.done(&["user", "set", "shop", "--enforce", "audit"]);
    let args = ["explain", "--user", "shop", "--mail-from", "a@evil.example"];
    let ran = site.run(&args);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("refuse"), "{}", ran.out);
    assert!(ran.out.contains("audit"), "{}", ran.out);
    let (_, answer) = explain(&site, &args[1..]);
    assert_eq!(answer["verdict"], "refuse");
}

#[test]
fn audit_mode_shows_what_it_does_not_touch() {
    let (site, _server) = Site::with_zone("", "broken.example SERVFAIL");
    let options = [
        "--mode",
        "any-domain",
        "--ip",
        "192.0.2.0/24",
        "--enforce",
        "audit",
    ];
    site.user("any", &options, "long enough");
    let args = [
        "--user",
        "any",
        "--ip",
        "203.0.113.9",
        "--mail-from",
        "a@broken.example",
    ];
    let (code, answer) = explain(&site, &args);
    assert_eq!(
        (code, &answer["verdict"], &answer["reason"]),
        (1, &json!("defer"), &json!("dns-unavailable")),
        "{answer}"
    );
    assert!(
        answer["reply"].as_str().unwrap().starts_with("451 4.4.3"),
        "{answer}"
    );
    assert_eq!(
        (&answer["fix"], &answer["audit"]),
        (&json!(""), &json!(true))
    );
    let ran = site.run(&[&["explain"], &args[..]].concat());
    assert!(ran.out.contains("does not touch this"), "{}", ran.out);
}

#[test]
fn the_table_shows_rule_outcome_and_detail() {
    let site = site();
    let ran = site.run(&[
        "explain",
        "--user",
        "shop",
        "--ip",
        "192.0.2.7",
        "--mail-from",
        "a@evil.example",
    ]);
    assert_eq!(ran.code, 1);
    let lines: Vec<Vec<&str>> = ran
        .out
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(lines[0], ["rule", "outcome", "detail"]);
    assert_eq!(lines[1][..2], ["login", "pass"]);
    assert_eq!(lines[3], ["client", "pass", "in", "192.0.2.0/24"]);
    assert_eq!(lines[4][..2], ["envelope-sender", "fail"]);
    assert!(ran.out.contains("550 5.7.1 [ACL] Blocked"), "{}", ran.out);
    assert!(ran.out.contains("--add-allow evil.example"), "{}", ran.out);
}

#[test]
fn hostile_questions_are_answered_and_shown_escaped() {
    let site = site();
    for args in [
        &["explain", "--user", "x\x1b[2J"][..],
        &[
            "explain",
            "--user",
            "shop",
            "--mail-from",
            "a\x1b[2J@evil.example",
        ],
        &[
            "explain",
            "--user",
            "shop",
            "--mail-from",
            "a\u{202e}@evil.example",
        ],
        &[
            "explain",
            "--user",
            "shop",
            "--header-from",
            "\x1b[2J <a@evil.example>",
        ],
        &["explain", "--user", ""],
    ] {
        let ran = site.run(args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
        let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
        assert!(!ran.out.contains(harmful), "{:?}", ran.out);
    }
    site.refused(&["explain", "--user", "shop", "--ip", "192.0.2"]);
}

#[test]
fn lines_are_read_from_standard_input() {
    let site = site();
    let text = "\
        Nov 25 10:00:00 mx postfix/qmgr[1]: 4AAA: removed\n\
        Nov 25 10:00:00 mx postfix/submission/smtpd[7]: NOQUEUE: reject: RCPT from h.example[192.0.2.7]: \
        550 5.7.1 <a@evil.example>: Sender address rejected: [ACL] Blocked; from=<a@evil.example> to=<b@c.example> proto=ESMTP helo=<x>\n\
        550 5.7.1 [ACL] Blocked: user shop may not send as a@evil.example (envelope sender)\n";
    // The second line does not say who it was: without the sentence, Postfix knows only from 3.10 on.
    let ran = site.run_with_input(&["--json", "explain", "-"], text.as_bytes());
    assert_eq!(ran.code, 1, "{ran:?}");
    let answers: Vec<Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), 1, "{ran:?}");
    assert_eq!(
        (&answers[0]["line"], &answers[0]["reason"]),
        (&json!(3), &json!("sender-not-allowed"))
    );
    assert!(
        ran.err.contains("line 2") && ran.err.contains("--user"),
        "{}",
        ran.err
    );
    let ran = site.run_with_input(
        &["--json", "explain", "-", "--user", "shop"],
        text.as_bytes(),
    );
    assert_eq!(ran.out.lines().count(), 2, "{ran:?}");
    let ran = site.run_with_input(&["explain", "-"], text.as_bytes());
    assert!(ran.out.starts_with("line"), "{}", ran.out);
    assert!(ran.out.contains("3: 550 5.7.1 [ACL]"), "{}", ran.out);
    // Allowed by now: exit 0.
    let fine =
        b"550 5.7.1 [ACL] Blocked: user shop may not send as a@example.com (envelope sender)\n";
    assert_eq!(site.run_with_input(&["explain", "-"], fine).code, 0);
    for nothing in [&b""[..], b"hello\n", b"\xff\xfe{\n", &[b'x'; 200_000]] {
        let ran = site.run_with_input(&["explain", "-"], nothing);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("could be explained"), "{ran:?}");
    }
}

/// `… | outgate explain - | head -1`: nobody waits for the end of a log that nobody wants explained.
#[test]
fn it_ends_when_nobody_reads_what_it_says() {
    let site = site();
    let mut command = site.command(&["--json", "explain", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut input = child.stdin.take().unwrap();
    let line =
        b"550 5.7.1 [ACL] Blocked: user shop may not send as a@example.com (envelope sender)\n";
    // As many as it would be busy with for minutes.
    let refused = (0..1_000_000).any(|_| input.write_all(line).is_err());
    assert!(refused, "it read everything");
    child.wait().unwrap();
}
