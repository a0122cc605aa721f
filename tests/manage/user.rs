//! Users.

use jiff::tz::TimeZone;
use outgate::manage::user::{list, passwd, remove, resume, suspend};
use outgate::manage::view::UserView;
use outgate::manage::warning::Warning;
use outgate::model::name::Login;
use outgate::model::user::{CheckFrom, Enforce, Mode, Plan, Status};

use crate::*;

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

fn amended(change: impl FnOnce(&mut Settings)) -> Amendment {
    Amendment {
        settings: settings(change),
        ..Amendment::default()
    }
}

fn renamed(to: &str) -> Amendment {
    Amendment {
        rename: Some(to.to_owned()),
        ..Amendment::default()
    }
}

fn by_login(store: &dyn Store, login: &str) -> Option<String> {
    let login = Login::parse(login).unwrap();
    let mut name = None;
    store
        .view(&mut |tx| {
            if let Some(id) = tx.login_owner(&login)? {
                name = tx
                    .user_with_id(id)?
                    .map(|record| record.user.name.to_string());
            }
            Ok(())
        })
        .unwrap();
    name
}

#[test]
fn a_user_has_defaults() {
    on_every_store(|store| {
        let done = add(store, "Shop", &Settings::default()).unwrap();
        assert_eq!(done.warnings, [Warning::NoGrants]);
        let record = done.record;
        assert_eq!(record, show(store, "SHOP"));
        let user = &record.user;
        assert_eq!(
            (user.name.as_str(), user.account.as_str()),
            ("shop", "default")
        );
        assert_eq!((user.status, user.mode), (Status::Active, Mode::Default));
        assert_eq!(
            (user.check_from, user.enforce),
            (CheckFrom::Both, Enforce::On)
        );
        assert_eq!(user.max_recipients, None);
        assert_eq!((record.created_at, record.updated_at), (day(1), day(1)));
        assert_eq!(record.last_used_at, None);
    });
}

#[test]
fn every_setting_can_be_given_and_changed() {
    on_every_store(|store| {
        account(store, "acme");
        trusted(store, "example.com", "acme");
        let all = settings(|s| {
            s.account = Some("ACME".to_owned());
            s.mode = Some(Mode::AllDomains);
            s.allow = Some(texts(&["example.com", "EXAMPLE.com", "a@example.com"]));
            s.ip = Some(texts(&[
                "192.0.2.9/24",
                "2001:db8::1",
                "::ffff:192.0.2.0/120",
            ]));
            s.quotas = Some(texts(&["100", "5/hour recipients"]));
            s.max_recipients = Some(Some(20));
            s.logins = Some(texts(&["Jane@Example.com", "jane@example.com", "shop"]));
            s.check_from = Some(CheckFrom::Envelope);
            s.enforce = Some(Enforce::Audit);
            s.note = Some("line one\nzwei ✓".to_owned());
        });
        let record = add(store, "shop", &all).unwrap().record;
        assert_eq!(
            strings(&record.user.grants),
            ["example.com", "a@example.com"]
        );
        assert_eq!(
            strings(&record.user.networks),
            ["192.0.2.0/24", "2001:db8::1"]
        );
        assert_eq!(
            strings(&record.user.quotas),
            ["100/day", "5/hour recipients"]
        );
        assert_eq!(strings(&record.logins), ["jane@example.com"]);
        assert_eq!(record.user.max_recipients, Some(20));
        assert_eq!(record.note, "line one\nzwei ✓");

        let emptied = amended(|s| {
            s.allow = Some(texts(&[""]));
            s.ip = Some(texts(&[""]));
            s.quotas = Some(texts(&[""]));
            s.logins = Some(texts(&[""]));
            s.max_recipients = Some(None);
            s.note = Some(String::new());
            s.mode = Some(Mode::Default);
            s.check_from = Some(CheckFrom::Both);
            s.enforce = Some(Enforce::On);
            s.account = Some("default".to_owned());
        });
        let record = set(store, "shop", &emptied).unwrap().record;
        let plain = add(store, "plain", &Settings::default()).unwrap().record;
        let mut same = plain.clone();
        same.user.id = record.user.id;
        same.user.name = record.user.name.clone();
        same.user.credential_version = record.user.credential_version;
        same.updated_at = day(2);
        assert_eq!(record, same);
    });
}

