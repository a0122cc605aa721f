//! `account`.

use serde_json::json;

use crate::site::{Site, keys};

#[test]
fn accounts_come_and_go() {
    let site = Site::new();
    let added = site.json(&[
        "account", "add", "Acme", "--plan", "free", "--quota", "100/hour",
    ]);
    assert_eq!(
        (&added["name"], &added["plan"]),
        (&json!("acme"), &json!("free"))
    );
    assert_eq!(added["quotas"][0]["limit"], 100);
    assert_eq!((&added["users"], &added["domains"]), (&json!(0), &json!(0)));

    let set = site.json(&["account", "set", "ACME", "--plan", "pro", "--quota="]);
    assert_eq!((&set["plan"], &set["quotas"]), (&json!("pro"), &json!([])));
    assert_eq!(site.json(&["account", "show", "acme"]), set);
    let names: Vec<_> = site
        .json(&["account", "list"])
        .as_array()
        .unwrap()
        .iter()
        .map(|account| account["name"].clone())
        .collect();
    assert_eq!(names, ["acme", "default"]);

    let removed = site.json(&["account", "remove", "acme"]);
    assert_eq!(removed["removed"], true);
    site.refused(&["account", "show", "acme"]);
}

#[test]
fn an_account_has_these_fields() {
    let site = Site::new();
    let out = site.done(&["--json", "account", "show", "default"]);
    assert_eq!(
        keys(&out),
        ["name", "plan", "quotas", "users", "domains", "created_at"]
    );
    let account = site.json(&["account", "show", "default"]);
    assert_eq!(account["plan"], "pro");
}

#[test]
fn what_is_wrong_with_accounts_is_refused() {
    let site = Site::new();
    site.done(&["account", "add", "acme"]);
    site.done(&["domain", "add", "example.com", "--account", "acme"]);
    for args in [
        &["account", "add", "ACME"][..],
        &["account", "add", "-"],
        &["account", "add", "x", "--quota", "many/day"],
        &["account", "add", "x", "--quota", "-5/day"],
        &["account", "set", "nobody", "--plan", "pro"],
        &["account", "show", "nobody"],
        &["account", "remove", "nobody"],
        &["account", "remove", "default"],
        &["account", "remove", "acme"],
    ] {
        site.refused(args);
    }
    let ran = site.refused(&["account", "remove", "acme"]);
    assert!(ran.err.contains("1 domain"), "{}", ran.err);
    assert!(ran.err.contains("\nhint: "), "{}", ran.err);
}
