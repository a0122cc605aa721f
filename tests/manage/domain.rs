//! Domains.

use outgate::manage::domain::{add, list, remove, show};
use outgate::manage::view::{DomainRemovedView, DomainView};
use outgate::manage::warning::Warning;
use outgate::model::user::VerifiedBy;

use crate::*;

const TRUSTED: Terms = Terms {
    trusted: true,
    with_subdomains: false,
};
const PENDING: Terms = Terms {
    trusted: false,
    with_subdomains: false,
};
const WIDE: Terms = Terms {
    trusted: false,
    with_subdomains: true,
};

#[test]
fn a_domain_is_pending_until_somebody_vouches() {
    on_every_store(|store| {
        let first = pending(store, "Example.COM.", "default");
        assert_eq!(first.domain.as_str(), "example.com");
        assert_eq!(first.verified_by, None);
        assert_eq!(first.token.len(), 32);
        refused(
            add(store, "example.com", None, PENDING, day(2)),
            "on account default already (pending)",
            "outgate domain add --trusted example.com",
        );

        let vouched = add(store, "example.com", None, TRUSTED, day(2)).unwrap();
        assert_eq!(vouched.record.verified_by, Some(VerifiedBy::Operator));
        assert_eq!(vouched.record.token, first.token);
        assert_eq!(vouched.record.added_at, first.added_at);
        assert!(vouched.warnings.is_empty());
        for terms in [TRUSTED, PENDING] {
            refused(
                add(store, "EXAMPLE.com", None, terms, day(2)),
                "already (verified)",
                "outgate domain show example.com",
            );
        }

        let widened = add(store, "example.com", None, WIDE, day(3)).unwrap();
        assert!(widened.record.with_subdomains);
        assert_eq!(widened.record.verified_by, Some(VerifiedBy::Operator));
        assert_eq!(show(store, "example.com", None).unwrap(), widened.record);
        refused(add(store, "example.com", None, WIDE, day(3)), "already", "");
    });
}

#[test]
fn tokens_are_for_one_account_and_one_domain() {
    on_every_store(|store| {
        account(store, "acme");
        let records = [
            pending(store, "example.com", "default"),
            pending(store, "example.com", "acme"),
            pending(store, "example.net", "acme"),
        ];
        for (i, one) in records.iter().enumerate() {
            for other in &records[i + 1..] {
                assert_ne!(one.token, other.token);
            }
        }
    });
}

#[test]
fn names_come_in_both_spellings() {
    on_every_store(|store| {
        let record = pending(store, "пример.рф", "default");
        assert_eq!(record.domain.as_str(), "xn--e1afmkfd.xn--p1ai");
        for text in [
            "ПРИМЕР.рф",
            "xn--e1afmkfd.xn--p1ai",
            "XN--E1AFMKFD.xn--p1ai.",
        ] {
            assert_eq!(show(store, text, None).unwrap(), record, "{text}");
        }
    });
}

#[test]
fn what_is_no_sender_domain_is_refused() {
    on_every_store(|store| {
        for (text, error) in [
            ("", "the domain is empty"),
            ("com", "public suffix"),
            ("co.uk", "public suffix"),
            ("localhost", "public suffix"),
            ("*.example.com", "not a valid domain name"),
            ("a@example.com", "not a valid domain name"),
            ("192.0.2.1", "an address, not a domain name"),
            ("[192.0.2.1]", "not a valid domain name"),
            ("exa mple.com", "not a valid domain name"),
            ("a..b", "not a valid domain name"),
            ("http://example.com", "not a valid domain name"),
        ] {
            refused(add(store, text, None, TRUSTED, day(1)), error, "");
        }
        assert!(list(store, None).unwrap().is_empty());
        refused(
            add(store, "example.com", Some("acme"), TRUSTED, day(1)),
            "no account acme",
            "outgate account add acme",
        );
    });
}

#[test]
fn nobody_has_all_names_below_a_suffix() {
    on_every_store(|store| {
        for name in ["github.io", "kawasaki.jp", "blogspot.com"] {
            for trusted in [false, true] {
                let wide = Terms { trusted, ..WIDE };
                refused(
                    add(store, name, None, wide, day(1)),
                    "strangers have the names below it",
                    "without --with-subdomains",
                );
            }
            pending(store, name, "default");
            refused(add(store, name, None, WIDE, day(1)), "strangers", "");
            assert!(!show(store, name, None).unwrap().with_subdomains);
        }
        refused(
            crate::add(store, "shop", &granted(&["x.github.io"])),
            "x.github.io lies below github.io",
            "outgate domain add x.github.io",
        );
        add(store, "x.github.io", None, WIDE, day(1)).unwrap();
    });
}

#[test]
fn one_account_at_most_has_it_verified() {
    on_every_store(|store| {
        account(store, "acme");
        account(store, "other");
        trusted(store, "example.com", "acme");
        refused(
            add(store, "example.com", Some("other"), TRUSTED, day(1)),
            "verified on account acme",
            "outgate domain remove example.com --account acme",
        );
        let done = add(store, "example.com", Some("other"), PENDING, day(1)).unwrap();
        assert_eq!(done.record.verified_by, None);
        let [warning] = &done.warnings[..] else {
            panic!("{:?}", done.warnings);
        };
        assert!(matches!(warning, Warning::VerifiedElsewhere(..)));
        assert!(warning.to_string().contains("verified on account acme"));
        refused(
            add(store, "example.com", Some("other"), TRUSTED, day(1)),
            "verified on account acme",
            "",
        );
        // Without an account it is the one that has it verified.
        assert_eq!(
            show(store, "example.com", None).unwrap().account.as_str(),
            "acme"
        );
        remove(store, "example.com", None, day(2)).unwrap();
        let left = list(store, None).unwrap();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0].account.as_str(), "other");
        trusted(store, "example.com", "other");
    });
}