#[test]
fn lists_are_replaced_added_to_and_dropped_from() {
    on_every_store(|store| {
        for domain in ["a.example", "b.example", "c.example"] {
            trusted(store, domain, "default");
        }
        add(store, "shop", &granted(&["a.example", "b.example"])).unwrap();
        let lists = |allow: Option<&[&str]>, add: &[&str], drop: &[&str]| Amendment {
            settings: settings(|s| s.allow = allow.map(texts)),
            add_allow: texts(add),
            drop_allow: texts(drop),
            ..Amendment::default()
        };
        for (amendment, left) in [
            (
                lists(None, &["c.example", "a.example"], &[]),
                "a.example b.example c.example",
            ),
            (lists(None, &[], &["B.example."]), "a.example c.example"),
            (
                lists(None, &["b.example"], &["a.example"]),
                "c.example b.example",
            ),
            (
                lists(Some(&["a.example"]), &["*.a.example"], &[]),
                "a.example *.a.example",
            ),
            (
                lists(Some(&["a.example", "b.example"]), &[], &["a.example"]),
                "b.example",
            ),
            (lists(Some(&[""]), &["c.example"], &[]), "c.example"),
            (lists(None, &[], &["c.example"]), ""),
        ] {
            let record = set(store, "shop", &amendment).unwrap().record;
            assert_eq!(strings(&record.user.grants).join(" "), left);
        }
        refused(
            set(store, "shop", &lists(None, &[], &["a.example"])),
            "a.example is not in the allow list of user shop",
            "outgate user show shop",
        );
        refused(
            set(store, "shop", &lists(Some(&["", "a.example"]), &[], &[])),
            "is empty",
            "",
        );
        refused(set(store, "shop", &lists(None, &[""], &[])), "is empty", "");
    });
}

#[test]
fn the_ip_list_is_edited_the_same_way() {
    on_every_store(|store| {
        add(store, "shop", &Settings::default()).unwrap();
        let lists = |add: &[&str], drop: &[&str]| Amendment {
            add_ip: texts(add),
            drop_ip: texts(drop),
            ..Amendment::default()
        };
        let done = set(
            store,
            "shop",
            &lists(&["192.0.2.7/24", "192.0.2.0/24"], &[]),
        )
        .unwrap();
        assert_eq!(strings(&done.record.user.networks), ["192.0.2.0/24"]);
        assert!(done.warnings.contains(&Warning::OneFamily { ipv4: true }));
        let done = set(store, "shop", &lists(&["2001:db8::/32"], &[])).unwrap();
        assert_eq!(done.warnings, [Warning::NoGrants]);
        let done = set(store, "shop", &lists(&[], &["192.0.2.99/24"])).unwrap();
        assert!(done.warnings.contains(&Warning::OneFamily { ipv4: false }));
        refused(
            set(store, "shop", &lists(&[], &["192.0.2.0/25"])),
            "192.0.2.0/25 is not in the ip list of user shop",
            "outgate user show shop",
        );
        let done = set(store, "shop", &lists(&[], &["2001:db8::/32"])).unwrap();
        assert!(done.record.user.networks.is_empty());
        assert!(done.warnings.contains(&Warning::OpenToAll));
        for text in ["192.0.2.0/33", "example.com", "192.0.2.01", ""] {
            refused(
                set(store, "shop", &lists(&[text], &[])),
                "is not an IP address",
                "",
            );
        }
    });
}

/// Settings that cannot be stored, and what is said about them.
fn bad_settings() -> Vec<(Settings, &'static str)> {
    let too_many: Vec<String> = (0..1001).map(|i| format!("u{i}")).collect();
    let too_many_networks: Vec<String> = (0..1001)
        .map(|i| format!("10.0.{}.{}", i / 256, i % 256))
        .collect();
    let windows = ["minute", "hour", "day", "week", "month", "total"];
    let too_many_quotas: Vec<String> = (1..18).map(|i| format!("{i}/{}", windows[i % 6])).collect();
    vec![
        (
            settings(|s| s.account = Some("acme".into())),
            "there is no account acme",
        ),
        (
            settings(|s| s.account = Some("a b".into())),
            "is not a name",
        ),
        (
            settings(|s| s.ip = Some(texts(&["1.2.3"]))),
            "is not an IP address",
        ),
        (
            settings(|s| s.ip = Some(too_many_networks.clone())),
            "1001 entries in ip: the most is 1000",
        ),
        (
            settings(|s| s.quotas = Some(texts(&["1/year"]))),
            "is not a quota",
        ),
        (
            settings(|s| s.quotas = Some(texts(&["1/day", "2"]))),
            "two limits for messages a day",
        ),
        (
            settings(|s| s.quotas = Some(too_many_quotas.clone())),
            "17 entries in quotas: the most is 16",
        ),
        (
            settings(|s| s.max_recipients = Some(Some(0))),
            "cannot be 0",
        ),
        (
            settings(|s| s.logins = Some(texts(&["a b"]))),
            "is not a login",
        ),
        (
            settings(|s| s.logins = Some(texts(&["a\u{202e}b"]))),
            "is not a login",
        ),
        (
            settings(|s| s.logins = Some(too_many.clone())),
            "1001 entries in logins: the most is 1000",
        ),
        (
            settings(|s| s.note = Some("x".repeat(1001))),
            "longer than 1000 characters",
        ),
        (
            settings(|s| s.note = Some("\u{1b}[2J".into())),
            "control characters",
        ),
    ]
}

