//! `outgate status`: what the daemon says of itself, in good times and in trouble.

use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::site::{LONG, Site, mode, until};
use crate::small_disk::SmallDisk;
use crate::submission::Policy;

fn status(site: &Site) -> Value {
    serde_json::from_str(&site.control(b"{\"ask\":\"status\"}\n")).unwrap()
}

/// `shop` has a quota: each of its messages is a write.
fn counted(site: &Site) {
    site.shop();
    site.done(&["user", "set", "shop", "--quota", "1000000/total"]);
}

fn said(status: &Value) -> Vec<&str> {
    let errors = status["last_errors"].as_array().unwrap();
    let words = errors
        .iter()
        .map(|error| error["message"].as_str().unwrap());
    words.collect()
}

#[test]
fn all_is_well() {
    let site = Site::with("[milter]\nmax-connections = 70\n");
    let _daemon = site.ready();
    counted(&site);
    let before = status(&site);
    assert_eq!(before["store"]["last_commit_at"], json!(null), "{before}");
    let mut policy = Policy::connect(&site).unwrap();
    assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
    let status = status(&site);
    let store = &status["store"];
    assert_eq!(store["ok"], true, "{status}");
    for nothing in ["reading", "writing", "trouble_since"] {
        assert_eq!(store[nothing], json!(null), "{nothing}: {status}");
    }
    assert!(store["last_commit_at"].is_string(), "{status}");
    assert_eq!(store["bytes"], site.database().metadata().unwrap().len());
    assert!(store["log_bytes"].as_u64().unwrap() > 0, "{status}");
    let limits = json!({"auth": null, "policy": null, "milter": 70});
    assert_eq!(status["connection_limits"], limits);
    let remembered = &status["remembered"];
    assert_eq!(
        (&remembered["users"], &remembered["accounts"]),
        (&json!(1), &json!(1))
    );
    assert!(status["config_loaded_at"].is_string(), "{status}");
    let named = status["commit"].is_null() || status["commit"].is_string();
    assert!(named, "{status}");
    // Only its owner may ask.
    assert_eq!(mode(&site.path("state/control.sock")), 0o600);
}

#[test]
fn what_went_wrong_lately_is_kept_and_counted() {
    let site = Site::new();
    let daemon = site.ready();
    std::fs::write(site.config(), "[nonsense]\n").unwrap();
    for times in 1..=3 {
        daemon.signal(Signal::HUP);
        until(
            LONG,
            || status(&site),
            |status| {
                let not_reloaded = |error: &&Value| {
                    let message = error["message"].as_str().unwrap();
                    message.starts_with("configuration not reloaded")
                };
                let errors = status["last_errors"].as_array().unwrap();
                errors
                    .iter()
                    .find(not_reloaded)
                    .is_some_and(|e| e["times"] == times)
            },
        );
    }
    let shown = site.control(b"{\"ask\":\"status\"}\n");
    assert!(shown.contains("nonsense"), "{shown}");
}

#[test]
fn a_write_that_fails_shows_at_once_and_so_does_one_that_works() {
    let site = Site::new();
    let daemon = site.ready();
    counted(&site);
    let mut policy = Policy::connect(&site).unwrap();
    let writer = Connection::open(site.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(policy.data("shop", "1.1").unwrap().starts_with("451 "));
    let troubled = status(&site);
    let store = &troubled["store"];
    assert_eq!(store["ok"], false, "{troubled}");
    assert_eq!(store["reading"], json!(null), "{troubled}");
    assert!(
        store["writing"].as_str().unwrap().contains("locked"),
        "{troubled}"
    );
    assert!(store["trouble_since"].is_string(), "{troubled}");
    assert!(!said(&troubled).is_empty(), "{troubled}");
    let shown = site.done(&["status"]);
    assert!(shown.contains("last errors"), "{shown}");
    // It goes on: the beginning stays what it was.
    assert!(policy.data("shop", "1.2").unwrap().starts_with("451 "));
    assert_eq!(
        status(&site)["store"]["trouble_since"],
        store["trouble_since"]
    );
    drop(writer);
    until(
        LONG,
        || policy.data("shop", "1.3").unwrap(),
        |answer| answer == "DUNNO",
    );
    let healed = status(&site);
    assert_eq!(healed["store"]["ok"], true, "{healed}");
    assert_eq!(healed["store"]["trouble_since"], json!(null), "{healed}");
    daemon.stop();
}

#[test]
fn a_full_disk_shows_at_once_and_its_end_is_seen_though_nobody_writes() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let site = Site::new();
    std::os::unix::fs::symlink(disk.path(), site.path("state")).unwrap();
    let daemon = site.ready();
    counted(&site);
    let mut policy = Policy::connect(&site).unwrap();
    let ballast = disk.path().join("ballast");
    // Fails when the disk is full, as it should.
    std::fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
    let mut number = 0;
    while policy.data("shop", &format!("1.{number}")).unwrap() == "DUNNO" {
        number += 1;
    }
    let full = status(&site);
    assert_eq!(full["store"]["ok"], false, "{full}");
    let why = full["store"]["writing"].as_str().unwrap();
    assert!(why.contains("space"), "{why}");
    std::fs::remove_file(&ballast).unwrap();
    until(
        LONG,
        || status(&site)["store"]["ok"].clone(),
        |ok| *ok == true,
    );
    daemon.stop();
    drop(site);
}
