//! outgate beside a real Postfix, in every wiring: what an SMTP client hears, and what the log says.
//!
//! Wants root and Debian's postfix, openssl and swaks: `make test` installs them.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

mod any_domain;
#[path = "../counters/mod.rs"]
mod counters;
mod explained;
mod held;
mod host;
mod log_readers;
#[path = "../nameserver/mod.rs"]
mod nameserver;
mod outage;
mod ownership;
mod quotas;
mod refused_at_data;
mod restarts;
mod smtp;

use std::process::Command;

use host::{Host, Setup, wait_for};
use smtp::Smtp;

const USERS: &[&str] = &[
    "domain add example.com --trusted",
    "domain add xn--e1afmkfd.xn--p1ai --trusted",
    "user add shop --allow example.com",
    "user add all --mode all-domains",
    "user add office --allow example.com --ip 192.0.2.0/24",
    "user add printer --allow example.com --check-from envelope",
];
const FRIEND: &[&str] = &["friend@elsewhere.example"];

/// A session of this user, from this address. Where AUTH is not outgate's, XCLIENT stands for it.
fn session(host: &Host, wiring: &str, user: &str, address: &str) -> Smtp {
    let mut smtp = host.connect();
    if wiring.starts_with("auth") {
        smtp.xclient(address, None);
        let answer = smtp.login(user, "correct-horse");
        assert!(answer.starts_with("235 2.7.0"), "{answer}");
    } else {
        smtp.xclient(address, Some(user));
    }
    smtp
}

fn expect(answer: &str, beginning: &str) {
    assert!(
        answer.starts_with(beginning),
        "{answer}\nexpected: {beginning}"
    );
}

/// The story of one wiring.
fn story(setup: Setup) {
    let host = Host::start(setup, USERS);
    let milter = setup.wiring.ends_with("milter");
    let mut smtp = session(&host, setup.wiring, "shop", "198.51.100.7");

    // Accepted, whatever the number of recipients: one line.
    let many = &[
        "a@elsewhere.example",
        "b@elsewhere.example",
        "c@elsewhere.example",
    ];
    let answer = smtp.send(
        "news@example.com",
        many,
        "From: \"News, daily\" <news@example.com>",
    );
    expect(&answer, "250 2.0.0 Ok: queued as");
    let line = host.decision_about("news@example.com");
    assert_eq!(line["verdict"], "allow");
    assert_eq!(line["recipients"], 3);
    assert_eq!(line["client"], "198.51.100.7");
    assert_eq!(line["stage"], if milter { "eom" } else { "data" });
    assert_eq!(line["front_end"], if milter { "milter" } else { "policy" });
    assert!(
        answer.ends_with(line["queue_id"].as_str().unwrap()),
        "{answer} {line}"
    );
    let lines = host
        .decisions()
        .iter()
        .filter(|d| d["mail_from"] == "news@example.com")
        .count();
    assert_eq!(lines, 1);

    foreign_sender(&host, &mut smtp, milter, many);
    header_from(&mut smtp, milter);
    expect(
        &smtp.send("", FRIEND, "From: daemon@example.com"),
        "250 2.0.0",
    );

    // The recipient that skips every restriction at RCPT.
    let answer = smtp.send(
        "ceo@evil.example",
        &["postmaster"],
        "From: news@example.com",
    );
    assert!(
        answer.starts_with("550 5.7.1 ") && answer.contains("[ACL] Blocked"),
        "{answer}"
    );
    smtp.reset();
    wrong_address(&host, setup);
    changes_in_mid_session(&host, setup);
}

/// Asked about once or for each recipient: one line.
fn foreign_sender(host: &Host, smtp: &mut Smtp, milter: bool, many: &[&str]) {
    let blocked = |sender: &str| {
        if milter {
            format!("550 5.7.1 [ACL] Blocked: user shop may not send as {sender} (envelope sender)")
        } else {
            format!(
                "550 5.7.1 <{sender}>: Sender address rejected: [ACL] Blocked: user shop may not send as {sender} (envelope sender)"
            )
        }
    };
    let answer = smtp.send("ceo@evil.example", many, "From: ceo@evil.example");
    expect(&answer, &blocked("ceo@evil.example"));
    assert_eq!(
        host.decision_about("ceo@evil.example")["reason"],
        "sender-not-allowed"
    );
    let lines = host
        .decisions()
        .iter()
        .filter(|d| d["mail_from"] == "ceo@evil.example")
        .count();
    assert_eq!(lines, 1);
    smtp.reset();
}

