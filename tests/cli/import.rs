//! `import outgate`.

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::site::{Site, write};

const FILE: &[&str] = &[
    r#"{"type":"account","name":"acme","plan":"free","quotas":[{"limit":100,"window":"day","unit":"messages"}]}"#,
    r#"{"type":"domain","domain":"example.com","account":"acme","status":"verified","verified_by":"operator"}"#,
    r#"{"type":"user","id":"018f0000-0000-7000-8000-000000000001","name":"shop","account":"acme","allow":["example.com"],"ip":["192.0.2.0/24"],"note":"a shop"}"#,
    r#"{"type":"user","name":"press","account":"acme"}"#,
];

fn state(site: &Site) -> Vec<Value> {
    ["account", "domain", "user"]
        .map(|noun| site.json(&[noun, "list"]))
        .into()
}

#[test]
fn importing_twice_changes_nothing() {
    let site = Site::new();
    let path = site.path("all.jsonl");
    write(&path, FILE);
    let args = ["import", "outgate", path.to_str().unwrap()];
    let done = site.json(&args);
    let added = ["accounts", "domains", "users"].map(|kind| done[kind]["added"].clone());
    assert_eq!(added, [json!(1), json!(1), json!(2)], "{done}");
    let first = state(&site);
    let again = site.json(&args);
    assert_eq!(
        again["users"],
        json!({"added": 0, "replaced": 0, "unchanged": 2})
    );
    assert_eq!(state(&site), first);
    assert_eq!(
        site.json(&["user", "show", "shop"])["id"],
        "018f0000-0000-7000-8000-000000000001"
    );
}

#[test]
fn a_dry_run_only_checks() {
    let site = Site::new();
    let before = state(&site);
    let path = site.path("all.jsonl");
    write(&path, FILE);
    let done = site.json(&["import", "outgate", path.to_str().unwrap(), "--dry-run"]);
    assert_eq!(done["users"]["added"], 2);
    assert_eq!(state(&site), before);
}

#[test]
fn standard_input_is_a_file() {
    let site = Site::new();
    let ran = site.run_with_input(&["import", "outgate", "-"], FILE.join("\n").as_bytes());
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(site.json(&["user", "list"]).as_array().unwrap().len(), 2);
}

/// Somebody on the other end of the pipe thinks, or types a passphrase.
#[test]
fn a_pipe_that_has_not_ended_keeps_nobody_from_the_store() {
    let site = Site::new();
    let mut child = site
        .command(&["import", "outgate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a pipe holds: the program is reading.
    for number in 0..20_000 {
        writeln!(pipe, r#"{{"type":"account","name":"a{number}"}}"#).unwrap();
    }
    site.done(&["account", "add", "meanwhile"]);
    writeln!(pipe, r#"{{"type":"user","name":"shop","account":"a7"}}"#).unwrap();
    drop(pipe);
    assert!(child.wait_with_output().unwrap().status.success());
    assert_eq!(site.json(&["user", "show", "shop"])["account"], "a7");
    let names = std::fs::read_dir(site.dir.path()).unwrap();
    let left = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.contains("import")));
}

#[test]
fn an_error_names_line_and_field_and_undoes_everything() {
    let site = Site::new();
    let before = state(&site);
    let path = site.path("bad.jsonl");
    for (line, field) in [
        (r#"{"type":"user","name":"a b"}"#, "name"),
        (r#"{"type":"user","name":"x","frob":1}"#, "frob"),
        (r#"{"type":"user","name":"x","ip":["192.0.2.0/33"]}"#, "ip"),
        (
            r#"{"type":"user","name":"x","account":"acme","allow":["foreign.example"]}"#,
            "allow",
        ),
        (
            r#"{"type":"user","name":"x","password_hash":"plain"}"#,
            "password_hash",
        ),
        (r#"{"type":"frob"}"#, "type"),
        ("not json", ""),
    ] {
        let mut lines = FILE.to_vec();
        lines.push(line);
        write(&path, &lines);
        for dry in [&[][..], &["--dry-run"]] {
            let ran = site.refused(&[&["import", "outgate", path.to_str().unwrap()], dry].concat());
            assert!(
                ran.err.contains("line 5") || ran.err.contains(":5"),
                "{line}: {}",
                ran.err
            );
            assert!(ran.err.contains(field), "{line}: {}", ran.err);
            assert_eq!(state(&site), before);
        }
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let site = Site::new();
    let ran = site.refused(&["import", "outgate", "/nonexistent/file"]);
    assert!(ran.err.contains("/nonexistent/file"), "{}", ran.err);
}

#[test]
fn imported_hashes_verify() {
    let site = Site::new();
    let path = site.path("hash.jsonl");
    // The password is "correct horse".
    let cost = outgate::config::HashCost {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
    };
    let password = outgate::model::password::Password::parse("correct horse").unwrap();
    let hash = outgate::auth::hash::hash(&password, cost).unwrap();
    write(
        &path,
        &[&json!({"type": "user", "name": "shop", "password_hash": hash}).to_string()],
    );
    site.done(&["import", "outgate", path.to_str().unwrap()]);
    let test = |password: &[u8]| {
        site.run_with_input(&["user", "test", "shop", "--password-stdin"], password)
            .code
    };
    assert_eq!((test(b"correct horse\n"), test(b"wrong horse\n")), (0, 1));
}
