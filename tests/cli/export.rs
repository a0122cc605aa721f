//! `export`.

use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::site::Site;

fn site() -> Site {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.user(
        "shop",
        &["--allow", "example.com", "--note", "a\u{202e}b"],
        "long enough",
    );
    site
}

#[test]
fn a_file_is_private_and_imports_to_the_same_users_with_the_same_passwords() {
    let site = site();
    let file = site.path("all.jsonl");
    let path = file.to_str().unwrap();
    let done = site.json(&["export", path]);
    assert_eq!(done, json!({"accounts": 1, "domains": 1, "users": 1}));
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);
    let other = Site::new();
    other.done(&["import", "outgate", path]);
    let shown = |site: &Site| site.json(&["user", "show", "shop"]);
    assert_eq!(shown(&other), shown(&site));
    let test = ["user", "test", "shop", "--password-stdin"];
    assert_eq!(other.run_with_input(&test, b"long enough").code, 0);
    // The same lines on standard output, with --json too; nothing that a terminal would act on.
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(other.done(&["export", "-"]), lines);
    assert_eq!(other.done(&["--json", "export", "-"]), lines);
    assert!(lines.contains("a\\u202eb"), "{lines}");
    for line in lines.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["type"].is_string());
    }
}

#[test]
fn a_file_that_is_there_is_kept_or_replaced_as_a_whole() {
    let site = site();
    let file = site.path("all.jsonl");
    let export = ["export", file.to_str().unwrap()];
    std::fs::write(&file, "mine").unwrap();
    site.refused(&export);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    site.done(&[&export[..], &["--force"]].concat());
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(lines.lines().count(), 3);
    let ran = site.refused(&["export", site.path("missing/all.jsonl").to_str().unwrap()]);
    assert!(ran.err.contains("directory"), "{}", ran.err);
}

#[test]
fn whoever_stops_reading_is_no_failure() {
    let site = Site::new();
    let users: Vec<_> = (0..5000)
        .map(|number| format!(r#"{{"type":"user","name":"user{number}"}}"#))
        .collect();
    let users: Vec<_> = users.iter().map(String::as_str).collect();
    let file = site.path("users.jsonl");
    crate::site::write(&file, &users);
    site.done(&["import", "outgate", file.to_str().unwrap()]);
    let mut child = site
        .command(&["export", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ended = child.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(ended.stderr.is_empty(), "{ended:?}");
}
