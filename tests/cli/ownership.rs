//! `domain verify` and `domain check`, with a real name server.

use std::thread;

use serde_json::{Value, json};

use crate::nameserver::{Server, Zone};
use crate::site::Site;

/// Publishes the challenge of a domain on an account, among other things.
fn publish(site: &Site, server: &Server, domain: &str, account: &str) {
    let record = site.json(&["domain", "show", domain, "--account", account]);
    let challenge = &record["challenge"];
    let zone = Zone::new()
        .txt(challenge["name"].as_str().unwrap(), "something else")
        .txt(
            challenge["name"].as_str().unwrap(),
            challenge["value"].as_str().unwrap(),
        );
    server.set(zone);
}

#[test]
fn a_domain_is_verified_by_its_challenge() {
    let (site, server) = Site::with_zone("", "example.com A 192.0.2.1");
    let added = site.json(&["domain", "add", "example.com"]);
    let ran = site.refused(&["domain", "verify", "example.com"]);
    assert!(
        ran.err
            .contains("no TXT record at _outgate-challenge.example.com"),
        "{}",
        ran.err
    );
    let value = added["challenge"]["value"].as_str().unwrap();
    assert!(ran.err.contains(value), "{}", ran.err);
    assert_eq!(
        site.json(&["domain", "show", "example.com"])["status"],
        "pending"
    );

    publish(&site, &server, "example.com", "default");
    let verified = site.json(&["domain", "verify", "Example.COM."]);
    assert_eq!(verified["status"], "verified");
    assert_eq!(verified["verified_by"], "dns");
    assert_eq!(site.json(&["domain", "show", "example.com"]), verified);
    // Nothing is asked again.
    server.set(Zone::new().servfail("_outgate-challenge.example.com"));
    assert_eq!(site.json(&["domain", "verify", "example.com"]), verified);
}

#[test]
fn only_the_own_token_counts() {
    let (site, server) = Site::with_zone("", "example.com A 192.0.2.1");
    site.done(&["account", "add", "acme"]);
    site.done(&["domain", "add", "example.com"]);
    site.done(&["domain", "add", "example.com", "--account", "acme"]);
    site.done(&["domain", "add", "example.org", "--account", "acme"]);
    let ran = site.refused(&["domain", "verify", "example.com"]);
    assert!(ran.err.contains("several accounts"), "{}", ran.err);
    // The token of another account, and of another domain.
    publish(&site, &server, "example.com", "acme");
    let ran = site.refused(&["domain", "verify", "example.com", "--account", "default"]);
    assert!(ran.err.contains("another one"), "{}", ran.err);
    let other = site.json(&["domain", "show", "example.org"]);
    let value = other["challenge"]["value"].as_str().unwrap();
    server.set(Zone::new().txt("_outgate-challenge.example.com", value));
    site.refused(&["domain", "verify", "example.com", "--account", "acme"]);
    // Inside another text, or at the domain itself, it is not the record.
    let mine = site.json(&["domain", "show", "example.com", "--account", "acme"]);
    let value = mine["challenge"]["value"].as_str().unwrap();
    server.set(
        Zone::new()
            .txt("example.com", value)
            .txt("_outgate-challenge.example.com", &format!("x {value}")),
    );
    site.refused(&["domain", "verify", "example.com", "--account", "acme"]);
}

#[test]
fn one_account_at_most_has_a_domain() {
    let (site, server) = Site::with_zone("", "example.com A 192.0.2.1");
    for account in ["one", "two"] {
        site.done(&["account", "add", account]);
        site.done(&["domain", "add", "example.com", "--account", account]);
    }
    publish(&site, &server, "example.com", "one");
    site.done(&["domain", "verify", "example.com", "--account", "one"]);
    publish(&site, &server, "example.com", "two");
    for args in [
        &["domain", "verify", "example.com", "--account", "two"][..],
        &["domain", "verify", "example.com"],
        &[
            "domain",
            "add",
            "example.com",
            "--account",
            "two",
            "--trusted",
        ],
    ] {
        let ran = site.refused(args);
        assert!(
            ran.err.contains("verified on account one"),
            "{args:?}: {}",
            ran.err
        );
    }
    assert_eq!(
        site.json(&["domain", "show", "example.com", "--account", "two"])["status"],
        "pending"
    );
    // Once the owner has let go of it, the other one may have it.
    site.done(&["domain", "remove", "example.com", "--account", "one"]);
    site.done(&["domain", "verify", "example.com"]);
}

