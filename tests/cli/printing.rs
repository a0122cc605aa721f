//! What is printed, for whom, and what a terminal never gets to see.

use std::process::Stdio;

use crate::site::{Ran, Site};

#[test]
fn a_reader_that_leaves_is_no_error() {
    let site = Site::new();
    for number in 0..40 {
        let mode = ["--mode", "all-domains"];
        site.user(&format!("user{number}"), &mode, "long enough");
    }
    for args in [
        &["user", "list"][..],
        &["--json", "user", "list"],
        &["user", "show", "user1"],
        &["completions", "bash"],
        &["--help"],
        &["check-config"],
    ] {
        let mut child = site
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ran = Ran::of(child.wait_with_output().unwrap());
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
    }
}

#[test]
fn data_that_cannot_be_written_is_an_error() {
    let site = Site::new();
    let full = std::fs::OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap();
    let output = site
        .command(&["check-config"])
        .stdout(full)
        .output()
        .unwrap();
    let ran = Ran::of(output);
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.err.contains("standard output"), "{}", ran.err);
}

#[test]
fn hostile_notes_do_not_reach_the_terminal() {
    let site = Site::new();
    let note = "a\u{202e}b\nc\u{200b}d\te";
    site.user("shop", &["--note", note], "long enough");
    for args in [
        &["user", "show", "shop"][..],
        &["user", "list"],
        &["--json", "user", "list"],
    ] {
        let out = site.done(args);
        let harmful = |c: char| c != '\n' && (c.is_control() || "\u{202e}\u{200b}".contains(c));
        assert!(!out.contains(harmful), "{args:?}: {out:?}");
    }
    assert!(
        site.done(&["user", "show", "shop"])
            .contains("a\\u{202e}b\\u{a}c\\u{200b}d\\u{9}e")
    );
    assert_eq!(site.json(&["user", "show", "shop"])["note"], note);
    site.done(&["user", "set", "shop", "--note", &"ü".repeat(300)]);
    assert!(site.done(&["user", "list"]).len() < 400);
    site.done(&["user", "set", "shop", "--note", note]);
    let ran = site.refused(&["user", "set", "shop", "--note", "\x1b[2J"]);
    assert!(!ran.err.contains('\x1b'), "{:?}", ran.err);
}

#[test]
fn hostile_names_are_refused_and_shown_escaped() {
    let site = Site::new();
    for name in [
        "sh\x1b[2Jop",
        "a\nb",
        "\u{202e}x",
        "a b",
        "",
        "a@b",
        "ü",
        &"x".repeat(65),
    ] {
        for args in [
            &["user", "add", name][..],
            &["user", "show", name],
            &["user", "remove", name],
            &["account", "add", name],
            &["domain", "add", "example.com", "--account", name],
        ] {
            let ran = site.run(args);
            assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
            assert!(!ran.err.contains(['\x1b', '\u{202e}']), "{:?}", ran.err);
            assert!(ran.err.lines().count() <= 2, "{:?}", ran.err);
        }
    }
}

#[test]
fn json_is_asked_for_before_or_behind_the_command() {
    let site = Site::new();
    for args in [
        &["--json", "user", "list"][..],
        &["user", "--json", "list"],
        &["user", "list", "--json"],
    ] {
        assert_eq!(site.done(args), "[]\n");
    }
}

#[test]
fn tables_have_heads_and_no_borders() {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.user("shop", &["--allow", "example.com"], "long enough");
    let out = site.done(&["user", "list"]);
    let lines: Vec<_> = out.lines().collect();
    assert_eq!(lines.len(), 2, "{out}");
    assert!(lines[0].starts_with("name"), "{out}");
    assert!(lines[1].starts_with("shop"), "{out}");
    assert!(lines[1].contains("example.com"), "{out}");
    assert!(!out.contains(['|', '+', '─', '│']), "{out}");
}

#[test]
fn an_empty_list_is_said_beside_the_data() {
    let site = Site::new();
    let ran = site.run(&["user", "list"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""));
    assert!(ran.err.contains("there is no"), "{}", ran.err);
}

#[test]
fn long_lists_have_every_item_once() {
    let site = Site::new();
    let path = site.path("many.jsonl");
    let lines: Vec<_> = (0..2500)
        .map(|n| format!("{{\"type\":\"user\",\"name\":\"u{n:04}\"}}"))
        .collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    site.done(&["import", "outgate", path.to_str().unwrap()]);
    let out = site.done(&["user", "list"]);
    assert_eq!(out.lines().count(), 2501);
    assert_eq!(
        out.lines().filter(|line| line.starts_with("name")).count(),
        1
    );
    assert_eq!(site.json(&["user", "list"]).as_array().unwrap().len(), 2500);
}