#[test]
fn nobody_is_called_like_an_id() {
    on_every_store(|store| {
        let id = add(store, "shop", &Settings::default())
            .unwrap()
            .record
            .user
            .id
            .to_string();
        let plain = id.replace('-', "");
        for name in [id.clone(), id.to_uppercase(), plain] {
            let login = settings(|s| s.logins = Some(vec![name.clone()]));
            let error = "looks like the id of a user";
            refused(add(store, &name, &Settings::default()), error, "");
            refused(add(store, "crm", &login), error, "");
            refused(set(store, "shop", &renamed(&name)), error, "");
            let amendment = Amendment {
                settings: login,
                ..Amendment::default()
            };
            refused(set(store, "shop", &amendment), error, "");
        }
        add(store, "018f0c5e-0000-7000-8000", &Settings::default()).unwrap();
    });
}

#[test]
fn what_cannot_be_stored_is_refused() {
    let cases = bad_settings();
    on_every_store(|store| {
        add(store, "shop", &Settings::default()).unwrap();
        let before = show(store, "shop");
        for (settings, error) in &cases {
            refused(add(store, "new", settings), error, "");
            let amendment = Amendment {
                settings: settings.clone(),
                ..Amendment::default()
            };
            refused(set(store, "shop", &amendment), error, "");
        }
        assert_eq!(show(store, "shop"), before);
        for name in ["", "a b", "a@b", "-a", "ä", &"a".repeat(65)] {
            refused(add(store, name, &Settings::default()), "is not a name", "");
            refused(set(store, "shop", &renamed(name)), "is not a name", "");
        }
        refused(
            manage::user::show(store, "new"),
            "no user new",
            "outgate user add new",
        );
    });
}

#[test]
fn the_longest_lists_fit() {
    on_every_store(|store| {
        wide(store, "example.com", "default");
        let many = |of: fn(usize) -> String| Some((0..1000).map(of).collect::<Vec<_>>());
        let full = settings(|s| {
            s.allow = many(|i| format!("d{i}.example.com"));
            s.ip = many(|i| format!("10.0.{}.{}", i / 256, i % 256));
            s.logins = many(|i| format!("login{i}"));
        });
        add(store, "shop", &full).unwrap();
        let record = show(store, "shop");
        assert_eq!(record.user.grants.len(), 1000);
        assert_eq!(
            (record.user.networks.len(), record.logins.len()),
            (1000, 1000)
        );
        let one_more = Amendment {
            add_allow: texts(&["example.com"]),
            ..Amendment::default()
        };
        refused(
            set(store, "shop", &one_more),
            "1001 entries in allow: the most is 1000",
            "",
        );
        // Renaming needs room for the old name; a login that becomes the name makes some.
        refused(
            set(store, "shop", &renamed("store")),
            "1000 already",
            "outgate user set shop",
        );
        assert_eq!(show(store, "shop"), record);
        let record = set(store, "shop", &renamed("login7")).unwrap().record;
        assert_eq!(record.logins.len(), 1000);
    });
}

