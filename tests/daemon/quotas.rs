//! Quotas while the store cannot be written: what needs a charge is put off, nothing else is; what was
//! put off costs nothing, and what was accepted is not forgotten.

use outgate::model::quota::Unit::Messages;
use rusqlite::Connection;

use crate::counters::used;
use crate::site::{Daemon, LONG, Site, until};
use crate::small_disk::SmallDisk;
use crate::submission::{Milter, Policy};

const TROUBLE: &str = "451 4.3.0 ";

/// `shop` has a quota, `free` has none.
fn users(site: &Site) {
    site.done(&["domain", "add", "example.com", "--trusted"]);
    let shop = ["user", "add", "shop", "--allow", "example.com"];
    site.done(&[&shop[..], &["--quota", "1000000/total"]].concat());
    site.done(&["user", "add", "free", "--allow", "example.com"]);
}

fn count(site: &Site) -> u64 {
    used(&site.database(), "shop", Messages)
}

/// Decisions that charge nothing are given.
fn decides(policy: &mut Policy) {
    assert_eq!(policy.rcpt("shop", "0.0").unwrap(), "DUNNO");
    let free = policy.data("free", "0.0").unwrap();
    assert_eq!(free, "DUNNO");
}

#[test]
fn while_somebody_else_writes_what_needs_a_charge_is_put_off() {
    let site = Site::new();
    let daemon = site.ready();
    users(&site);
    let mut policy = Policy::connect(&site).unwrap();
    let mut milter = Milter::connect(&site).unwrap();
    assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
    let writer = Connection::open(site.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    decides(&mut policy);
    let refused = policy.data("shop", "1.2").unwrap();
    assert!(refused.starts_with(TROUBLE), "{refused}");
    milter.begin("shop").unwrap();
    let refused = milter.end().unwrap().unwrap();
    assert!(refused.starts_with(TROUBLE), "{refused}");
    decides(&mut policy);
    // Charged before the trouble, and so not to be charged again.
    assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
    assert_eq!(count(&site), 1);
    drop(writer);
    until(
        LONG,
        || policy.data("shop", "1.2").unwrap(),
        |answer| answer == "DUNNO",
    );
    assert_eq!(count(&site), 2);
    milter.begin("shop").unwrap();
    assert_eq!(milter.end().unwrap(), None);
    assert_eq!(count(&site), 3);
    for instance in ["1.1", "1.2"] {
        assert_eq!(policy.data("shop", instance).unwrap(), "DUNNO");
    }
    daemon.stop();
    assert_eq!(count(&site), 3);
}

#[test]
fn a_charge_that_was_put_off_takes_no_place() {
    let site = Site::new();
    let daemon = site.ready();
    users(&site);
    site.done(&["user", "set", "shop", "--quota", "2/total"]);
    let mut policy = Policy::connect(&site).unwrap();
    assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
    let writer = Connection::open(site.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    // One place is left for the two that wait; whoever does not get it may not have it either.
    std::thread::scope(|scope| {
        for instance in ["1.2", "1.3"] {
            let site = &site;
            scope.spawn(move || {
                let mut policy = Policy::connect(site).unwrap();
                let answer = policy.data("shop", instance).unwrap();
                assert!(answer.starts_with('4'), "{answer}");
            });
        }
    });
    drop(writer);
    until(
        LONG,
        || policy.data("shop", "1.4").unwrap(),
        |answer| answer == "DUNNO",
    );
    for instance in ["1.2", "1.3"] {
        let answer = policy.data("shop", instance).unwrap();
        assert!(answer.starts_with("450 4.7.1 [QUOTA]"), "{answer}");
    }
    assert_eq!(count(&site), 2);
    daemon.stop();
}

#[test]
fn a_reset_is_logged_with_who_did_it() {
    let site = Site::new();
    let daemon = site.ready();
    users(&site);
    let mut reset = site.command(&["quota", "reset", "shop"]);
    assert!(reset.env("SUDO_USER", "jane").status().unwrap().success());
    let says = ["was set to 0", "subject=user:", "by=\"jane\""];
    daemon.err.wait("who did it", |line| {
        says.iter().all(|word| line.contains(word))
    });
    daemon.stop();
}

/// Hands in messages until the disk is full: how many were accepted, and the instance of the one
/// that was not. There is some room at first in what the database has already taken.
fn fill(policy: &mut Policy, name: &str) -> (u64, String) {
    let mut accepted = 0;
    loop {
        let instance = format!("{name}.{accepted}");
        let answer = policy.data("shop", &instance).unwrap();
        if answer != "DUNNO" {
            assert!(answer.starts_with(TROUBLE), "{answer}");
            return (accepted, instance);
        }
        accepted += 1;
    }
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_it_goes_on_when_there_is_space() {
    let Some(disk) = SmallDisk::mount() else {
        eprintln!("skipped: this user may not mount a file system");
        return;
    };
    let site = Site::new();
    std::os::unix::fs::symlink(disk.path(), site.path("state")).unwrap();
    let mut daemon = site.ready();
    users(&site);
    let mut accepted = 0;
    let ballast = disk.path().join("ballast");
    for time in ["first", "second"] {
        // Fails when the disk is full, as it should.
        std::fs::write(&ballast, vec![0; 2 << 20]).unwrap_err();
        let mut policy = Policy::connect(&site).unwrap();
        let (more, put_off) = fill(&mut policy, time);
        accepted += more;
        decides(&mut policy);
        daemon
            .err
            .wait("trouble", |line| line.contains("the store is in trouble"));
        std::fs::remove_file(&ballast).unwrap();
        until(
            LONG,
            || policy.data("shop", &put_off).unwrap(),
            |answer| answer == "DUNNO",
        );
        accepted += 1;
        assert_eq!(policy.data("shop", &put_off).unwrap(), "DUNNO");
        assert_eq!(count(&site), accepted, "the {time} time");
        // Killed, it has not kept anything for itself.
        daemon = restarted(&site, daemon);
        let mut policy = Policy::connect(&site).unwrap();
        assert_eq!(policy.data("shop", &put_off).unwrap(), "DUNNO");
        assert_eq!(count(&site), accepted, "the {time} time");
    }
    daemon.stop();
    drop(site);
}

/// Killed and started again.
fn restarted(site: &Site, daemon: Daemon) -> Daemon {
    drop(daemon);
    site.ready()
}
