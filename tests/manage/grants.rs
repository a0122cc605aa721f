//! Which grants can be stored: the account's own domains, the most specific owner wins.

use outgate::manage::warning::Warning;
use outgate::model::domain::Domain;
use outgate::model::user::Mode;

use crate::*;

/// What each account has, then which grants its users can have.
struct Case {
    /// `account domain kind`, one a line; kinds: `pending`, `trusted`, `wide`, `pending-wide`.
    domains: &'static [&'static str],
    allowed: &'static [&'static str],
    /// With a word of the refusal and one of the hint.
    refused: &'static [(&'static str, &'static str, &'static str)],
}

const CASES: &[Case] = &[
    Case {
        domains: &[],
        allowed: &[],
        refused: &[
            (
                "example.com",
                "example.com is not a domain of account default",
                "outgate domain add example.com",
            ),
            ("*.example.com", "not a domain of", "domain add example.com"),
            ("a@example.com", "not a domain of", "domain add example.com"),
            ("com", "public suffix", ""),
            ("*.co.uk", "public suffix", ""),
            ("localhost", "public suffix", ""),
            ("*", "not a sender domain", ""),
            ("a b@example.com", "is not an address", ""),
            ("[192.0.2.1]", "not a sender domain", ""),
            ("a@[192.0.2.1]", "not a sender domain", ""),
        ],
    },
    Case {
        domains: &["default example.com trusted"],
        allowed: &[
            "example.com",
            "EXAMPLE.com.",
            "*.example.com",
            "Boss@Example.com",
        ],
        refused: &[
            (
                "a.example.com",
                "a.example.com lies below example.com",
                "outgate domain add example.com --with-subdomains",
            ),
            ("*.a.example.com", "lies below", "--with-subdomains"),
            ("x@a.example.com", "lies below", "--with-subdomains"),
            (
                "notexample.com",
                "not a domain of",
                "domain add notexample.com",
            ),
            ("example.org", "not a domain of", "domain add example.org"),
        ],
    },
    // Pending is enough to store; it counts when it is verified.
    Case {
        domains: &[
            "default example.com pending",
            "default example.net pending-wide",
        ],
        allowed: &[
            "example.com",
            "*.example.com",
            "example.net",
            "a.b.example.net",
        ],
        refused: &[("a.example.com", "lies below", "--with-subdomains")],
    },
    Case {
        domains: &["default example.com wide"],
        allowed: &["a.example.com", "*.a.example.com", "x@a.b.example.com"],
        refused: &[],
    },
    // A private suffix can be somebody's domain; its wildcard covers strangers.
    Case {
        domains: &["default github.io trusted", "default me.github.io trusted"],
        allowed: &["github.io", "me.github.io", "*.me.github.io"],
        refused: &[("*.github.io", "public suffix", "")],
    },
    // Another account's domains.
    Case {
        domains: &["acme example.com trusted", "acme example.net pending"],
        allowed: &[],
        refused: &[
            (
                "example.com",
                "example.com is verified on account acme",
                "outgate domain show example.com",
            ),
            (
                "a.example.com",
                "lies below example.com, which is verified on account acme",
                "",
            ),
            ("*.example.com", "verified on account acme", ""),
            (
                "example.net",
                "not a domain of account default",
                "domain add",
            ),
        ],
    },
    // The most specific owner wins, in both directions.
    Case {
        domains: &[
            "default example.com wide",
            "acme shop.example.com trusted",
            "default deep.shop.example.com pending",
        ],
        allowed: &[
            "example.com",
            "*.example.com",
            "a.example.com",
            "deep.shop.example.com",
        ],
        refused: &[
            ("shop.example.com", "verified on account acme", ""),
            ("x@shop.example.com", "verified on account acme", ""),
            ("*.shop.example.com", "verified on account acme", ""),
            ("a.shop.example.com", "below shop.example.com", ""),
        ],
    },
    // What another account only claims hides nothing.
    Case {
        domains: &["default example.com wide", "acme shop.example.com pending"],
        allowed: &["shop.example.com", "a.shop.example.com"],
        refused: &[],
    },
    // Own domains without sub-domains in between hide nothing either.
    Case {
        domains: &["default example.com wide", "default a.example.com trusted"],
        allowed: &["b.a.example.com"],
        refused: &[],
    },
    // Claimed here, verified elsewhere: such a grant would never count.
    Case {
        domains: &["default example.com pending", "acme example.com trusted"],
        allowed: &[],
        refused: &[("example.com", "verified on account acme", "")],
    },
    Case {
        domains: &["default пример.рф trusted"],
        allowed: &["xn--e1afmkfd.xn--p1ai", "Пример.рф", "*.пример.рф"],
        refused: &[],
    },
];

