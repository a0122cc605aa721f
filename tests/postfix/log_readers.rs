//! What other programs read in Postfix's log when outgate refuses: Fail2Ban's own filter for Postfix,
//! with and without the file that is shipped for it, and pflogsumm.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::host::{Host, Setup, wait_for};
use crate::{FRIEND, USERS, expect, session};

/// The addresses that Fail2Ban would count, with these files beside its own.
fn counted(host: &Host, mode: &str, ours: &[&str]) -> BTreeSet<String> {
    let own = Path::new("/etc/fail2ban");
    let config = host.path("fail2ban");
    let _ = fs::remove_dir_all(&config);
    fs::create_dir_all(config.join("filter.d")).unwrap();
    for name in [
        "fail2ban.conf",
        "filter.d/common.conf",
        "filter.d/postfix.conf",
    ] {
        fs::copy(own.join(name), config.join(name)).unwrap();
    }
    for name in ours {
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fail2ban");
        fs::copy(shipped.join(name), config.join("filter.d").join(name)).unwrap();
    }
    let ran = Command::new("fail2ban-regex")
        .arg("-c")
        .arg(config)
        .args(["-o", "ip"])
        .arg(host.path("log/mail.log"))
        .arg(format!("postfix[mode={mode}]"))
        .output()
        .unwrap();
    let addresses = String::from_utf8(ran.stdout).unwrap();
    addresses.lines().map(str::to_owned).collect()
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses
        .iter()
        .map(|&address| address.to_owned())
        .collect()
}

/// The lines of pflogsumm's report behind this heading, up to the next empty one.
fn summed_up(host: &Host, heading: &str) -> String {
    let ran = Command::new("pflogsumm")
        .arg(host.path("log/mail.log"))
        .output();
    let report = String::from_utf8(ran.unwrap().stdout).unwrap();
    let Some((_, rest)) = report.split_once(heading) else {
        panic!("no {heading:?} in {report}");
    };
    rest.split("\n\n\n").next().unwrap().to_owned()
}

/// Somebody guesses, a customer has moved, and a customer uses a wrong sender.
fn trouble(wiring: &'static str) -> Host {
    let host = Host::start(Setup::new(wiring), USERS);
    let mut guess = host.connect();
    guess.xclient("198.51.100.66", None);
    expect(&guess.login("office", "wrong"), "535 ");
    let mut moved = host.connect();
    moved.xclient("198.51.100.77", None);
    let answer = moved.login("office", "correct-horse");
    assert!(answer.contains("IP not authorized"), "{answer}");
    let mut wrong = session(&host, wiring, "shop", "198.51.100.88");
    let answer = wrong.send("ceo@evil.example", FRIEND, "From: news@example.com");
    assert!(answer.contains("[ACL] Blocked"), "{answer}");
    wait_for("Postfix's log of it", || {
        let log = host.mail_log();
        log.matches("authentication failed").count() == 2 && log.contains("evil.example")
    });
    host
}

#[test]
fn fail2ban_counts_who_guesses_and_with_our_file_nobody_else() {
    for wiring in ["auth-milter", "auth-policy"] {
        let host = trouble(wiring);
        let (both, guesses) = (
            set(&["198.51.100.66", "198.51.100.77"]),
            set(&["198.51.100.66"]),
        );
        for mode in ["auth", "extra"] {
            // That a right password counts is what our file is for.
            assert_eq!(counted(&host, mode, &[]), both, "{wiring} {mode}");
            assert_eq!(
                counted(&host, mode, &["postfix.local"]),
                guesses,
                "{wiring} {mode}"
            );
        }
        // Who may not send as somebody is nobody to be banned: not even among the refusals.
        assert_eq!(counted(&host, "more", &[]), set(&[]), "{wiring}");
    }
}

/// It knows `reject:`, and not yet `milter-reject:`: there, `outgate log --refused` is the report.
#[test]
fn pflogsumm_counts_refusals_by_policy() {
    let refused = summed_up(&trouble("auth-policy"), "message reject detail");
    assert!(refused.contains("5.7.1 <ceo@evil.example>"), "{refused}");
    assert!(refused.contains("   1   198.51.100.88\n"), "{refused}");
    let refused = summed_up(&trouble("auth-milter"), "message reject detail");
    assert!(refused.starts_with(": none"), "{refused}");
}
