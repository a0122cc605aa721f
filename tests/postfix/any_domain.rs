//! Mode `any-domain` over SMTP: what a stranger's DNS has to say before a user may send as it.

use crate::host::{Host, Setup, wait_for};
use crate::nameserver::Zone;
use crate::{FRIEND, expect, session};

const CONFIG: &str = "timeout = \"2s\"\n[relay]\nspf-include = \"spf.relay.example\"\n[any-domain]\nrequire-dmarc = true\n";

const TENANTS: &[&str] = &[
    "account add rival --plan pro",
    "domain add own.example --trusted",
    "domain add rival.example --account rival --trusted --with-subdomains",
    "user add agency --mode any-domain",
    "user add shop --allow own.example",
];

/// Names that are alike but for one thing each.
const ZONE: &str = r#"
spf.relay.example             TXT "v=spf1 ip4:192.0.2.1 -all"
good.example                  TXT "v=spf1 include:spf.relay.example -all"
_dmarc.good.example           TXT "v=DMARC1; p=none"
labelled.example              TXT "v=spf1 include:_spf.reseller.example ~all"
_dmarc.labelled.example       TXT "v=DMARC1; p=none"
_spf.reseller.example         TXT "v=spf1 include:spf.relay.example -all"
elsewhere.example             TXT "v=spf1 include:spf.another.example -all"
spf.another.example           TXT "v=spf1 ip4:198.51.100.0/24 -all"
_dmarc.elsewhere.example      TXT "v=DMARC1; p=none"
twice.example                 TXT "v=spf1 include:spf.relay.example -all"
twice.example                 TXT "v=spf1 mx -all"
_dmarc.twice.example          TXT "v=DMARC1; p=none"
rival.example                 TXT "v=spf1 include:spf.relay.example -all"
_dmarc.rival.example          TXT "v=DMARC1; p=none"
below.rival.example           TXT "v=spf1 include:spf.relay.example -all"
locked.example                TXT "v=spf1 include:spf.relay.example -all"
_dmarc.locked.example         TXT "v=DMARC1; p=none"
_outgate.locked.example       TXT "v=og1 auth=somebody-else"
ours.example                  TXT "v=spf1 include:spf.relay.example -all"
_dmarc.ours.example           TXT "v=DMARC1; p=none"
_outgate.ours.example         TXT "v=og1 auth=agency"
unmarked.example              TXT "v=spf1 include:spf.relay.example -all"
broken.example                SERVFAIL
_dmarc.broken.example         TXT "v=DMARC1; p=none"
"#;

/// The same with the broken name mended.
const MENDED: &str = r#"
spf.relay.example             TXT "v=spf1 ip4:192.0.2.1 -all"
broken.example                TXT "v=spf1 include:spf.relay.example -all"
_dmarc.broken.example         TXT "v=DMARC1; p=none"
"#;

/// Domains that are refused, with what the reply says after the code.
const REFUSED: &[(&str, &str)] = &[
    (
        "stranger.example",
        "[SPF_INVALID] Blocked: user agency may not send as",
    ),
    (
        "elsewhere.example",
        "[SPF_INVALID] Blocked: user agency may not send as",
    ),
    (
        "twice.example",
        "[SPF_INVALID] Blocked: user agency may not send as",
    ),
    (
        "rival.example",
        "[ACL] Blocked: user agency may not send as",
    ),
    (
        "below.rival.example",
        "[ACL] Blocked: user agency may not send as",
    ),
    (
        "locked.example",
        "[ACL] Blocked: user agency may not send as",
    ),
    (
        "unmarked.example",
        "[DMARC_MISSING] Blocked: user agency may not send as",
    ),
];

fn start(wiring: &'static str, delay_reject: bool) -> Host {
    let setup = Setup {
        config: CONFIG,
        zone: ZONE,
        // Postfix ends a session after 20 errors; waiting until a name is mended takes more.
        main: "smtpd_hard_error_limit = 10000\nsmtpd_junk_command_limit = 10000\n",
        delay_reject,
        ..Setup::new(wiring)
    };
    Host::start(setup, TENANTS)
}

/// What Postfix sends for an action of ours against the envelope sender.
fn reply(wiring: &str, code: &str, sender: &str, text: &str) -> String {
    if wiring.ends_with("milter") {
        format!("{code} {text}")
    } else {
        format!("{code} <{sender}>: Sender address rejected: {text}")
    }
}

