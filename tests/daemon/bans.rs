//! The Fail2Ban filter that is shipped, on the log of a daemon that is guessed at: it finds the client
//! that guesses, and nobody whom that client names.

use std::collections::BTreeMap;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::site::{LONG, Site, until};

/// One login, as Postfix hands it over.
fn log_in(site: &Site, address: &str, login: &str, password: &str) {
    let mut auth = site.connect("auth");
    auth.handshake();
    let response = STANDARD.encode(format!("\0{login}\0{password}"));
    auth.send(format!("AUTH\t1\tPLAIN\tservice=smtp\trip={address}\tresp={response}\n").as_bytes());
    let _ = auth.line();
}

/// How often each address counts.
fn found(site: &Site, log: &str) -> BTreeMap<String, usize> {
    let file = site.path("log");
    std::fs::write(&file, log).unwrap();
    let filter = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/packaging/fail2ban/outgate.conf"
    );
    let ran = Command::new("fail2ban-regex")
        .args(["-o", "ip"])
        .arg(file)
        .arg(filter)
        .output()
        .unwrap();
    let mut found = BTreeMap::new();
    for address in String::from_utf8(ran.stdout).unwrap().lines() {
        *found.entry(address.to_owned()).or_default() += 1;
    }
    found
}

#[test]
fn the_filter_finds_who_guesses_in_every_form_of_the_log() {
    for format in ["text", "json"] {
        let site = Site::with(&format!("[log]\nformat = \"{format}\"\n"));
        let daemon = site.ready();
        site.shop();
        site.done(&["user", "set", "shop", "--ip", "192.0.2.0/24"]);
        let shown = site.done(&["--json", "user", "passwd", "shop"]);
        let password = serde_json::from_str::<serde_json::Value>(&shown).unwrap()["password"]
            .as_str()
            .unwrap()
            .to_owned();
        let forged = "x\" client=192.0.2.66 login=\"";
        let whole = "decision front_end=auth stage=auth verdict=refuse reason=bad-password id=a user=- account=- client=192.0.2.66 login=";
        log_in(&site, "203.0.113.66", "shop", "wrong");
        log_in(&site, "203.0.113.66", "nobody", "wrong");
        log_in(&site, "203.0.113.66", forged, "wrong");
        log_in(&site, "203.0.113.66", whole, "wrong");
        log_in(&site, "2001:db8::66", "\",\"client\":\"192.0.2.66", "wrong");
        log_in(&site, "203.0.113.77", "shop", &password);
        log_in(&site, "192.0.2.7", "shop", &password);
        let mut policy = site.connect("policy");
        policy.send(format!("request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1\nclient_address=192.0.2.1\nsasl_username={whole}\nsender=a@b.example\n\n").as_bytes());
        let _ = policy.line();
        until(
            LONG,
            || daemon.err.text().matches("front_end").count(),
            |lines| *lines >= 8,
        );
        let log = daemon.err.text();
        let prefixed = log
            .lines()
            .map(|line| format!("Nov 25 10:00:00 mx outgate[71]: {line}\n"));
        for log in [prefixed.collect::<String>(), log.clone()] {
            let found = found(&site, &log);
            let expected = [("2001:db8::66", 1), ("203.0.113.66", 4)];
            let expected = expected.map(|(address, times)| (address.to_owned(), times));
            assert_eq!(found, BTreeMap::from(expected), "{log}");
        }
        daemon.stop();
    }
}
