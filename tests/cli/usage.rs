//! Exit statuses, usage, help, the configuration file.

use serde_json::{Value, json};

use crate::site::{Ran, Site, bare, feed};

fn run(args: &[&str]) -> Ran {
    feed(&mut bare(args), b"")
}

#[test]
fn unknown_words_are_usage_errors() {
    let site = Site::new();
    for args in [
        &["frobnicate"][..],
        &[],
        &["user"],
        &["user", "frob"],
        &["user", "add"],
        &["user", "add", "shop", "--frob"],
        &["user", "add", "shop", "--mode", "all"],
        &["user", "add", "shop", "--check-from", "everything"],
        &["user", "add", "shop", "--enforce", "off"],
        &["user", "add", "shop", "--max-recipients", "many"],
        &["user", "add", "shop", "--max-recipients", "-3"],
        &["user", "add", "shop", "--max-recipients", "4294967296"],
        &["user", "add", "shop", "another"],
        &["user", "list", "--unused-for", "long"],
        &["account", "add", "acme", "--plan", "gold"],
        &["account", "frob"],
        &["domain", "prove", "example.com"],
        &["postfix", "config", "--wiring", "sendmail"],
        &["import", "csv", "file"],
        &["import", "outgate"],
        &["completions", "cmd.exe"],
        &["explain"],
        &["explain", "--user", "shop", "--recipients", "x"],
        &["quota"],
        &["quota", "list"],
        &["quota", "reset"],
        &["quota", "show", "shop", "press"],
        &["log", "--reason", "x"],
        &["log", "--follow", "--until", "2h"],
        &["log", "--since", "yesterday"],
        &["physician"],
        &["export"],
        &["export", "-", "more"],
        &["backup"],
        &["backup", "x", "--frob"],
        &["token", "list"],
        &["help"],
    ] {
        let ran = site.run(args);
        assert_eq!(ran.code, 2, "{args:?}: {ran:?}");
        assert_eq!(ran.out, "", "{args:?}");
        assert!(ran.err.starts_with("outgate: "), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("\nhint: "), "{args:?}: {}", ran.err);
    }
}

#[test]
fn usage_errors_are_json_for_programs() {
    for args in [&["--json", "frob"][..], &["user", "frob", "--json"]] {
        let ran = run(args);
        assert_eq!(ran.code, 2);
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert!(error["error"].as_str().unwrap().contains("frob"), "{error}");
        assert_ne!(error["hint"], "");
    }
}

#[test]
fn a_slip_is_pointed_out() {
    let ran = run(&["user", "lst"]);
    assert!(ran.err.contains("list"), "{}", ran.err);
}

#[test]
fn hostile_arguments_are_shown_escaped() {
    let ran = run(&["\x1b[2J\u{202e}frob"]);
    assert_eq!(ran.code, 2);
    assert!(!ran.err.contains(['\x1b', '\u{202e}']), "{:?}", ran.err);
}

#[test]
fn help_and_version_need_no_configuration() {
    for args in [
        &["--help"][..],
        &["-h"],
        &["user", "add", "--help"],
        &["user", "set", "--help"],
        &["explain", "--help"],
        &["--version"],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{args:?}");
        assert!(!ran.out.is_empty(), "{args:?}");
    }
    // The release of Cargo.toml; behind it, in brackets, the commit and its date where they are known.
    let said = run(&["--version"]).out;
    let release = format!("outgate {}", env!("CARGO_PKG_VERSION"));
    let commit = said.strip_prefix(&release).unwrap().trim_end();
    match outgate::COMMIT {
        Some(known) => assert!(commit.starts_with(&format!(" ({known}")), "{said}"),
        None => assert_eq!(commit, "", "{said}"),
    }
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn every_command_and_option_is_explained() {
    fn visit(path: &[&str], seen: &mut usize) {
        let ran = run(&[path, &["--help"]].concat());
        assert_eq!(ran.code, 0, "{path:?}");
        let mut commands = Vec::new();
        let mut in_commands = false;
        for line in ran.out.lines() {
            if !line.starts_with(' ') {
                in_commands = line == "Commands:";
            } else if in_commands && line.starts_with("  ") {
                let mut words = line.split_whitespace();
                commands.push(words.next().unwrap().to_owned());
                assert!(words.next().is_some(), "{path:?}: {line}");
            }
        }
        *seen += 1;
        for command in &commands {
            visit(&[path, &[command.as_str()]].concat(), seen);
        }
    }
    let mut seen = 0;
    visit(&[], &mut seen);
    assert!(seen >= 30, "{seen}");
}

#[test]
fn completions_are_for_known_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, 0);
        assert!(ran.out.contains("check-config"), "{shell}");
    }
}