#[test]
fn names_and_logins_are_unique_together() {
    on_every_store(|store| {
        let with_login = settings(|s| s.logins = Some(texts(&["jane", "Jane@example.com"])));
        add(store, "shop", &with_login).unwrap();
        add(store, "other", &Settings::default()).unwrap();
        for (name, error) in [
            ("shop", "user shop is there already"),
            ("SHOP", "user shop is there already"),
            ("Jane", "jane is an extra login of user shop"),
        ] {
            let hint = "outgate user show shop";
            refused(add(store, name, &Settings::default()), error, hint);
            refused(set(store, "other", &renamed(name)), error, hint);
        }
        for login in ["shop", "SHOP", "JANE", "jane@EXAMPLE.com"] {
            let taken = |s: &mut Settings| s.logins = Some(texts(&[login]));
            let (error, hint) = ("belongs to user shop", "outgate user show shop");
            refused(add(store, "new", &settings(taken)), error, hint);
            refused(set(store, "other", &amended(taken)), error, hint);
        }
        // A login goes from one to the other when the first lets it go.
        set(
            store,
            "shop",
            &amended(|s| s.logins = Some(texts(&["jane"]))),
        )
        .unwrap();
        let given = amended(|s| s.logins = Some(texts(&["jane@example.com"])));
        set(store, "other", &given).unwrap();
        assert_eq!(
            by_login(store, "jane@example.com").as_deref(),
            Some("other")
        );
        assert_eq!(by_login(store, "jane").as_deref(), Some("shop"));
    });
}

#[test]
fn an_extra_login_is_not_a_name_for_commands() {
    on_every_store(|store| {
        add(
            store,
            "shop",
            &settings(|s| s.logins = Some(texts(&["jane@example.com", "jane"]))),
        )
        .unwrap();
        for login in ["jane", "JANE", "jane@example.com"] {
            refused(
                manage::user::show(store, login),
                "is not a user but an extra login of user shop",
                "outgate user show shop",
            );
            refused(remove(store, login), "an extra login of user shop", "");
        }
        refused(
            remove(store, "bob@example.com"),
            "is not a name",
            "outgate user list",
        );
    });
}

#[test]
fn a_rename_keeps_the_old_name_as_a_login() {
    on_every_store(|store| {
        let id = add(store, "shop", &Settings::default())
            .unwrap()
            .record
            .user
            .id;
        let record = set(store, "Shop", &renamed("Store")).unwrap().record;
        assert_eq!(record.user.name.as_str(), "store");
        assert_eq!(
            (record.user.id, strings(&record.logins)),
            (id, texts(&["shop"]))
        );
        assert_eq!(by_login(store, "shop").as_deref(), Some("store"));
        refused(
            manage::user::show(store, "shop"),
            "an extra login of user store",
            "",
        );
        refused(
            add(store, "shop", &Settings::default()),
            "extra login of user store",
            "",
        );

        // Back again: the extra login becomes the name.
        let record = set(store, "store", &renamed("shop")).unwrap().record;
        assert_eq!(
            (record.user.id, strings(&record.logins)),
            (id, texts(&["store"]))
        );

        // To itself: nothing happens.
        let same = manage::user::set(store, "shop", &renamed("SHOP"), day(9)).unwrap();
        assert_eq!(same.record, record);

        // Together with a new list, the old name is added to it.
        let mut both = renamed("third");
        both.settings.logins = Some(texts(&["jane@example.com"]));
        let record = set(store, "shop", &both).unwrap().record;
        assert_eq!(strings(&record.logins), ["jane@example.com", "shop"]);
        assert_eq!(by_login(store, "store"), None);

        // Once the old name is taken off, others can have it.
        set(store, "third", &amended(|s| s.logins = Some(texts(&[""])))).unwrap();
        add(store, "shop", &Settings::default()).unwrap();
    });
}

#[test]
fn a_removal_frees_name_and_logins() {
    on_every_store(|store| {
        let with_login = settings(|s| s.logins = Some(texts(&["jane@example.com"])));
        let first = add(store, "shop", &with_login).unwrap().record;
        assert_eq!(remove(store, "SHOP").unwrap(), first);
        refused(remove(store, "shop"), "no user shop", "");
        let second = add(store, "shop", &with_login).unwrap().record;
        assert_ne!(first.user.id, second.user.id);
    });
}

