//! `domain`.

use serde_json::json;

use crate::site::{Site, keys};

#[test]
fn a_domain_waits_unless_the_operator_vouches() {
    let site = Site::new();
    let pending = site.json(&["domain", "add", "Example.COM."]);
    assert_eq!(pending["domain"], "example.com");
    assert_eq!(pending["status"], "pending");
    assert_eq!(pending["verified_by"], json!(null));
    assert_eq!(
        pending["challenge"]["name"],
        "_outgate-challenge.example.com"
    );
    assert_eq!(pending["challenge"]["type"], "TXT");
    let value = pending["challenge"]["value"].as_str().unwrap();
    assert!(
        value.starts_with("og1-verify=") && value.len() > 30,
        "{value}"
    );

    let trusted = site.json(&[
        "domain",
        "add",
        "example.org",
        "--trusted",
        "--with-subdomains",
    ]);
    assert_eq!(trusted["status"], "verified");
    assert_eq!(trusted["verified_by"], "operator");
    assert_eq!(trusted["with_subdomains"], true);
    assert_eq!(site.json(&["domain", "show", "EXAMPLE.org"]), trusted);
    assert_eq!(site.json(&["domain", "list"]), json!([pending, trusted]));
    assert_eq!(
        site.json(&["domain", "list", "--account", "default"]),
        json!([pending, trusted])
    );
}

#[test]
fn the_record_to_publish_is_printed_for_eyes() {
    let site = Site::new();
    let out = site.done(&["domain", "add", "example.com"]);
    assert!(out.contains("_outgate-challenge.example.com"), "{out}");
    assert!(out.contains("og1-verify="), "{out}");
}

#[test]
fn a_domain_has_these_fields() {
    let site = Site::new();
    let out = site.done(&["--json", "domain", "add", "bücher.example"]);
    assert_eq!(
        keys(&out),
        [
            "domain",
            "account",
            "status",
            "verified_by",
            "with_subdomains",
            "challenge",
            "added_at",
            "unicode"
        ]
    );
    let shown = site.done(&["domain", "list"]);
    assert!(
        shown.contains("xn--bcher-kva.example (bücher.example)"),
        "{shown}"
    );
    assert!(out.contains("xn--bcher-kva.example"));
    assert_eq!(
        site.done(&["--json", "domain", "show", "XN--BCHER-KVA.example"]),
        out
    );
}

#[test]
fn removing_a_domain_counts_its_grants() {
    let site = Site::new();
    site.verified(&["example.com", "example.org"]);
    site.user(
        "shop",
        &[
            "--allow",
            "example.com",
            "--allow",
            "boss@example.com",
            "--allow",
            "example.org",
        ],
        "long enough",
    );
    assert_eq!(
        site.json(&["domain", "remove", "example.com"]),
        json!({"domain": "example.com", "removed": true, "grants_deleted": 2})
    );
    assert_eq!(
        site.json(&["user", "show", "shop"])["allow"],
        json!(["example.org"])
    );
    site.refused(&["domain", "show", "example.com"]);
}

#[test]
fn a_domain_that_waits_on_several_accounts_needs_the_account() {
    let site = Site::new();
    site.done(&["account", "add", "acme"]);
    site.done(&["domain", "add", "example.com"]);
    site.done(&["domain", "add", "example.com", "--account", "acme"]);
    for command in ["show", "remove"] {
        let ran = site.refused(&["domain", command, "example.com"]);
        assert!(
            ran.err.contains("acme") && ran.err.contains("default"),
            "{}",
            ran.err
        );
    }
    site.done(&["domain", "remove", "example.com", "--account", "acme"]);
    assert_eq!(
        site.json(&["domain", "show", "example.com"])["account"],
        "default"
    );
}

#[test]
fn what_is_wrong_with_domains_is_refused() {
    let site = Site::new();
    site.done(&["account", "add", "acme"]);
    site.done(&[
        "domain",
        "add",
        "taken.example",
        "--account",
        "acme",
        "--trusted",
    ]);
    site.done(&["domain", "add", "example.com"]);
    for args in [
        &["domain", "add", "com"][..],
        &["domain", "add", "co.uk", "--trusted"],
        &["domain", "add", "localhost"],
        &["domain", "add", ""],
        &["domain", "add", "a..b"],
        &["domain", "add", "192.0.2.1"],
        &["domain", "add", "boss@example.com"],
        &["domain", "add", "*.example.com"],
        &["domain", "add", "example.com"],
        &["domain", "add", "example.net", "--account", "nobody"],
        &["domain", "add", "taken.example", "--trusted"],
        &["domain", "show", "example.net"],
        &["domain", "show", "example.com", "--account", "acme"],
        &["domain", "remove", "example.net"],
        &["domain", "list", "--account", "nobody"],
    ] {
        site.refused(args);
    }
}