/// What only a milter sees.
fn header_from(smtp: &mut Smtp, milter: bool) {
    let answer = smtp.send("news@example.com", FRIEND, "From: ceo@evil.example");
    if milter {
        expect(
            &answer,
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@evil.example (header From)",
        );
        expect(
            &smtp.send("", FRIEND, "From: a@evil.example"),
            "550 5.7.1 [ACL] Blocked",
        );
        expect(
            &smtp.send("news@example.com", FRIEND, "X: no From"),
            "550 5.7.1 [ACL] Blocked: the header From of user shop",
        );
        let twice = "From: news@example.com\r\nFrom: news@example.com";
        expect(
            &smtp.send("news@example.com", FRIEND, twice),
            "550 5.7.1 [ACL] Blocked",
        );
    } else {
        expect(&answer, "250 2.0.0");
    }
}

fn wrong_address(host: &Host, setup: Setup) {
    let mut inside = session(host, setup.wiring, "office", "192.0.2.44");
    expect(
        &inside.send("o@example.com", FRIEND, "From: o@example.com"),
        "250 2.0.0",
    );
    for address in ["198.51.100.7", "[UNAVAILABLE]"] {
        let mut smtp = host.connect();
        if setup.wiring.starts_with("auth") {
            smtp.xclient(address, None);
            let answer = smtp.login("office", "correct-horse");
            assert_eq!(
                answer,
                "535 5.7.8 Error: authentication failed: IP not authorized"
            );
            let answer = smtp.login("office", "wrong-horse");
            assert_eq!(
                answer,
                "535 5.7.8 Error: authentication failed: Authentication failed"
            );
            let answer = smtp.login("nobody", "correct-horse");
            assert_eq!(
                answer,
                "535 5.7.8 Error: authentication failed: Authentication failed"
            );
        } else {
            smtp.xclient(address, Some("office"));
            let answer = smtp.send("o@example.com", FRIEND, "From: o@example.com");
            if setup.wiring == "milter" {
                assert_eq!(answer, "535 5.7.8 IP not authorized");
            } else {
                assert_eq!(
                    answer,
                    "535 5.7.8 <o@example.com>: Sender address rejected: IP not authorized"
                );
            }
        }
    }
}

/// Each command works on the next question, in the session that is open.
fn changes_in_mid_session(host: &Host, setup: Setup) {
    let own = "From: news@example.com";
    let mut smtp = session(host, setup.wiring, "shop", "198.51.100.7");
    expect(&smtp.send("news@example.com", FRIEND, own), "250 2.0.0");
    for _ in 0..5 {
        host.outgate("user suspend shop");
        let answer = smtp.send("news@example.com", FRIEND, own);
        assert!(
            answer.starts_with("550 5.7.1 ") && answer.contains("is suspended"),
            "{answer}"
        );
        smtp.reset();
        host.outgate("user resume shop");
        expect(&smtp.send("news@example.com", FRIEND, own), "250 2.0.0");
    }
    host.outgate("user set shop --drop-allow example.com");
    let answer = smtp.send("news@example.com", FRIEND, own);
    assert!(answer.contains("[ACL] Blocked"), "{answer}");
    smtp.reset();
    host.outgate("user set shop --add-allow example.com");
    // Between MAIL and DATA.
    expect(&smtp.say("MAIL FROM:<news@example.com>"), "250");
    expect(&smtp.say("RCPT TO:<friend@elsewhere.example>"), "250");
    host.outgate("user remove shop");
    let answer = smtp.say("DATA");
    assert!(
        answer.starts_with("550 5.7.1 ") && answer.contains("not known here"),
        "{answer}"
    );
    smtp.reset();
    // The name given anew is somebody else: a milter session has to log in again.
    host.outgate("user add shop --allow example.com");
    let answer = smtp.send("news@example.com", FRIEND, own);
    if setup.wiring.ends_with("milter") {
        expect(
            &answer,
            "550 5.7.1 [ACL] Blocked: login shop has changed, log in again",
        );
    } else {
        expect(&answer, "250 2.0.0");
    }
}

#[test]
fn auth_and_milter() {
    story(Setup::new("auth-milter"));
}

#[test]
fn auth_and_milter_without_chroot_and_with_delayed_refusals() {
    story(Setup {
        chroot: false,
        delay_reject: true,
        ..Setup::new("auth-milter")
    });
}

#[test]
fn milter_beside_another_auth() {
    story(Setup {
        delay_reject: true,
        ..Setup::new("milter")
    });
}

#[test]
fn auth_and_policy() {
    story(Setup::new("auth-policy"));
}