#[test]
fn any_domain_comes_with_the_plan() {
    on_every_store(|store| {
        manage::account::add(store, "acme", Some(Plan::Free), &[], day(1)).unwrap();
        let any = |account: &str| {
            settings(|s| {
                s.account = Some(account.to_owned());
                s.mode = Some(Mode::AnyDomain);
            })
        };
        let (error, hint) = (
            "mode any-domain needs plan pro, and account acme has plan free",
            "outgate account set acme --plan pro",
        );
        refused(add(store, "shop", &any("acme")), error, hint);
        add(store, "shop", &any("default")).unwrap();
        // It cannot move there either, but for another mode.
        let moved = amended(|s| s.account = Some("acme".to_owned()));
        refused(set(store, "shop", &moved), error, hint);
        let moved = amended(|s| {
            s.account = Some("acme".to_owned());
            s.mode = Some(Mode::AllDomains);
        });
        set(store, "shop", &moved).unwrap();
        let back = amended(|s| s.mode = Some(Mode::AnyDomain));
        refused(set(store, "shop", &back), error, hint);

        // An account that falls back keeps its users as they are.
        manage::account::set(store, "acme", Some(Plan::Pro), None).unwrap();
        set(store, "shop", &back).unwrap();
        manage::account::set(store, "acme", Some(Plan::Free), None).unwrap();
        let done = set(store, "shop", &amended(|s| s.note = Some("x".to_owned()))).unwrap();
        assert_eq!(done.record.user.mode, Mode::AnyDomain);
        assert!(matches!(done.warnings[..], [Warning::PlanFree(_)]));
        refused(set(store, "shop", &back), error, hint);
    });
}

#[test]
fn a_user_moves_only_with_grants_that_fit() {
    on_every_store(|store| {
        account(store, "acme");
        trusted(store, "example.com", "default");
        pending(store, "example.net", "acme");
        add(store, "shop", &granted(&["example.com"])).unwrap();
        let moved = amended(|s| s.account = Some("acme".to_owned()));
        refused(
            set(store, "shop", &moved),
            "verified on account default",
            "",
        );
        let moved = amended(|s| {
            s.account = Some("acme".to_owned());
            s.allow = Some(texts(&["example.net"]));
        });
        let record = set(store, "shop", &moved).unwrap().record;
        assert_eq!(record.user.account.as_str(), "acme");
    });
}

#[test]
fn remembered_logins_end_when_they_must() {
    on_every_store(|store| {
        trusted(store, "example.com", "default");
        let mut version = add(store, "shop", &Settings::default())
            .unwrap()
            .record
            .user
            .credential_version;
        let mut check = |ends: bool, what: &str| {
            let now = show(store, "shop").user.credential_version;
            assert_eq!(now > version, ends, "{what}");
            version = now;
        };
        set(store, "shop", &amended(|s| s.note = Some("x".to_owned()))).unwrap();
        check(false, "a note");
        set(
            store,
            "shop",
            &amended(|s| s.allow = Some(texts(&["example.com"]))),
        )
        .unwrap();
        check(false, "a grant");
        set(
            store,
            "shop",
            &amended(|s| s.ip = Some(texts(&["192.0.2.1"]))),
        )
        .unwrap();
        check(true, "the IP list");
        set(
            store,
            "shop",
            &amended(|s| s.ip = Some(texts(&["192.0.2.1/32"]))),
        )
        .unwrap();
        check(false, "the same IP list");
        passwd(store, "shop", HASH, day(3)).unwrap();
        check(true, "a password");
        suspend(store, "shop", None, day(4)).unwrap();
        check(true, "suspension");
        suspend(store, "shop", Some("why"), day(5)).unwrap();
        check(false, "another reason");
        resume(store, "shop", day(6)).unwrap();
        check(true, "resumption");
        resume(store, "shop", day(7)).unwrap();
        check(false, "nothing");
        assert_eq!(show(store, "shop").updated_at, day(6));
    });
}

#[test]
fn suspension_is_kept_with_its_reason() {
    on_every_store(|store| {
        add(store, "shop", &Settings::default()).unwrap();
        let record = suspend(store, "SHOP", Some("spam run"), day(2)).unwrap();
        assert_eq!(record, show(store, "shop"));
        assert_eq!(
            (record.user.status, &*record.suspended_reason),
            (Status::Suspended, "spam run")
        );
        let record = suspend(store, "shop", None, day(3)).unwrap();
        assert_eq!(record.suspended_reason, "spam run");
        let record = suspend(store, "shop", Some("asked for"), day(3)).unwrap();
        assert_eq!(record.suspended_reason, "asked for");
        // Other changes leave it suspended.
        set(store, "shop", &amended(|s| s.note = Some("x".to_owned()))).unwrap();
        passwd(store, "shop", HASH, day(3)).unwrap();
        assert_eq!(show(store, "shop").user.status, Status::Suspended);
        let record = resume(store, "shop", day(4)).unwrap();
        assert_eq!(
            (record.user.status, &*record.suspended_reason),
            (Status::Active, "")
        );
        refused(
            suspend(store, "shop", Some("\u{7}"), day(5)),
            "control characters",
            "",
        );
        refused(suspend(store, "none", None, day(5)), "no user none", "");
        refused(resume(store, "none", day(5)), "no user none", "");
        refused(passwd(store, "none", HASH, day(5)), "no user none", "");
    });
}

