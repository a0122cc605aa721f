//! `domain check`: what it finds, and what it advises.

use serde_json::{Value, json};

use crate::site::Site;

const RELAY: &str = "[relay]\nspf-include = \"spf.relay.example\"\negress = [\"192.0.2.1\"]\n";
const WORLD: &str = r#"
spf.relay.example TXT "v=spf1 ip4:192.0.2.1 -all"
broken.example SERVFAIL
nested.example TXT "v=spf1 include:broken.example -all"
two.example TXT "v=spf1 ip4:198.51.100.1 -all"
two.example TXT "v=spf1 ip4:198.51.100.2 -all"
typo.example TXT "v=spf1 ipv4:198.51.100.1 include:_spf.mailer.example ~all"
dead.example TXT "v=spf1 include:nothing.example include:spf.relay.example ~all"
"#;

/// Exit status, and what is shown as JSON and as text.
fn check(site: &Site, domain: &str) -> (i32, Value, String) {
    let ran = site.run(&["--json", "domain", "check", domain]);
    let view: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {ran:?}"));
    let shown = site.run(&["domain", "check", domain]);
    assert_eq!(ran.code, shown.code, "{ran:?}");
    (ran.code, view, shown.out)
}

fn spf(view: &Value) -> &Value {
    view["checks"]
        .as_array()
        .unwrap()
        .iter()
        .find(|check| check["check"] == "spf")
        .unwrap()
}

/// A line of the lower table.
fn line<'a>(shown: &'a str, begins: &str) -> Vec<&'a str> {
    let line = shown.lines().find(|line| line.starts_with(begins));
    line.unwrap_or_else(|| panic!("no {begins} in {shown}"))
        .split_whitespace()
        .collect()
}

#[test]
fn trouble_is_not_absence() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    for (domain, met) in [
        ("broken.example", Value::Null),
        ("nested.example", Value::Null),
    ] {
        let (_, view, shown) = check(&site, domain);
        assert_eq!(
            (&view["spf"]["include"], &view["spf"]["pass"]),
            (&met, &met),
            "{view}"
        );
        assert_eq!(spf(&view)["outcome"], "unknown");
        assert_eq!(spf(&view)["publish"], Value::Null);
        assert!(!shown.contains("no SPF record"), "{shown}");
        assert!(shown.contains("cannot be looked up: SERVFAIL"), "{shown}");
        assert_eq!(
            line(&shown, "includes relay"),
            ["includes", "relay", "unknown"]
        );
        assert_eq!(line(&shown, "passes"), ["passes", "unknown"]);
    }
    let (_, view, _) = check(&site, "broken.example");
    assert_eq!(view["spf"]["tree"]["record"], Value::Null);
    assert_eq!(
        view["spf"]["tree"]["fault"],
        "cannot be looked up: SERVFAIL"
    );
    // What is not there is not there.
    let (_, view, shown) = check(&site, "nowhere.example");
    assert_eq!(view["spf"]["include"], json!(false));
    assert!(shown.contains("nowhere.example: no SPF record"), "{shown}");
}

#[test]
fn two_records_are_not_none_and_become_one() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    let (code, view, shown) = check(&site, "two.example");
    assert_eq!(code, 1);
    assert!(shown.contains("2 SPF records"), "{shown}");
    assert!(!shown.contains("no SPF record"), "{shown}");
    assert_eq!(
        spf(&view)["publish"]["value"],
        "v=spf1 include:spf.relay.example ip4:198.51.100.1 ip4:198.51.100.2 -all"
    );
    assert!(shown.contains("into one record"), "{shown}");
}

#[test]
fn two_dmarc_records_are_called_two() {
    let zone = format!(
        "{WORLD}_dmarc.two.example TXT \"v=DMARC1; p=none\"\n_dmarc.two.example TXT \"v=DMARC1; p=reject\"\n"
    );
    let (site, _server) = Site::with_zone(RELAY, &zone);
    let (_, view, _) = check(&site, "two.example");
    let dmarc = view["checks"].as_array().unwrap();
    let dmarc = dmarc
        .iter()
        .find(|check| check["check"] == "dmarc")
        .unwrap();
    assert_eq!(
        (&dmarc["outcome"], &dmarc["publish"]),
        (&json!("wrong"), &Value::Null)
    );
    let detail = dmarc["detail"].as_str().unwrap();
    assert!(detail.contains("more than one DMARC record"), "{detail}");
}

#[test]
fn a_record_with_a_fault_is_left_to_its_owner() {
    let (site, _server) = Site::with_zone(RELAY, WORLD);
    for (domain, term) in [
        ("typo.example", "ipv4:198.51.100.1"),
        ("dead.example", "include:nothing.example"),
    ] {
        let (code, view, shown) = check(&site, domain);
        assert_eq!((code, &spf(&view)["publish"]), (1, &Value::Null), "{view}");
        let detail = spf(&view)["detail"].as_str().unwrap();
        assert!(
            detail.contains(term) && detail.ends_with("mend that first"),
            "{detail}"
        );
        assert!(!shown.contains("TXT \"v=spf1"), "{shown}");
    }
}

#[test]
fn what_would_not_help_is_not_advised() {
    let relay = "[relay]\nspf-include = \"nothing.example\"\negress = [\"192.0.2.1\"]\n";
    let (site, _server) = Site::with_zone(relay, WORLD);
    let (_, view, _) = check(&site, "nowhere.example");
    assert_eq!(spf(&view)["publish"], Value::Null);
    let detail = spf(&view)["detail"].as_str().unwrap();
    assert!(
        detail.contains("nothing.example has no SPF record"),
        "{detail}"
    );
}

#[test]
fn a_long_record_is_printed_in_strings() {
    let many: Vec<_> = (1..=16).map(|n| format!("ip4:198.51.100.{n}")).collect();
    let record = format!("v=spf1 {} ~all", many.join(" "));
    assert!(record.len() > 255);
    let (left, right) = record.split_at(200);
    let zone = format!("{WORLD}long.example TXT \"{left}\" \"{right}\"\n");
    let (site, _server) = Site::with_zone(RELAY, &zone);
    let (_, view, shown) = check(&site, "long.example");
    let value = spf(&view)["publish"]["value"].as_str().unwrap();
    assert_eq!(
        value,
        record.replace("v=spf1", "v=spf1 include:spf.relay.example")
    );
    let printed = shown
        .lines()
        .find(|line| line.trim().starts_with("long.example. TXT "))
        .unwrap();
    let strings: Vec<&str> = printed.split('"').skip(1).step_by(2).collect();
    assert_eq!(strings.concat(), value);
    assert_eq!((strings.len(), strings[0].len()), (2, 255));
}