#[test]
fn of_two_that_verify_at_the_same_moment_one_wins() {
    for _ in 0..5 {
        let (site, server) = Site::with_zone("", "example.com A 192.0.2.1");
        let mut zone = Zone::new();
        let accounts = ["a", "b", "c", "d"];
        for account in accounts {
            site.done(&["account", "add", account]);
            let record = site.json(&["domain", "add", "example.com", "--account", account]);
            let challenge = &record["challenge"];
            zone = zone.txt(
                challenge["name"].as_str().unwrap(),
                challenge["value"].as_str().unwrap(),
            );
        }
        server.set(zone);
        let codes: Vec<i32> = thread::scope(|scope| {
            let runs: Vec<_> = accounts
                .iter()
                .map(|account| {
                    let site = &site;
                    scope.spawn(move || {
                        site.run(&["domain", "verify", "example.com", "--account", account])
                            .code
                    })
                })
                .collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect()
        });
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 1, 1], "{codes:?}");
        let list = site.json(&["domain", "list"]);
        let verified = list
            .as_array()
            .unwrap()
            .iter()
            .filter(|record| record["status"] == "verified");
        assert_eq!(verified.count(), 1, "{list}");
    }
}

#[test]
fn dns_trouble_is_temporary() {
    let (site, _server) = Site::with_zone("", "_outgate-challenge.example.com SERVFAIL");
    site.done(&["domain", "add", "example.com"]);
    let ran = site.run(&["domain", "verify", "example.com"]);
    assert_eq!((ran.code, ran.out.as_str()), (75, ""), "{ran:?}");
    assert!(
        ran.err
            .contains("TXT _outgate-challenge.example.com: SERVFAIL"),
        "{}",
        ran.err
    );
    let ran = site.run(&["--json", "domain", "verify", "example.com"]);
    let error: Value = serde_json::from_str(&ran.err).unwrap();
    assert!(error["error"].as_str().unwrap().contains("SERVFAIL"));
}

const RELAY: &str = "[relay]\nspf-include = \"spf.relay.example\"\negress = [\"192.0.2.1\"]\n";
const WORLD: &str = r#"
good.example TXT "v=spf1 include:_spf.reseller.example -all"
_spf.reseller.example TXT "v=spf1 include:spf.relay.example ~all"
spf.relay.example TXT "v=spf1 ip4:192.0.2.1 -all"
_dmarc.good.example TXT "v=DMARC1; p=none"
good.example MX 20 mx2.good.example
good.example MX 10 mx1.good.example
plain.example TXT "v=spf1 mx -all"
plain.example MX 10 mail.plain.example
mail.plain.example A 198.51.100.7
_outgate.plain.example TXT "v=og1 auth=shop"
broken.example SERVFAIL
"#;

fn check<'a>(view: &'a Value, name: &str) -> &'a Value {
    view["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == name)
        .unwrap_or_else(|| panic!("no {name} in {view}"))
}

#[test]
fn a_domain_in_order_has_nothing_to_publish() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    let view = site.json(&["domain", "check", "good.example"]);
    assert_eq!(view["ok"], true, "{view}");
    assert_eq!(view["account"], json!(null));
    let spf = &view["spf"];
    assert_eq!(
        (&spf["required"], &spf["include"], &spf["pass"]),
        (&json!("pass"), &json!(true), &json!(true))
    );
    assert_eq!((&spf["lookups"], &spf["voids"]), (&json!(2), &json!(0)));
    assert_eq!(
        spf["tree"]["terms"][0]["inside"]["terms"][0]["term"],
        "include:spf.relay.example"
    );
    assert_eq!(
        check(&view, "mx")["detail"],
        "10 mx1.good.example, 20 mx2.good.example"
    );
    assert_eq!(check(&view, "spf")["publish"], json!(null));
    let shown = site.done(&["domain", "check", "good.example"]);
    for words in ["include:_spf.reseller.example", "2 of 10", "published at"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(!shown.contains("to publish"), "{shown}");
}

