//! Whose domain is whose, over SMTP: two accounts that try to send as each other, and a domain that is
//! verified and removed while sessions are open.

use crate::host::{Host, Setup};
use crate::nameserver::Zone;
use crate::smtp::Smtp;
use crate::{FRIEND, expect, session};

const WIRINGS: &[&str] = &["auth-milter", "auth-policy"];

/// Two accounts with everything that could help them: plan, sub-domains, SPF that lets anybody pass.
const TENANTS: &[&str] = &[
    "account add red --plan pro",
    "account add blue --plan pro",
    "domain add red.example --account red --trusted --with-subdomains",
    "domain add blue.example --account blue --trusted --with-subdomains",
    "user add red-default --account red --allow red.example",
    "user add red-all-domains --account red --mode all-domains",
    "user add red-any-domain --account red --mode any-domain",
    "user add blue-default --account blue --allow blue.example",
    "user add blue-all-domains --account blue --mode all-domains",
    "user add blue-any-domain --account blue --mode any-domain",
];

const ZONE: &str = r#"
red.example             TXT "v=spf1 +all"
shop.red.example        TXT "v=spf1 +all"
blue.example            TXT "v=spf1 +all"
shop.blue.example       TXT "v=spf1 +all"
"#;

#[test]
fn two_accounts_cannot_use_each_others_domain_in_any_mode() {
    for wiring in WIRINGS {
        let setup = Setup {
            zone: ZONE,
            ..Setup::new(wiring)
        };
        let host = Host::start(setup, TENANTS);
        for (account, other) in [("red", "blue"), ("blue", "red")] {
            for mode in ["default", "all-domains", "any-domain"] {
                let user = format!("{account}-{mode}");
                let mut smtp = session(&host, wiring, &user, "198.51.100.7");
                cannot_use(&mut smtp, wiring, account, other);
            }
        }
    }
}

fn cannot_use(smtp: &mut Smtp, wiring: &str, account: &str, other: &str) {
    let own = format!("a@{account}.example");
    for foreign in [
        format!("a@{other}.example"),
        format!("a@shop.{other}.example"),
    ] {
        for sender in [foreign.clone(), foreign.to_uppercase()] {
            let answer = smtp.send(&sender, FRIEND, &format!("From: {own}"));
            assert!(
                answer.starts_with("550 5.7.1 ") && answer.contains("[ACL] Blocked"),
                "{sender}: {answer}"
            );
            smtp.reset();
        }
        if !wiring.ends_with("milter") {
            continue;
        }
        for envelope in [own.as_str(), ""] {
            for from in [
                format!("From: {foreign}"),
                format!("From: \"{own}\" <{foreign}>"),
                format!("From: {own}, Eve <{foreign}>"),
            ] {
                let answer = smtp.send(envelope, FRIEND, &from);
                expect(&answer, "550 5.7.1 [ACL] Blocked");
            }
        }
    }
    let answer = smtp.send(&own, FRIEND, &format!("From: {own}"));
    expect(&answer, "250 2.0.0 Ok: queued as");
}

#[test]
fn a_domain_counts_from_its_verification_to_its_removal_by_auth_and_milter() {
    from_verification_to_removal("auth-milter");
}

#[test]
fn a_domain_counts_from_its_verification_to_its_removal_by_auth_and_policy() {
    from_verification_to_removal("auth-policy");
}

/// The answer to a message from the domain that comes and goes, in a session that stays open.
fn send(smtp: &mut Smtp) -> String {
    let answer = smtp.send("a@new.example", FRIEND, "From: a@new.example");
    if !answer.starts_with("250") {
        smtp.reset();
    }
    answer
}

fn from_verification_to_removal(wiring: &'static str) {
    let host = Host::start(
        Setup::new(wiring),
        &[
            "domain add old.example --trusted",
            "user add all --mode all-domains",
        ],
    );
    let mut smtp = session(&host, wiring, "all", "198.51.100.7");
    let domain = |line: &str| -> serde_json::Value {
        serde_json::from_str(&host.outgate(&format!("--json domain {line}"))).unwrap()
    };
    assert!(send(&mut smtp).contains("[ACL] Blocked"));
    let claim = domain("add new.example");
    assert_eq!(claim["status"], "pending");
    assert!(send(&mut smtp).contains("[ACL] Blocked"));

    // Somebody else's record proves nothing.
    let name = claim["challenge"]["name"].as_str().unwrap();
    let forged = Zone::new().txt(name, "og1-verify=AAAAAAAAAAAAAAAAAAAAAA");
    host.nameserver.set(forged);
    host.outgate_refuses("domain verify new.example");
    assert!(send(&mut smtp).contains("[ACL] Blocked"));

    let value = claim["challenge"]["value"].as_str().unwrap();
    host.nameserver
        .set(Zone::new().txt(name, "unrelated").txt(name, value));
    let verified = domain("verify new.example");
    assert_eq!(verified["status"], "verified");
    assert_eq!(verified["verified_by"], "dns");
    expect(&send(&mut smtp), "250 2.0.0 Ok: queued as");

    // A grant on it, for a user that is in the middle of a message when it goes.
    host.outgate("user add shop --allow new.example");
    let mut shop = session(&host, wiring, "shop", "198.51.100.7");
    for smtp in [&mut smtp, &mut shop] {
        expect(&send(smtp), "250 2.0.0 Ok: queued as");
        expect(&smtp.say("MAIL FROM:<a@new.example>"), "250 2.1.0");
    }
    // Policy is not asked at RCPT in this wiring: its next question is DATA.
    let next = if wiring.ends_with("milter") {
        "RCPT TO:<friend@elsewhere.example>"
    } else {
        for smtp in [&mut smtp, &mut shop] {
            expect(&smtp.say("RCPT TO:<friend@elsewhere.example>"), "250 2.1.5");
        }
        "DATA"
    };
    let removed = domain("remove new.example");
    assert_eq!(removed["grants_deleted"], 1);
    for smtp in [&mut smtp, &mut shop] {
        let answer = smtp.say(next);
        assert!(
            answer.starts_with("550 5.7.1 ") && answer.contains("[ACL] Blocked"),
            "{wiring}: {answer}"
        );
        smtp.reset();
        assert!(send(smtp).contains("[ACL] Blocked"));
    }
}
