//! A backup of the store of a running daemon, and its way back: stop, copy, start.

use outgate::model::quota::Unit::Messages;

use crate::counters::used;
use crate::site::Site;
use crate::submission::Policy;

/// Everything that an operator sees, but for what changes by itself.
fn state(site: &Site) -> String {
    ["account", "domain"]
        .map(|noun| site.done(&["--json", noun, "list"]))
        .concat()
}

#[test]
fn a_restored_copy_has_the_users_and_what_they_have_used() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    site.done(&["user", "set", "shop", "--quota", "5/total"]);
    let mut policy = Policy::connect(&site).unwrap();
    for message in 0..3 {
        let answer = policy.data("shop", &format!("1.{message}")).unwrap();
        assert_eq!(answer, "DUNNO");
    }
    let file = site.path("copy.db");
    site.done(&["backup", file.to_str().unwrap()]);
    let before = state(&site);

    // What comes later is not in it.
    assert_eq!(policy.data("shop", "2.0").unwrap(), "DUNNO");
    site.done(&["domain", "add", "later.example", "--trusted"]);
    site.done(&["user", "remove", "shop"]);
    assert!(site.policy("a@example.com").starts_with("550 "));

    // As docs/backup.md says it; killed, so that the old log is still there.
    drop(daemon);
    for suffix in ["-wal", "-shm"] {
        let beside = site.path(&format!("state/outgate.db{suffix}"));
        assert!(beside.exists());
        std::fs::remove_file(beside).unwrap();
    }
    std::fs::copy(&file, site.database()).unwrap();
    let daemon = site.ready();
    assert_eq!(state(&site), before);
    assert_eq!(used(&site.database(), "shop", Messages), 3);
    let mut policy = Policy::connect(&site).unwrap();
    // Charged before the copy was made: known.
    assert_eq!(policy.data("shop", "1.0").unwrap(), "DUNNO");
    for message in 0..2 {
        let answer = policy.data("shop", &format!("3.{message}")).unwrap();
        assert_eq!(answer, "DUNNO");
    }
    let over = policy.data("shop", "3.2").unwrap();
    assert!(over.starts_with("450 4.7.1 [QUOTA]"), "{over}");
    daemon.stop();
    assert_eq!(used(&site.database(), "shop", Messages), 5);
}