#[test]
fn the_account_is_asked_for_where_it_matters() {
    on_every_store(|store| {
        account(store, "acme");
        account(store, "other");
        pending(store, "example.com", "acme");
        assert_eq!(
            show(store, "example.com", None).unwrap().account.as_str(),
            "acme"
        );
        pending(store, "example.com", "other");
        for account in ["ACME", "other"] {
            show(store, "example.com", Some(account)).unwrap();
        }
        refused(
            show(store, "example.com", None),
            "pending on several accounts: acme, other",
            "--account",
        );
        refused(
            remove(store, "example.com", None, day(2)),
            "pending on several accounts: acme, other",
            "--account",
        );
        refused(
            remove(store, "example.com", Some("default"), day(2)),
            "no domain example.com on account default",
            "outgate domain add example.com",
        );
        refused(
            show(store, "example.net", None),
            "no domain example.net",
            "domain add",
        );
        refused(
            show(store, "a b", None),
            "is not a sender domain",
            "domain list",
        );
        refused(list(store, Some("nobody")), "no account nobody", "");
        assert_eq!(list(store, Some("acme")).unwrap().len(), 1);
        remove(store, "example.com", Some("acme"), day(2)).unwrap();
        assert_eq!(list(store, None).unwrap().len(), 1);
    });
}

#[test]
fn a_removal_takes_its_grants_along() {
    on_every_store(|store| {
        account(store, "acme");
        wide(store, "example.com", "default");
        pending(store, "own.example.com", "default");
        trusted(store, "example.net", "default");
        trusted(store, "example.org", "acme");
        let all = [
            "example.com",
            "*.example.com",
            "boss@example.com",
            "a.example.com",
            "*.a.example.com",
            "own.example.com",
            "boss@own.example.com",
            "example.net",
        ];
        add_user(store, "one", &all);
        add_user(store, "two", &["example.net"]);
        add_user(store, "three", &["b@b.example.com"]);
        let untouched = crate::show(store, "two");

        let removed = remove(store, "example.com", None, day(5)).unwrap();
        assert_eq!(removed.grants_deleted, 6);
        let one = crate::show(store, "one");
        assert_eq!(
            strings(&one.user.grants),
            ["own.example.com", "boss@own.example.com", "example.net"]
        );
        assert_eq!(one.updated_at, day(5));
        assert!(crate::show(store, "three").user.grants.is_empty());
        assert_eq!(crate::show(store, "two"), untouched);

        // They do not revive.
        wide(store, "example.com", "default");
        assert!(crate::show(store, "three").user.grants.is_empty());
        assert_eq!(crate::show(store, "one"), one);
    });
}

#[test]
fn grants_of_its_own_go_even_where_a_parent_would_allow_them() {
    on_every_store(|store| {
        wide(store, "example.com", "default");
        trusted(store, "a.example.com", "default");
        add_user(
            store,
            "one",
            &["a.example.com", "b.a.example.com", "example.com"],
        );
        let removed = remove(store, "a.example.com", None, day(2)).unwrap();
        assert_eq!(removed.grants_deleted, 1);
        assert_eq!(
            strings(&crate::show(store, "one").user.grants),
            ["b.a.example.com", "example.com"]
        );
    });
}

#[test]
fn a_removal_leaves_other_accounts_alone() {
    on_every_store(|store| {
        account(store, "acme");
        pending(store, "example.com", "acme");
        pending(store, "example.com", "default");
        add_user(store, "one", &["example.com"]);
        let removed = remove(store, "example.com", Some("acme"), day(2)).unwrap();
        assert_eq!(removed.grants_deleted, 0);
        assert_eq!(
            strings(&crate::show(store, "one").user.grants),
            ["example.com"]
        );
    });
}

#[test]
fn a_domain_is_shown_as_promised() {
    let store = in_memory();
    let record = trusted(&*store, "example.com", "default");
    let promised = format!(
        r#"{{"domain":"example.com","account":"default","status":"verified","verified_by":"operator","with_subdomains":false,"challenge":{{"name":"_outgate-challenge.example.com","type":"TXT","value":"og1-verify={}"}},"added_at":"2026-03-01T12:00:00Z"}}"#,
        record.token
    );
    let view = DomainView::from(&record);
    assert_eq!(serde_json::to_string(&view).unwrap(), promised);
    let view = DomainView::from(&pending(&*store, "example.net", "default"));
    let view = serde_json::to_string(&view).unwrap();
    assert!(
        view.contains(r#""status":"pending","verified_by":null"#),
        "{view}"
    );
    let removed = remove(&*store, "example.com", None, day(2)).unwrap();
    assert_eq!(
        serde_json::to_string(&DomainRemovedView::from(&removed)).unwrap(),
        r#"{"domain":"example.com","removed":true,"grants_deleted":0}"#
    );
}

fn add_user(store: &dyn Store, name: &str, allow: &[&str]) {
    crate::add(store, name, &granted(allow)).unwrap();
}