#[test]
fn a_configuration_without_faults_is_called_so() {
    let site = Site::new();
    let ran = site.run(&["check-config"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert!(ran.out.contains("ok"), "{}", ran.out);
    let file = site.config.display().to_string();
    assert_eq!(
        site.json(&["check-config"]),
        json!({"file": file, "ok": true})
    );
}

#[test]
fn a_configuration_with_a_fault_is_pointed_at() {
    for (line, at) in [
        ("[reply]\nfrob = 1\n", "6: reply.frob: "),
        ("[reply]\ndetail = \"yes\"\n", "6: reply.detail: "),
        ("[listen]\nauth = \"here\"\n", "6: listen.auth: "),
        ("[log]\nlevel = \"loud\"\n", "6: log.level: "),
        ("[frob]\n", "5: frob: "),
    ] {
        let site = Site::with(line);
        let file = site.config.display().to_string();
        for args in [
            &["check-config"][..],
            &["user", "list"],
            &["serve"],
            &["status"],
        ] {
            let ran = site.run(args);
            assert_eq!(ran.code, 78, "{args:?} {line}: {ran:?}");
            assert!(ran.err.contains(&format!("{file}:{at}")), "{}", ran.err);
        }
        let ran = site.run(&["check-config", "--json"]);
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert!(error["error"].as_str().unwrap().starts_with(&file));
    }
}

#[test]
fn a_configuration_that_is_not_there_is_wrong() {
    let site = Site::new();
    let missing = site.path("missing.toml").display().to_string();
    for args in [
        &["-c", &missing, "check-config"][..],
        &["check-config", "-c", &missing],
        &["user", "list", "--config", &missing],
    ] {
        let ran = site.run(args);
        assert_eq!(ran.code, 78, "{args:?}: {ran:?}");
        assert!(ran.err.contains(&missing), "{}", ran.err);
    }
}

#[test]
fn the_option_wins_over_the_environment() {
    let site = Site::new();
    let file = site.config.display().to_string();
    let ran = feed(
        bare(&["-c", &file, "check-config"]).env("OUTGATE_CONFIG", "/nonexistent"),
        b"",
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let ran = feed(bare(&["check-config"]).env("OUTGATE_CONFIG", &file), b"");
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn without_a_daemon_status_is_temporary() {
    let site = Site::new();
    let ran = site.run(&["status"]);
    assert_eq!(ran.code, 75, "{ran:?}");
    assert!(ran.err.contains("control.sock"), "{}", ran.err);
    assert!(ran.err.contains("hint: "), "{}", ran.err);
}

#[test]
fn a_store_that_cannot_be_used_is_no_refusal() {
    let site = Site::new();
    std::fs::write(
        site.path("outgate.db"),
        "this is no database, and no user is in it",
    )
    .unwrap();
    for args in [
        &["user", "list"][..],
        &["user", "show", "shop"],
        &["domain", "add", "example.com"],
    ] {
        let ran = site.run(args);
        assert_eq!(ran.code, 75, "{args:?}: {ran:?}");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn a_locked_store_is_temporary() {
    let site = Site::new();
    site.done(&["domain", "add", "example.com"]);
    let other = rusqlite::Connection::open(site.path("outgate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let ran = site.run(&["--json", "domain", "add", "example.org"]);
    assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{ran:?}");
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(
        error["error"].as_str().unwrap().contains("locked"),
        "{error}"
    );
    // Reading needs no lock.
    site.done(&["domain", "show", "example.com"]);
    other.execute_batch("ROLLBACK").unwrap();
    site.done(&["domain", "add", "example.org"]);
}
