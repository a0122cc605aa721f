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