#[test]
fn grants_fit_the_account() {
    for case in CASES {
        on_every_store(|store| {
            account(store, "acme");
            for line in case.domains {
                domain(store, line);
            }
            add(store, "old", &Settings::default()).unwrap();
            for grant in case.allowed {
                let done = add(store, "new", &granted(&[grant]));
                assert!(done.is_ok(), "{:?}: {grant}: {done:?}", case.domains);
                manage::user::remove(store, "new").unwrap();
                let amendment = Amendment {
                    add_allow: texts(&[grant]),
                    ..Amendment::default()
                };
                set(store, "old", &amendment).unwrap();
            }
            let before = show(store, "old");
            for (grant, error, hint) in case.refused {
                refused(add(store, "new", &granted(&[grant])), error, hint);
                let amendment = Amendment {
                    add_allow: texts(&[grant]),
                    ..Amendment::default()
                };
                refused(set(store, "old", &amendment), error, hint);
            }
            assert_eq!(show(store, "old"), before);
        });
    }
}

#[test]
fn grants_of_other_modes_are_kept() {
    on_every_store(|store| {
        trusted(store, "example.com", "default");
        add(store, "shop", &granted(&["example.com"])).unwrap();
        for mode in [Mode::AllDomains, Mode::AnyDomain, Mode::Default] {
            let amendment = Amendment {
                settings: Settings {
                    mode: Some(mode),
                    ..Settings::default()
                },
                ..Amendment::default()
            };
            let done = set(store, "shop", &amendment).unwrap();
            assert_eq!(strings(&done.record.user.grants), ["example.com"]);
            let unused = done.warnings.contains(&Warning::UnusedGrants(mode));
            assert_eq!(unused, mode != Mode::Default);
        }
    });
}

#[test]
fn grants_that_do_not_count_are_pointed_at() {
    on_every_store(|store| {
        account(store, "acme");
        trusted(store, "example.com", "default");
        pending(store, "example.net", "default");
        pending(store, "example.org", "default");
        let allow = [
            "example.com",
            "*.example.net",
            "a@example.net",
            "example.org",
        ];
        let done = add(store, "shop", &granted(&allow)).unwrap();
        let net = "example.net".parse().unwrap();
        let org: Domain = "example.org".parse().unwrap();
        assert_eq!(
            done.warnings,
            [Warning::PendingGrants(vec![net, org.clone()])]
        );
        trusted(store, "example.net", "default");
        trusted(store, "example.org", "acme");
        let done = manage::user::show(store, "shop").unwrap();
        assert_eq!(done.warnings, [Warning::ForeignGrants(vec![org])]);
        // What is stored does not stand in the way of other changes.
        let amendment = Amendment {
            settings: Settings {
                note: Some("hello".to_owned()),
                ..Settings::default()
            },
            ..Amendment::default()
        };
        set(store, "shop", &amendment).unwrap();
    });
}

fn domain(store: &dyn Store, line: &str) {
    let words: Vec<_> = line.split(' ').collect();
    let [account, domain, kind] = words[..] else {
        panic!("{line}");
    };
    match kind {
        "pending" => drop(pending(store, domain, account)),
        "trusted" => drop(trusted(store, domain, account)),
        "wide" => wide(store, domain, account),
        "pending-wide" => {
            let terms = Terms {
                trusted: false,
                with_subdomains: true,
            };
            manage::domain::add(store, domain, Some(account), terms, day(1)).unwrap();
        }
        _ => panic!("{line}"),
    }
}