#[test]
fn users_are_listed_by_name() {
    on_every_store(|store| {
        account(store, "acme");
        for name in ["b", "a", "c"] {
            add(
                store,
                name,
                &settings(|s| s.account = (name == "c").then(|| "acme".to_owned())),
            )
            .unwrap();
        }
        let names = |account: Option<&str>, since| {
            let mut names = Vec::new();
            list(store, account, since, &mut |record, _| {
                names.push(record.user.name.to_string());
                Ok(())
            })
            .map(|()| names.join(" "))
        };
        assert_eq!(names(None, None).unwrap(), "a b c");
        assert_eq!(names(Some("ACME"), None).unwrap(), "c");
        assert_eq!(names(None, Some(day(9))).unwrap(), "a b c");
        refused(
            names(Some("none"), None),
            "no account none",
            "outgate account add none",
        );
    });
}

#[test]
fn warnings_say_what_may_not_be_meant() {
    on_every_store(|store| {
        trusted(store, "example.com", "default");
        let warnings = |change: fn(&mut Settings)| {
            let mut settings = granted(&["example.com"]);
            change(&mut settings);
            let done = add(store, "shop", &settings).unwrap();
            remove(store, "shop").unwrap();
            strings(&done.warnings).join("; ")
        };
        assert_eq!(warnings(|_| ()), "");
        assert!(warnings(|s| s.ip = Some(texts(&["192.0.2.1"]))).contains("over IPv6 is refused"));
        assert!(warnings(|s| s.ip = Some(texts(&["::1"]))).contains("over IPv4 is refused"));
        assert_eq!(warnings(|s| s.ip = Some(texts(&["::1", "127.0.0.1"]))), "");
        assert!(
            warnings(|s| s.check_from = Some(CheckFrom::Header)).contains("no milter is wired")
        );
        assert_eq!(warnings(|s| s.check_from = Some(CheckFrom::Envelope)), "");
        assert!(
            warnings(|s| s.mode = Some(Mode::AllDomains)).contains("mode all-domains does not use")
        );
        assert!(warnings(|s| s.allow = None).contains("may not send as any domain"));
        assert_eq!(
            warnings(|s| {
                s.allow = None;
                s.mode = Some(Mode::AllDomains);
            }),
            ""
        );
    });
}

#[test]
fn a_user_is_shown_as_promised() {
    let store = in_memory();
    trusted(&*store, "example.com", "default");
    let settings = settings(|s| {
        s.allow = Some(texts(&["example.com"]));
        s.ip = Some(texts(&["192.0.2.7/24"]));
        s.quotas = Some(texts(&["1000/day", "7/total recipients", "0/hour"]));
    });
    let record = add(&*store, "shop", &settings).unwrap().record;
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let view = UserView::new(&record, &[], day(1), &zone);
    let promised = format!(
        r#"{{"id":"{}","name":"shop","account":"default","status":"active","mode":"default","allow":["example.com"],"ip":["192.0.2.0/24"],"logins":[],"quotas":[{{"limit":1000,"window":"day","unit":"messages","used":0,"remaining":1000,"resets_at":"2026-03-01T23:00:00Z"}},{{"limit":7,"window":"total","unit":"recipients","used":0,"remaining":7,"resets_at":null}},{{"limit":0,"window":"hour","unit":"messages","used":0,"remaining":null,"resets_at":"2026-03-01T13:00:00Z"}}],"max_recipients":null,"check_from":"both","enforce":"on","note":"","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","last_used_at":null,"enforce_until":null}}"#,
        record.user.id
    );
    assert_eq!(serde_json::to_string(&view).unwrap(), promised);
    let record = suspend(&*store, "shop", Some("spam"), day(2)).unwrap();
    let view = serde_json::to_string(&UserView::new(&record, &[], day(2), &zone)).unwrap();
    assert!(
        view.contains(r#""status":"suspended","mode":"default""#),
        "{view}"
    );
    assert!(
        view.ends_with(r#""suspended_reason":"spam","enforce_until":null}"#),
        "{view}"
    );
}
