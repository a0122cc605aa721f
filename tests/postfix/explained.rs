//! What Postfix and outgate log about a refusal, and what the client hears, is enough for
//! `outgate explain -`.

use serde_json::Value;

use crate::host::{Host, Setup, wait_for};
use crate::{FRIEND, USERS, expect, session};

/// The only answer that there is to this text.
#[track_caller]
fn explained(host: &Host, text: &str) -> Value {
    let answers = host.explain(text);
    assert_eq!(answers.len(), 1, "{text}: {answers:?}");
    answers[0].clone()
}

/// The first line of Postfix's log that has all of this.
fn postfix_line(host: &Host, words: &[&str]) -> String {
    let mut found = None;
    wait_for(&format!("{words:?} in Postfix's log"), || {
        let log = host.mail_log();
        let mut lines = log.lines();
        found = lines
            .find(|line| words.iter().all(|word| line.contains(word)))
            .map(str::to_owned);
        found.is_some()
    });
    found.unwrap()
}

fn story(wiring: &'static str) {
    let host = Host::start(Setup::new(wiring), USERS);
    let milter = wiring.ends_with("milter");
    let mut smtp = session(&host, wiring, "shop", "198.51.100.7");
    let reply = smtp.send("ceo@evil.example", FRIEND, "From: news@example.com");
    assert!(reply.contains("[ACL] Blocked"), "{reply}");
    let line = postfix_line(&host, &["reject: ", "from=<ceo@evil.example>"]);
    let logged = host.decision_about("ceo@evil.example").to_string();
    for text in [line, reply, logged] {
        let answer = explained(&host, &text);
        assert_eq!(answer["reason"], "sender-not-allowed", "{text}");
        let fix = answer["fix"].as_str().unwrap();
        assert!(fix.contains("evil.example"), "{text}: {fix}");
    }
    smtp.reset();
    if milter {
        let reply = smtp.send("news@example.com", FRIEND, "From: ceo@evil.example");
        expect(&reply, "550 5.7.1 [ACL] Blocked");
        let line = postfix_line(&host, &["END-OF-MESSAGE", "evil.example"]);
        for text in [line, reply] {
            let answer = explained(&host, &text);
            assert_eq!(answer["reason"], "header-from-not-allowed", "{text}");
        }
    }
    let mut smtp = host.connect();
    smtp.xclient("198.51.100.9", None);
    expect(&smtp.login("office", "correct-horse"), "535 ");
    let line = postfix_line(&host, &["authentication failed", "198.51.100.9"]);
    let answer = explained(&host, &line);
    assert_eq!(answer["reason"], "ip-not-authorized", "{line}");
    let accepted = session(&host, wiring, "shop", "198.51.100.7").send(
        "news@example.com",
        FRIEND,
        "From: news@example.com",
    );
    expect(&accepted, "250 2.0.0");
    let line = postfix_line(&host, &["client=", "sasl_username=shop"]);
    assert_eq!(explained(&host, &line)["reason"], "allowed", "{line}");
}

/// The link in what the client hears leads to the line and to the explanation.
fn link(wiring: &'static str) {
    let setup = Setup {
        config: "[reply]\nreport-url = \"https://relay.example/r/{id}\"",
        ..Setup::new(wiring)
    };
    let host = Host::start(setup, USERS);
    let mut smtp = session(&host, wiring, "shop", "198.51.100.7");
    let reply = smtp.send("ceo@evil.example", FRIEND, "From: news@example.com");
    let (_, rest) = reply.split_once(" See https://relay.example/r/").unwrap();
    let id = rest.split_whitespace().next().unwrap();
    let answer = host.explain_id(id);
    assert_eq!(answer["reason"], "sender-not-allowed", "{answer}");
    let line = &answer["decision"];
    assert_eq!(line["id"], id);
    assert_eq!(line["mail_from"], "ceo@evil.example");
    assert_eq!(line["client"], "198.51.100.7");
    assert!(reply.ends_with(line["reply"].as_str().unwrap().rsplit_once(' ').unwrap().1));
    assert!(host.outgate("log --user shop --refused").contains(id));

    // Somebody knows the password: from where.
    let mut smtp = host.connect();
    smtp.xclient("203.0.113.9", None);
    expect(&smtp.login("office", "correct-horse"), "535 ");
    let known = || host.outgate("log --reason ip-not-authorized --user office");
    wait_for("the line of the login", || known().contains("203.0.113.9"));
}

#[test]
fn the_link_of_a_milter_s_reply_is_an_id() {
    link("auth-milter");
}

#[test]
fn the_link_of_a_policy_s_reply_is_an_id() {
    link("auth-policy");
}

#[test]
fn with_a_milter() {
    story("auth-milter");
}

#[test]
fn with_policy() {
    story("auth-policy");
}
