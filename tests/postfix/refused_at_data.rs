//! SMTP sessions that go on after a refusal at DATA or BDAT, in every way that Postfix allows.

use crate::host::{Host, Setup, wait_for};
use crate::smtp::Smtp;
use crate::{USERS, expect, session};

const SUSPENDED: &str = "550 5.7.1 [ACL] Blocked: user shop is suspended";
const MESSAGE: &str = "From: news@example.com\r\n\r\nText.\r\n.";

/// MAIL and RCPT of a user that is suspended then.
fn begin(host: &Host, smtp: &mut Smtp, sender: &str) {
    host.outgate("user resume shop");
    expect(&smtp.say(&format!("MAIL FROM:<{sender}>")), "250");
    expect(&smtp.say("RCPT TO:<friend@elsewhere.example>"), "250");
    host.outgate("user suspend shop");
}

/// The session is as good as new.
fn sends(host: &Host, smtp: &mut Smtp) {
    host.outgate("user resume shop");
    let friend = &["friend@elsewhere.example"];
    expect(
        &smtp.send("news@example.com", friend, "From: news@example.com"),
        "250 2.0.0 Ok: queued as ",
    );
}

#[test]
fn every_command_after_a_refusal_at_data_is_answered() {
    let host = Host::start(Setup::new("auth-milter"), USERS);
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");

    // Asked again in vain: one message, one line.
    begin(&host, &mut smtp, "vain@example.com");
    let refused = smtp.say("DATA");
    expect(&refused, SUSPENDED);
    for command in ["DATA", "RCPT TO:<b@elsewhere.example>", "DATA"] {
        assert_eq!(smtp.say(command), refused, "{command}");
    }
    expect(&smtp.say("MAIL FROM:<news@example.com>"), "503 ");
    assert_eq!(smtp.say("DATA"), refused);
    // Without waiting for answers.
    assert_eq!(
        smtp.bytes(b"RCPT TO:<c@elsewhere.example>\r\nDATA\r\nRSET\r\n"),
        refused
    );
    assert_eq!(smtp.answer(), refused);
    expect(&smtp.answer(), "250 ");
    sends(&host, &mut smtp);
    // The line of a later message is there: so are those before it.
    host.decision_about("news@example.com");
    let about = host.decisions();
    let lines = about
        .iter()
        .filter(|line| line["mail_from"] == "vain@example.com");
    assert_eq!(lines.count(), 1, "{about:?}");

    // Resumed meanwhile: the same message goes out, with a recipient more or as it was.
    for more in [&["RCPT TO:<b@elsewhere.example>"][..], &[]] {
        begin(&host, &mut smtp, "later@example.com");
        expect(&smtp.say("DATA"), SUSPENDED);
        host.outgate("user resume shop");
        for command in more {
            expect(&smtp.say(command), "250 ");
        }
        expect(&smtp.say("DATA"), "354 ");
        expect(&smtp.say(MESSAGE), "250 2.0.0 Ok: queued as ");
        let line = host.decision_about("later@example.com");
        assert_eq!(line["recipients"], 1 + more.len(), "{line}");
    }
    sends(&host, &mut smtp);

    // The last word is not what DATA heard.
    begin(&host, &mut smtp, "last@example.com");
    expect(&smtp.say("DATA"), SUSPENDED);
    host.outgate("user resume shop");
    expect(&smtp.say("DATA"), "354 ");
    host.outgate("user suspend shop");
    expect(&smtp.say(MESSAGE), SUSPENDED);
    sends(&host, &mut smtp);

    begin(&host, &mut smtp, "gone@example.com");
    expect(&smtp.say("DATA"), SUSPENDED);
    expect(&smtp.say("QUIT"), "221 ");
    wait_for("the end of the milter session", || {
        let status = host.outgate("--json status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        status["connections"]["milter"] == 0
    });
}

#[test]
fn every_command_after_a_refused_chunk_is_answered() {
    let host = Host::start(Setup::new("auth-milter"), USERS);
    let text = MESSAGE.trim_end_matches('.');
    let chunk = |end: &str| format!("BDAT {}{end}\r\n{text}", text.len()).into_bytes();

    // Behind a chunk that is not the last, Postfix takes nothing but chunks; behind the last one it
    // has forgotten the message, but not that there was a recipient.
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    begin(&host, &mut smtp, "chunk@example.com");
    expect(&smtp.bytes(&chunk("")), SUSPENDED);
    host.outgate("user resume shop");
    for (command, answer) in [
        ("RCPT TO:<b@elsewhere.example>", "503 5.5.1 "),
        ("DATA", "503 5.5.1 "),
        ("BDAT 0 LAST", "551 5.0.0 "),
        ("RCPT TO:<b@elsewhere.example>", "503 5.5.1 "),
        // Let through, it would be the end of smtpd.
        ("DATA", "451 4.3.0 "),
        ("BDAT 0 LAST", "451 4.3.0 "),
        ("MAIL FROM:<news@example.com>", "250 "),
        ("DATA", "451 4.3.0 "),
        ("RCPT TO:<b@elsewhere.example>", "250 "),
        ("DATA", "354 "),
        (MESSAGE, "250 2.0.0 Ok: queued as "),
    ] {
        expect(&smtp.say(command), answer);
    }

    // A client that does not wait for answers.
    begin(&host, &mut smtp, "last@example.com");
    let mut all = chunk(" LAST");
    let next = "MAIL FROM:<next@example.com>\r\nRCPT TO:<friend@elsewhere.example>\r\n";
    all.extend_from_slice(next.as_bytes());
    all.extend(chunk(" LAST"));
    expect(&smtp.bytes(&all), SUSPENDED);
    for answer in [SUSPENDED, "503 5.5.1 Error: need MAIL", SUSPENDED] {
        expect(&smtp.answer(), answer);
    }
    sends(&host, &mut smtp);

    // Nobody else's session has heard of it.
    expect(
        &session(&host, "auth", "all", "198.51.100.7").say("MAIL FROM:<news@example.com>"),
        "250 ",
    );
}

#[test]
fn a_refused_chunk_does_not_end_the_smtpd_that_asks_by_policy() {
    let host = Host::start(
        Setup {
            delay_reject: true,
            ..Setup::new("auth-policy")
        },
        USERS,
    );
    let mut smtp = session(&host, "auth", "shop", "198.51.100.7");
    expect(&smtp.say("MAIL FROM:<ceo@evil.example>"), "250 ");
    // Past every restriction at RCPT.
    expect(&smtp.say("RCPT TO:<postmaster>"), "250 ");
    let refused = smtp.bytes(b"BDAT 3 LAST\r\na\r\n");
    assert!(refused.contains("[ACL] Blocked"), "{refused}");
    let deferred = "451 4.3.0 <DATA>: Data command rejected: Temporary problem";
    for (command, answer) in [
        ("DATA", deferred),
        ("MAIL FROM:<news@example.com>", "250 "),
        ("DATA", deferred),
        ("BDAT 0 LAST", deferred),
        ("MAIL FROM:<news@example.com>", "250 "),
        ("RCPT TO:<friend@elsewhere.example>", "250 "),
        ("DATA", "354 "),
        (MESSAGE, "250 2.0.0 Ok: queued as "),
    ] {
        expect(&smtp.say(command), answer);
    }
}