/// The story of one wiring.
fn story(wiring: &'static str, delay_reject: bool) {
    let host = start(wiring, delay_reject);
    let milter = wiring.ends_with("milter");
    let mut smtp = session(&host, wiring, "agency", "198.51.100.7");

    // Its own domain without any question; a stranger's whose record leads here, straight or not.
    for domain in [
        "own.example",
        "good.example",
        "labelled.example",
        "ours.example",
    ] {
        let sender = format!("a@{domain}");
        let answer = smtp.send(&sender, FRIEND, &format!("From: Ann <{sender}>"));
        expect(&answer, "250 2.0.0 Ok: queued as");
    }
    assert_eq!(
        host.nameserver
            .asked("own.example", outgate::model::dns::Kind::Txt),
        0
    );

    for (domain, text) in REFUSED {
        let sender = format!("a@{domain}");
        let full = format!("{text} {sender} (envelope sender): ");
        let expected = reply(wiring, "550 5.7.1", &sender, &full);
        expect(
            &smtp.send(&sender, FRIEND, "From: a@good.example"),
            &expected,
        );
        smtp.reset();
        // Refused as soon as it is known; a milter is not bound by `smtpd_delay_reject`.
        let answer = smtp.say(&format!("MAIL FROM:<{sender}>"));
        let answer = if delay_reject && !milter {
            expect(&answer, "250 2.1.0");
            smtp.say("RCPT TO:<friend@elsewhere.example>")
        } else {
            answer
        };
        expect(&answer, &expected);
        smtp.reset();
        let answer = smtp.send("a@good.example", FRIEND, &format!("From: Eve <{sender}>"));
        if milter {
            expect(
                &answer,
                &format!("550 5.7.1 {text} {sender} (header From): "),
            );
        } else {
            expect(&answer, "250 2.0.0");
        }
    }

    // Whose mode is not any-domain has nothing of all this.
    let mut shop = session(&host, wiring, "shop", "198.51.100.7");
    let answer = shop.send("a@good.example", FRIEND, "From: a@good.example");
    let text = "[ACL] Blocked: user shop may not send as a@good.example (envelope sender)";
    expect(&answer, &reply(wiring, "550 5.7.1", "a@good.example", text));

    if !delay_reject {
        mended(&host, wiring, milter);
    }
}

/// Trouble defers, and is over by itself when it is over.
fn mended(host: &Host, wiring: &str, milter: bool) {
    let mut smtp = session(host, wiring, "agency", "198.51.100.7");
    let send = |smtp: &mut crate::smtp::Smtp| {
        let answer = smtp.send("a@broken.example", FRIEND, "From: a@broken.example");
        if !answer.starts_with("250") {
            smtp.reset();
        }
        answer
    };
    let text = "[DNS] Unavailable: whether user agency may send as a@broken.example (envelope sender) is not known yet: ";
    let deferred = reply(wiring, "451 4.4.3", "a@broken.example", text);
    let answer = send(&mut smtp);
    expect(&answer, &deferred);
    assert!(answer.contains("TXT broken.example: SERVFAIL"), "{answer}");
    let line = host.decision_about("a@broken.example");
    assert_eq!(line["verdict"], "defer");
    assert_eq!(line["reason"], "dns-unavailable");
    if milter {
        let answer = smtp.send("a@own.example", FRIEND, "From: a@broken.example");
        expect(
            &answer,
            "451 4.4.3 [DNS] Unavailable: whether user agency may send as a@broken.example (header From)",
        );
    }
    host.nameserver.set(Zone::parse(MENDED).unwrap());
    wait_for("the mended name is accepted", || {
        let answer = send(&mut smtp);
        if !answer.starts_with("250 2.0.0 Ok: queued as") {
            expect(&answer, &deferred);
        }
        answer.starts_with("250")
    });
}

#[test]
fn any_domain_by_auth_and_milter() {
    story("auth-milter", false);
}

#[test]
fn any_domain_by_auth_and_milter_with_delayed_refusals() {
    story("auth-milter", true);
}

#[test]
fn any_domain_by_auth_and_policy() {
    story("auth-policy", false);
}

#[test]
fn any_domain_by_auth_and_policy_with_delayed_refusals() {
    story("auth-policy", true);
}