#[test]
fn auth_and_policy_without_chroot_and_with_delayed_refusals() {
    story(Setup {
        chroot: false,
        delay_reject: true,
        ..Setup::new("auth-policy")
    });
}

#[test]
fn policy_beside_another_auth() {
    story(Setup {
        chroot: false,
        ..Setup::new("policy")
    });
}

#[test]
fn the_file_as_it_is_with_starttls_and_a_foreign_client() {
    let host = Host::start(
        Setup {
            tls: true,
            ..Setup::new("auth-milter")
        },
        USERS,
    );
    let swaks = |user: &str, from: &str, more: &[&str]| {
        let output = Command::new("swaks")
            .args(["--server", "127.0.0.1", "--port", &host.port.to_string()])
            .args([
                "--auth",
                "PLAIN",
                "--auth-user",
                user,
                "--auth-password",
                "correct-horse",
            ])
            .args([
                "--from",
                from,
                "--to",
                "friend@elsewhere.example",
                "--helo",
                "client.example",
            ])
            .args(more)
            .output()
            .expect("swaks is installed by make test");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let talk = swaks("shop", "news@example.com", &["--tls"]);
    assert!(talk.contains("250 2.0.0 Ok: queued as"), "{talk}");
    let talk = swaks("shop", "news@evil.example", &["--tls"]);
    assert!(talk.contains("<~* 550 5.7.1 [ACL] Blocked"), "{talk}");
    let talk = swaks("shop", "news@example.com", &["--tls", "--auth", "LOGIN"]);
    assert!(talk.contains("250 2.0.0 Ok: queued as"), "{talk}");
    // Without TLS Postfix does not offer AUTH at all.
    let talk = swaks("shop", "news@example.com", &[]);
    assert!(!talk.contains("235 "), "{talk}");
}

#[test]
fn both_doors_give_the_same_answer() {
    let milter = Host::start(Setup::new("auth-milter"), USERS);
    let policy = Host::start(Setup::new("auth-policy"), USERS);
    let mut doors = [&milter, &policy].map(|host| session(host, "auth", "shop", "198.51.100.7"));
    for sender in [
        "news@example.com",
        "NEWS@EXAMPLE.COM",
        "news@example.com.",
        "\"quoted local\"@example.com",
        "\"ceo@evil.example\"@example.com",
        "@relay.example:news@example.com",
        "news@sub.example.com",
        "news@notexample.com",
        "news@example.com.evil.example",
        "ceo@evil.example",
        "ceo%evil.example@example.com",
        "news@[192.0.2.1]",
        "news@[IPv6:2001:db8::1]",
        "news@xn--e1afmkfd.xn--p1ai",
        "100%@evil.example",
        "news@a_b.example",
        "news@example.com@evil.example",
        "ceo@evil.example@example.com",
    ] {
        let answers = doors.each_mut().map(|smtp| {
            let answer = smtp.send(sender, FRIEND, "From: news@example.com");
            smtp.reset();
            answer
        });
        let [verbatim, wrapped] =
            answers
                .clone()
                .map(|answer| match answer.split_once("rejected: ") {
                    Some((_, text)) => format!("550 5.7.1 {text}"),
                    None if answer.starts_with("250 2.0.0 Ok") => "accepted".to_owned(),
                    None => answer,
                });
        assert_eq!(verbatim, wrapped, "{sender}: {answers:?}");
    }
}

#[test]
fn an_address_with_two_readings_is_refused_at_both() {
    // `o.test` is one of the host's own domains: Postfix resolves the sender to the other one.
    let users = [
        "domain add o.test --trusted",
        "domain add other.example --trusted",
        "user add shop --allow other.example",
    ];
    let host = Host::start(Setup::new("auth-milter"), &users);
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    for sender in ["bob%other.example@o.test", "other.example!bob@o.test"] {
        let answer = smtp.send(sender, FRIEND, "From: bob@other.example");
        assert!(answer.contains("[ACL] Blocked"), "{sender}: {answer}");
        smtp.reset();
    }
    for sender in ["bob%other.example", "other.example!bob", "bob"] {
        let answer = smtp.send(sender, FRIEND, "From: bob@other.example");
        assert!(answer.starts_with('5'), "{sender}: {answer}");
        smtp.reset();
    }
    expect(
        &smtp.send("bob@other.example", FRIEND, "From: bob@other.example"),
        "250 2.0.0",
    );
}

#[test]
fn a_message_without_a_single_header_is_answered() {
    let host = Host::start(Setup::new("auth-milter"), USERS);
    for (user, beginning) in [
        ("shop", "550 5.7.1 [ACL] Blocked"),
        ("printer", "250 2.0.0 Ok"),
    ] {
        let mut smtp = session(&host, "auth", user, "198.51.100.7");
        expect(&smtp.say("MAIL FROM:<news@example.com>"), "250");
        expect(&smtp.say("RCPT TO:<friend@elsewhere.example>"), "250");
        expect(&smtp.say("DATA"), "354");
        expect(&smtp.say("\r\nOnly a body.\r\n."), beginning);
    }
}

#[test]
fn a_session_without_login_on_an_authenticated_daemon_is_refused() {
    // Nothing else would refuse it.
    let options = "  -o smtpd_relay_restrictions=permit_mynetworks,reject\n";
    let host = Host::start(
        Setup {
            options,
            ..Setup::new("auth-milter")
        },
        USERS,
    );
    let answer = host
        .connect()
        .send("a@example.com", FRIEND, "From: a@example.com");
    assert_eq!(answer, "530 5.7.0 Authentication required");
}

#[test]
fn policy_and_milter_together_say_both_lines_with_one_queue_id() {
    let options =
        "  -o { smtpd_milters = { unix:outgate/milter.sock, default_action=tempfail } }\n";
    let host = Host::start(
        Setup {
            options,
            ..Setup::new("auth-policy")
        },
        USERS,
    );
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    expect(
        &smtp.send("both@example.com", FRIEND, "From: both@example.com"),
        "250 2.0.0",
    );
    let mut lines = Vec::new();
    wait_for("two lines", || {
        lines = host
            .decisions()
            .into_iter()
            .filter(|d| d["mail_from"] == "both@example.com")
            .collect();
        lines.len() == 2
    });
    assert_eq!(lines[0]["queue_id"], lines[1]["queue_id"]);
    assert_ne!(lines[0]["front_end"], lines[1]["front_end"]);
}

#[test]
fn international_senders_are_compared_as_names() {
    let users = [USERS, &["user add idn --allow пример.рф"]].concat();
    let host = Host::start(Setup::new("auth-milter"), &users);
    let mut smtp = session(&host, "auth", "idn", "198.51.100.7");
    expect(&smtp.say("MAIL FROM:<bob@ПРИМЕР.рф> SMTPUTF8"), "250");
    smtp.reset();
    expect(
        &smtp.send(
            "bob@xn--e1afmkfd.xn--p1ai",
            FRIEND,
            "From: Боб <bob@пример.рф>",
        ),
        "250 2.0.0",
    );
    expect(
        &smtp.say("MAIL FROM:<bob@другой.рф> SMTPUTF8"),
        "550 5.7.1 [ACL] Blocked",
    );
}

#[test]
fn what_a_milter_cannot_see_is_refused_by_the_settings() {
    let host = Host::start(Setup::new("auth-milter"), USERS);
    for header in [
        "From: news@example.com\0@evil.example",
        "Fr\0om: ceo@evil.example\r\nFrom: news@example.com",
    ] {
        let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
        let answer = smtp.send("news@example.com", FRIEND, header);
        assert!(answer.starts_with("550 5.7.1 "), "{header:?}: {answer}");
    }
    // A bare CR is made a space before the milter sees it: two addresses without a comma.
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    let answer = smtp.send(
        "news@example.com",
        FRIEND,
        "From: news@example.com\r,ceo@evil.example",
    );
    assert!(answer.starts_with("550 5.7.1 [ACL]"), "{answer}");
}

#[test]
fn a_body_cannot_hold_a_second_message() {
    let main = "defer_transports = discard\n";
    let host = Host::start(
        Setup {
            main,
            ..Setup::new("auth-milter")
        },
        USERS,
    );
    // Each was taken for the end of a message by some server (CVE-2023-51764 and its kin).
    for end in ["\n.\n", "\n.\r\n", "\r\n.\n", "\r.\r\n", "\r.\r", "\r\n.\r"] {
        let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
        let header = format!(
            "From: news@example.com\r\n\r\nOne{end}MAIL FROM:<ceo@evil.example>\r\nRCPT TO:<a@b.example>"
        );
        let answer = smtp.send("news@example.com", FRIEND, &header);
        expect(&answer, "250 2.0.0 Ok: queued as ");
        // Had the body been split, this would be the answer to what it hides.
        expect(
            &smtp.say("MAIL FROM:<next@evil.example>"),
            "550 5.7.1 [ACL] Blocked: user shop may not send as next@evil.example",
        );
        let queued = host.queued(answer.rsplit(' ').next().unwrap());
        assert!(queued.contains("ceo@evil.example"), "{end:?}: {queued}");
        assert!(!queued.contains('\r'), "{end:?}: {queued:?}");
    }
}

#[test]
fn a_map_that_switches_milters_off_does_not_reach_these_services() {
    for wiring in ["auth-milter", "milter"] {
        let main = "smtpd_milter_maps = static:DISABLE\n";
        let host = Host::start(
            Setup {
                main,
                ..Setup::new(wiring)
            },
            USERS,
        );
        let mut smtp = session(&host, wiring, "shop", "198.51.100.7");
        let answer = smtp.send("ceo@evil.example", FRIEND, "From: ceo@evil.example");
        expect(&answer, "550 5.7.1 [ACL] Blocked: user shop may not send");
    }
}

#[test]
fn a_daemon_that_is_away_defers_and_comes_back() {
    for wiring in ["auth-milter", "auth-policy"] {
        let mut host = Host::start(Setup::new(wiring), USERS);
        let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
        expect(
            &smtp.send("news@example.com", FRIEND, "From: news@example.com"),
            "250 2.0.0",
        );
        host.stop_outgate();
        let answer = smtp.send("news@example.com", FRIEND, "From: news@example.com");
        assert!(answer.starts_with('4'), "{wiring}: {answer}");
        host.start_outgate();
        let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
        expect(
            &smtp.send("news@example.com", FRIEND, "From: news@example.com"),
            "250 2.0.0",
        );
    }
}

#[test]
fn audit_mode_writes_what_it_would_refuse_and_refuses_nothing() {
    let config = "[enforcement]\nmode = \"audit\"\n";
    let host = Host::start(
        Setup {
            config,
            ..Setup::new("auth-milter")
        },
        USERS,
    );
    let mut smtp = session(&host, "auth", "office", "198.51.100.7");
    expect(
        &smtp.send("ceo@evil.example", FRIEND, "From: ceo@evil.example"),
        "250 2.0.0",
    );
    let said = || -> Vec<String> {
        let lines = host.decisions();
        let about = lines
            .iter()
            .filter(|d| d["mail_from"] == "ceo@evil.example");
        about
            .map(|d| format!("{} {}", d["reason"].as_str().unwrap(), d["audit"]))
            .collect()
    };
    wait_for("four lines", || said().len() >= 4);
    assert_eq!(
        said(),
        [
            "ip-not-authorized true",
            "sender-not-allowed true",
            "header-from-not-allowed true",
            "allowed true",
        ]
    );
}

#[test]
fn the_trace_header_is_ours_alone() {
    let config = "[milter]\ntrace-header = \"X-Outgate-User\"\n";
    let main = "defer_transports = discard\n";
    let setup = Setup {
        config,
        main,
        ..Setup::new("auth-milter")
    };
    let host = Host::start(setup, USERS);
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    let header = "X-Outgate-User: forged\r\nFrom: news@example.com\r\nx-outgate-user: again\r\nX-Other: kept";
    let answer = smtp.send("news@example.com", FRIEND, header);
    expect(&answer, "250 2.0.0 Ok: queued as ");
    let queued = host.queued(answer.rsplit(' ').next().unwrap());
    let user: serde_json::Value =
        serde_json::from_str(&host.outgate("--json user show shop")).unwrap();
    let traces: Vec<&str> = queued
        .lines()
        .filter(|line| line.to_lowercase().starts_with("x-outgate-user"))
        .collect();
    assert_eq!(
        traces,
        [format!("X-Outgate-User: {}", user["id"].as_str().unwrap())]
    );
    assert!(queued.contains("X-Other: kept"), "{queued}");
}

#[test]
fn a_message_without_header_or_body_gets_its_answer() {
    let host = Host::start(Setup::new("auth-milter"), USERS);
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    for (message, expected) in [
        (".", "550 5.7.1 [ACL] Blocked: the header From of user shop"),
        (
            "\r\nText.\r\n.",
            "550 5.7.1 [ACL] Blocked: the header From of user shop",
        ),
        (
            "Text.\r\n.",
            "550 5.7.1 [ACL] Blocked: the header From of user shop",
        ),
        ("From: news@example.com\r\n.", "250 2.0.0"),
        ("From: news@example.com\r\n\r\n.", "250 2.0.0"),
    ] {
        expect(&smtp.say("MAIL FROM:<news@example.com>"), "250");
        expect(&smtp.say("RCPT TO:<friend@elsewhere.example>"), "250");
        expect(&smtp.say("DATA"), "354");
        expect(&smtp.say(message), expected);
    }
}