#[test]
fn what_is_missing_is_told_to_the_letter() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    site.done(&["domain", "add", "plain.example"]);
    let ran = site.run(&["--json", "domain", "check", "plain.example"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(view["account"], "default");
    let publish = |name: &str| {
        let record = &check(&view, name)["publish"];
        format!("{} {} {}", record["name"], record["type"], record["value"]).replace('"', "")
    };
    assert_eq!(
        publish("spf"),
        "plain.example TXT v=spf1 include:spf.relay.example mx -all"
    );
    assert_eq!(
        publish("dmarc"),
        "_dmarc.plain.example TXT v=DMARC1; p=none"
    );
    assert!(publish("challenge").starts_with("_outgate-challenge.plain.example TXT og1-verify="));
    let outcomes: Vec<_> = view["checks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|check| format!("{} {}", check["check"], check["outcome"]).replace('"', ""))
        .collect();
    assert_eq!(
        outcomes,
        [
            "challenge missing",
            "spf wrong",
            "dmarc missing",
            "mx ok",
            "lockdown ok"
        ]
    );
    assert!(
        check(&view, "lockdown")["detail"]
            .as_str()
            .unwrap()
            .contains("shop")
    );
    let ran = site.run(&["domain", "check", "plain.example"]);
    assert_eq!(ran.code, 1);
    assert!(
        ran.out
            .contains("plain.example. TXT \"v=spf1 include:spf.relay.example mx -all\""),
        "{}",
        ran.out
    );
}

#[test]
fn a_domain_that_is_nowhere() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    let ran = site.run(&["--json", "domain", "check", "nowhere.example"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(
        check(&view, "spf")["publish"]["value"],
        "v=spf1 include:spf.relay.example ~all"
    );
    assert_eq!(check(&view, "mx")["outcome"], "missing");
}

#[test]
fn a_check_without_dns_says_so() {
    let (site, _server) = Site::with_zone("", WORLD);
    let ran = site.run(&["--json", "domain", "check", "broken.example"]);
    // DMARC is missing, whatever the rest may be.
    assert_eq!(ran.code, 1, "{ran:?}");
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(check(&view, "spf")["outcome"], "unknown");
    let zone = "_dmarc.broken.example TXT \"v=DMARC1; p=none\"\nbroken.example SERVFAIL\n";
    let (site, _server) = Site::with_zone("", zone);
    assert_eq!(site.run(&["domain", "check", "broken.example"]).code, 75);
}

#[test]
fn an_international_name_is_shown_both_ways() {
    let zone = "xn--bcher-kva.example TXT \"v=spf1 mx -all\"";
    let (site, _server) = Site::with_zone("", zone);
    let ran = site.run(&["--json", "domain", "check", "Bücher.example"]);
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(view["domain"], "xn--bcher-kva.example");
    assert_eq!(view["unicode"], "bücher.example");
    assert_eq!(check(&view, "spf")["outcome"], "ok");
}

#[test]
fn a_domain_that_takes_no_mail_is_not_in_order() {
    let (site, _server) = Site::with_zone(
        "",
        "null.example TXT \"v=spf1 a -all\"
         null.example A 192.0.2.1
         null.example MX 0 .
         _dmarc.null.example TXT \"v=DMARC1; p=none\"",
    );
    let ran = site.run(&["--json", "domain", "check", "null.example"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    let view: Value = serde_json::from_str(&ran.out).unwrap();
    let mx = check(&view, "mx");
    assert_eq!(mx["outcome"], "wrong");
    assert!(mx["detail"].as_str().unwrap().contains("null MX"), "{mx}");
}
