//! Accounts.

use jiff::tz::TimeZone;
use outgate::manage::account::{add, list, remove, set, show};
use outgate::manage::view::AccountView;
use outgate::model::user::Plan;
use serde_json::json;

use crate::*;

#[test]
fn there_is_always_one() {
    on_every_store(|store| {
        let accounts = list(store).unwrap();
        assert_eq!(accounts.len(), 1);
        let default = show(store, "Default").unwrap();
        assert_eq!(default, accounts[0]);
        assert_eq!((default.account.plan, default.users), (Plan::Pro, 0));
        refused(remove(store, "default"), "cannot be removed", "");
    });
}

#[test]
fn an_account_lives_and_goes() {
    on_every_store(|store| {
        let quotas = texts(&["1000/day", "1000/DAY", "5/month recipients"]);
        let added = add(store, "ACME", Some(Plan::Free), &quotas, day(1)).unwrap();
        assert_eq!(added.account.name.as_str(), "acme");
        assert_eq!(
            strings(&added.account.quotas),
            ["1000/day", "5/month recipients"]
        );
        assert_eq!(show(store, "Acme").unwrap(), added);

        let now = set(store, "acme", Some(Plan::Pro), None).unwrap();
        assert_eq!(now.account.plan, Plan::Pro);
        assert_eq!(now.account.quotas, added.account.quotas);
        let now = set(store, "acme", None, Some(&texts(&[""]))).unwrap();
        assert!(now.account.quotas.is_empty());
        assert_eq!(now.account.plan, Plan::Pro);

        remove(store, "acme").unwrap();
        refused(
            show(store, "acme"),
            "no account acme",
            "outgate account add acme",
        );
        add(store, "acme", None, &[], day(2)).unwrap();
    });
}

#[test]
fn what_is_refused() {
    on_every_store(|store| {
        account(store, "acme");
        let again = add(store, "Acme", None, &[], day(1));
        refused(again, "acme is there already", "outgate account show acme");
        for name in ["", "-a", "a b", "a@b", "ä", &"a".repeat(65)] {
            refused(add(store, name, None, &[], day(1)), "is not a name", "");
        }
        for (quotas, error) in [
            (&["10/year"][..], "is not a quota"),
            (&["10/day", "20/day"], "two limits for messages a day"),
            (&["10/day", ""], "is not a quota"),
        ] {
            refused(add(store, "new", None, &texts(quotas), day(1)), error, "");
            refused(set(store, "acme", None, Some(&texts(quotas))), error, "");
        }
        refused(show(store, "new"), "no account new", "account add new");
        refused(
            set(store, "new", None, None),
            "no account new",
            "account add new",
        );
        refused(remove(store, "new"), "no account new", "account add new");
    });
}

#[test]
fn an_account_that_owns_something_stays() {
    on_every_store(|store| {
        account(store, "acme");
        pending(store, "example.com", "acme");
        refused(
            remove(store, "acme"),
            "still owns 1 domain (example.com)",
            "outgate domain list --account acme",
        );
        for name in ["a", "b", "c", "d"] {
            let settings = Settings {
                account: Some("acme".to_owned()),
                ..Settings::default()
            };
            crate::add(store, name, &settings).unwrap();
        }
        refused(
            remove(store, "acme"),
            "still owns 4 users (a, b, c, …) and 1 domain (example.com)",
            "outgate user list --account acme",
        );
        manage::domain::remove(store, "example.com", None, day(2)).unwrap();
        for name in ["a", "b", "c", "d"] {
            manage::user::remove(store, name).unwrap();
        }
        remove(store, "acme").unwrap();
    });
}

#[test]
fn an_account_is_shown_as_promised() {
    let store = in_memory();
    add(
        &*store,
        "acme",
        None,
        &texts(&["10/day", "0/total"]),
        day(1),
    )
    .unwrap();
    trusted(&*store, "example.com", "acme");
    let state = show(&*store, "acme").unwrap();
    let view = AccountView::new(&state, day(2), &TimeZone::UTC);
    let promised = r#"{"name":"acme","plan":"pro","quotas":[{"limit":10,"window":"day","unit":"messages","used":0,"remaining":10,"resets_at":"2026-03-03T00:00:00Z"},{"limit":0,"window":"total","unit":"messages","used":0,"remaining":null,"resets_at":null}],"users":0,"domains":1,"created_at":"2026-03-01T12:00:00Z"}"#;
    assert_eq!(serde_json::to_string(&view).unwrap(), promised);
    let gone = manage::view::RemovedView::new(&state.account.name);
    assert_eq!(
        serde_json::to_value(gone).unwrap(),
        json!({"name": "acme", "removed": true})
    );
}
