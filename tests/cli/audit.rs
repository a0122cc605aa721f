//! `--enforce audit --until DATE`.

use serde_json::json;

use crate::site::Site;

#[test]
fn a_day_ends_by_the_clocks_that_quotas_follow() {
    let site = Site::with("[quota]\ntime-zone = \"Europe/Berlin\"\n");
    let audited = ["user", "add", "shop", "--enforce", "audit", "--until"];
    let user = site.json(&[&audited[..], &["2998-12-24"]].concat());
    assert_eq!(user["enforce"], "audit");
    assert_eq!(user["enforce_until"], "2998-12-24T23:00:00Z");
    for (text, end) in [
        ("2998-12-24T18:00", "2998-12-24T17:00:00Z"),
        ("2998-12-24T18:00:00+05:00", "2998-12-24T13:00:00Z"),
    ] {
        let user = site.json(&["user", "set", "shop", "--until", text]);
        assert_eq!(user["enforce_until"], end, "{text}");
    }
    let user = site.json(&["user", "set", "shop", "--until", "7d"]);
    assert_eq!(user["enforce"], "audit");
    let shown = site.done(&["user", "show", "shop"]);
    let end = user["enforce_until"].as_str().unwrap();
    assert!(shown.contains(&format!("audit until {end}")), "{shown}");
    let listed = site.done(&["user", "list"]);
    assert!(listed.contains(&format!("audit until {end}")), "{listed}");
    let user = site.json(&["user", "set", "shop", "--enforce", "on"]);
    assert_eq!(
        (&user["enforce"], &user["enforce_until"]),
        (&json!("on"), &json!(null))
    );
}

#[test]
fn what_is_no_time_or_over_is_refused() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let set = ["user", "set", "shop", "--enforce", "audit", "--until"];
    for (text, said) in [
        ("tomorrow", "is not a time"),
        ("-2h", "is not a time"),
        ("", "is not a time"),
        ("2020-01-01", "in the past"),
        ("9999-12-31", "beyond the end of time"),
    ] {
        let ran = site.refused(&[&set[..], &[text]].concat());
        assert!(ran.err.contains(said), "{text}: {}", ran.err);
    }
    let ran = site.refused(&["user", "set", "shop", "--until", "7d"]);
    assert!(ran.err.contains("--enforce audit"), "{}", ran.err);
    assert_eq!(site.json(&["user", "show", "shop"])["enforce"], "on");
}

#[test]
fn explain_says_until_when_and_since_when() {
    let site = Site::new();
    site.user(
        "shop",
        &["--enforce", "audit", "--until", "2998-12-24"],
        "long enough",
    );
    let args = ["explain", "--user", "shop", "--mail-from", "a@evil.example"];
    let explained = |args: &[&str]| {
        let ran = site.run(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        ran.out
    };
    let said = explained(&args);
    assert!(
        said.contains("audit mode is on until 2998-12-25T00:00:00Z"),
        "{said}"
    );
    let answer: serde_json::Value =
        serde_json::from_str(&explained(&[&["--json"], &args[..]].concat())).unwrap();
    assert_eq!(answer["audit"], true);
    assert_eq!(answer["audit_until"], "2998-12-25T00:00:00Z");

    // An end that has come: only a file can bring it in.
    let line = r#"{"type":"user","name":"over","ip":["192.0.2.7"],"enforce":"audit","enforce_until":"2020-01-01T00:00:00Z"}"#;
    let file = site.path("file.jsonl");
    crate::site::write(&file, &[line]);
    site.done(&["import", "outgate", file.to_str().unwrap()]);
    let shown = site.done(&["user", "show", "over"]);
    assert!(
        shown.contains("on (audit ended 2020-01-01T00:00:00Z)"),
        "{shown}"
    );
    let said = explained(&["explain", "--user", "over", "--mail-from", "a@evil.example"]);
    assert!(
        said.contains("audit mode of this user ended 2020-01-01T00:00:00Z"),
        "{said}"
    );
    let said = explained(&["user", "test", "over", "--ip", "203.0.113.9"]);
    assert!(said.contains("audit mode of this user ended"), "{said}");
}
