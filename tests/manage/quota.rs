//! Quotas: what is used of them, and setting that back to 0.

use std::cell::Cell;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use outgate::manage::account;
use outgate::manage::quota::{Cleared, QuotaState, each, reset, show, uses_of_user, warnings};
use outgate::manage::user;
use outgate::manage::view::{HeldQuotaView, QuotaView, UserView};
use outgate::model::quota::{Counter, MessageKey, Quota, Subject, Unit, Window};
use outgate::store::{Charge, Charged, Due, ManageError, Reset, Store};

use crate::{add, day, in_memory, on_every_store, refused, texts};

thread_local! {
    /// No two messages of a test are one.
    static MESSAGES: Cell<u128> = const { Cell::new(0) };
}

/// Charges one message to these counters in the windows that `at` lies in.
fn charge(store: &dyn Store, subject: &Subject, at: Timestamp, quotas: &[(&str, u64)]) {
    let dues = quotas.iter().map(|(quota, amount)| {
        let quota: Quota = quota.parse().unwrap();
        Due {
            counter: Counter {
                subject: subject.clone(),
                window: quota.window,
                unit: quota.unit,
            },
            starts: quota.window.starts_at(at, &TimeZone::UTC),
            amount: *amount,
            limit: 0,
        }
    });
    let key = MESSAGES.replace(MESSAGES.get() + 1);
    let charge = Charge {
        key: MessageKey(key.to_be_bytes()),
        at,
        dues: dues.collect(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_time().build().unwrap();
    assert_eq!(runtime.block_on(store.charge(charge)), Ok(Charged::Done));
}

fn shop(store: &dyn Store, quotas: &[&str]) -> Subject {
    let settings = crate::Settings {
        quotas: Some(texts(quotas)),
        ..crate::Settings::default()
    };
    Subject::User(add(store, "shop", &settings).unwrap().record.user.id)
}

fn views(state: &QuotaState, now: Timestamp) -> Vec<HeldQuotaView> {
    HeldQuotaView::all(state, now, &TimeZone::UTC)
}

/// `limit/window unit: used, remaining, resets_at` of each.
fn lines(state: &QuotaState, now: Timestamp) -> Vec<String> {
    let line = |view: &HeldQuotaView| {
        let QuotaView {
            used,
            remaining,
            resets_at,
            ..
        } = &view.quota;
        let left = remaining.map_or_else(|| "-".to_owned(), |left| left.to_string());
        let ends = resets_at.map_or_else(|| "-".to_owned(), |time| time.to_string());
        format!("{}: {used}, {left}, {ends}", view.quota.quota())
    };
    views(state, now).iter().map(line).collect()
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

#[test]
fn windows_end_by_themselves() {
    on_every_store(|store| {
        let subject = shop(store, &["3/hour", "9/day recipients", "0/total"]);
        let quotas = [("3/hour", 1), ("9/day recipients", 4), ("0/total", 1)];
        charge(store, &subject, time("2026-03-01T10:05:00Z"), &quotas);
        charge(store, &subject, time("2026-03-01T10:55:00Z"), &quotas);
        let at = |text: &str| lines(&show(store, "shop").unwrap(), time(text));
        assert_eq!(
            at("2026-03-01T10:59:59Z"),
            [
                "3/hour: 2, 1, 2026-03-01T11:00:00Z",
                "9/day recipients: 8, 1, 2026-03-02T00:00:00Z",
                "0/total: 2, -, -",
            ]
        );
        assert_eq!(
            at("2026-03-01T11:00:00Z"),
            [
                "3/hour: 0, 3, 2026-03-01T12:00:00Z",
                "9/day recipients: 8, 1, 2026-03-02T00:00:00Z",
                "0/total: 2, -, -",
            ]
        );
        // A clock that goes back by hours: the hour that was begun goes on.
        assert_eq!(
            at("2026-02-28T23:30:00Z"),
            [
                "3/hour: 2, 1, 2026-03-01T11:00:00Z",
                "9/day recipients: 8, 1, 2026-03-02T00:00:00Z",
                "0/total: 2, -, -",
            ]
        );
        charge(store, &subject, time("2026-02-28T23:30:00Z"), &quotas);
        assert_eq!(
            at("2026-03-01T10:00:00Z"),
            [
                "3/hour: 3, 0, 2026-03-01T11:00:00Z",
                "9/day recipients: 12, 0, 2026-03-02T00:00:00Z",
                "0/total: 3, -, -",
            ]
        );
    });
}

#[test]
fn a_quota_is_shown_as_promised() {
    let store = in_memory();
    let subject = shop(&*store, &["10/day", "0/total recipients"]);
    charge(
        &*store,
        &subject,
        day(2),
        &[("10/day", 1), ("0/total recipients", 3)],
    );
    let shown = |now| {
        let state = show(&*store, "SHOP").unwrap();
        serde_json::to_string(&views(&state, now)).unwrap()
    };
    assert_eq!(
        shown(day(2)),
        r#"[{"subject":"user:shop","limit":10,"window":"day","unit":"messages","used":1,"remaining":9,"resets_at":"2026-03-03T00:00:00Z","reset_at":null,"reset_by":null},{"subject":"user:shop","limit":0,"window":"total","unit":"recipients","used":3,"remaining":null,"resets_at":null,"reset_at":null,"reset_by":null}]"#
    );
    reset(&*store, "shop", "jane", day(2)).unwrap();
    assert_eq!(
        shown(day(2)),
        r#"[{"subject":"user:shop","limit":10,"window":"day","unit":"messages","used":0,"remaining":10,"resets_at":"2026-03-03T00:00:00Z","reset_at":"2026-03-02T12:00:00Z","reset_by":"jane"},{"subject":"user:shop","limit":0,"window":"total","unit":"recipients","used":0,"remaining":null,"resets_at":null,"reset_at":"2026-03-02T12:00:00Z","reset_by":"jane"}]"#
    );
}

#[test]
fn midnight_is_that_of_the_zone() {
    let store = in_memory();
    shop(&*store, &["10/day"]);
    let state = show(&*store, "shop").unwrap();
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    // 29 March 2026 has 23 hours there.
    let views = HeldQuotaView::all(&state, time("2026-03-28T23:30:00Z"), &zone);
    assert_eq!(views[0].quota.resets_at, Some(time("2026-03-29T22:00:00Z")));
}

#[test]
fn accounts_come_before_users() {
    on_every_store(|store| {
        let quotas = texts(&["5/day"]);
        account::add(store, "zoo", None, &quotas, day(1)).unwrap();
        account::add(store, "bare", None, &[], day(1)).unwrap();
        account::set(store, "default", None, Some(&quotas)).unwrap();
        for (name, quota) in [("b", true), ("a", true), ("c", false)] {
            let settings = crate::Settings {
                quotas: quota.then(|| quotas.clone()),
                ..crate::Settings::default()
            };
            let user = add(store, name, &settings).unwrap().record.user;
            charge(store, &Subject::User(user.id), day(2), &[("5/day", 2)]);
        }
        let zoo = Subject::Account("zoo".parse().unwrap());
        charge(store, &zoo, day(2), &[("5/day", 1)]);
        reset(store, "b", "jane", day(3)).unwrap();
        let mut seen = Vec::new();
        each(store, &mut |state| {
            for view in views(&state, day(2)) {
                let by = view.reset_by.unwrap_or_default();
                seen.push(format!("{} {} {by}", view.subject, view.quota.used));
            }
            Ok(())
        })
        .unwrap();
        assert_eq!(
            seen,
            [
                "account:default 0 ",
                "account:zoo 1 ",
                "user:a 2 ",
                "user:b 0 jane"
            ]
        );
        let mut count = 0;
        let stopped = each(store, &mut |_| {
            count += 1;
            Err(ManageError::refused("enough", ""))
        });
        assert_eq!(
            (stopped, count),
            (Err(ManageError::refused("enough", "")), 1)
        );

        // Listings see the same.
        let mut used = Vec::new();
        user::list(store, None, None, &mut |record, uses| {
            let view = UserView::new(&record, &uses, day(2), &TimeZone::UTC);
            used.push(view.quotas.iter().map(|quota| quota.used).sum::<u64>());
            Ok(())
        })
        .unwrap();
        assert_eq!(used, [2, 0, 0]);
        let states = account::list(store).unwrap();
        let used = states.iter().map(|state| state.uses.len());
        assert_eq!(used.collect::<Vec<_>>(), [0, 0, 1]);
    });
}

#[test]
fn resets_are_kept_and_harm_nobody_else() {
    on_every_store(|store| {
        let subject = shop(store, &["5/day", "7/total"]);
        let other = add(store, "press", &crate::Settings::default()).unwrap();
        let other = Subject::User(other.record.user.id);
        for subject in [&subject, &other] {
            charge(store, subject, day(2), &[("5/day", 2), ("7/total", 2)]);
        }
        // Of a quota that is not there any more.
        charge(store, &subject, day(2), &[("1/month", 1)]);
        let Cleared { state, counters } = reset(store, "shop", "jane", day(3)).unwrap();
        assert_eq!(counters, 3);
        let expected = Reset {
            at: day(3),
            by: "jane".to_owned(),
        };
        assert_eq!(state.last_reset, Some(expected));
        assert_eq!(state, show(store, "user:shop").unwrap());
        assert!(state.uses.iter().all(|usage| usage.used == 0));
        assert_eq!(reset(store, "shop", "joe", day(4)).unwrap().counters, 0);
        let last = show(store, "shop").unwrap().last_reset.unwrap();
        assert_eq!((last.by.as_str(), last.at), ("joe", day(4)));

        // Without quotas: what was counted before is forgotten; nothing else is worth keeping.
        assert_eq!(reset(store, "press", "joe", day(4)).unwrap().counters, 2);
        assert!(show(store, "press").unwrap().last_reset.is_some());
        add(store, "idle", &crate::Settings::default()).unwrap();
        let Cleared { state, counters } = reset(store, "idle", "joe", day(4)).unwrap();
        assert_eq!((state.last_reset, counters), (None, 0));
    });
}

#[test]
fn holders_are_found_by_what_they_are_called() {
    on_every_store(|store| {
        account::add(store, "acme", None, &texts(&["5/day"]), day(1)).unwrap();
        let settings = crate::Settings {
            logins: Some(texts(&["Jane@Example.com"])),
            ..crate::Settings::default()
        };
        add(store, "shop", &settings).unwrap();
        for name in ["shop", "SHOP", "user:shop", "User:Shop", "jane@example.com"] {
            assert_eq!(
                show(store, name).unwrap().holder.to_string(),
                "user:shop",
                "{name}"
            );
        }
        for name in ["account:acme", "ACCOUNT:Acme"] {
            assert_eq!(
                show(store, name).unwrap().holder.to_string(),
                "account:acme",
                "{name}"
            );
        }
        for (name, error, hint) in [
            ("nobody", "no user nobody", "outgate user add nobody"),
            ("acme", "no user acme, but an account", "account:acme"),
            (
                "account:shop",
                "no account shop",
                "outgate account add shop",
            ),
            ("account:", "", ""),
            ("", "", "outgate user list"),
            ("\u{1f4e7}:x", "", "outgate user list"),
        ] {
            refused(show(store, name), error, hint);
            refused(reset(store, name, "jane", day(2)), error, hint);
        }
    });
}

#[test]
fn use_belongs_to_who_used_it() {
    on_every_store(|store| {
        let subject = shop(store, &["5/day"]);
        charge(store, &subject, day(2), &[("5/day", 4)]);
        let set = |quotas: &[&str], rename: Option<&str>| {
            let amendment = crate::Amendment {
                settings: crate::Settings {
                    quotas: Some(texts(quotas)),
                    ..crate::Settings::default()
                },
                rename: rename.map(str::to_owned),
                ..crate::Amendment::default()
            };
            let record = crate::set(store, "shop", &amendment).unwrap().record;
            let uses = uses_of_user(store, &record.user).unwrap();
            UserView::new(&record, &uses, day(2), &TimeZone::UTC).quotas
        };
        let quotas = set(&["3/day"], None);
        assert_eq!((quotas[0].used, quotas[0].remaining), (4, Some(0)));
        let said: Vec<String> = warnings(&quotas).iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            ["quota 3/day is used up until 2026-03-03T00:00:00Z (4 used)"]
        );
        let quotas = set(&["9/day", "0/day recipients", "1/total"], None);
        assert_eq!(quotas[0].remaining, Some(5));
        assert_eq!(warnings(&quotas), []);
        assert_eq!(set(&[""], None), []);
        let quotas = set(&["5/day"], Some("store"));
        assert_eq!((quotas[0].used, quotas[0].remaining), (4, Some(1)));

        user::remove(store, "store").unwrap();
        shop(store, &["5/day"]);
        assert_eq!(
            lines(&show(store, "shop").unwrap(), day(2))[0],
            "5/day: 0, 5, 2026-03-03T00:00:00Z"
        );
        let gone = Subject::User(outgate::model::name::UserId::new());
        store
            .view(&mut |tx| {
                assert_eq!(tx.uses(&subject)?, []);
                assert_eq!(tx.uses(&gone)?, []);
                assert_eq!(tx.last_reset(&subject)?, None);
                Ok(())
            })
            .unwrap();
    });
}

#[test]
fn an_accounts_use_goes_with_it() {
    on_every_store(|store| {
        let quotas = texts(&["5/total recipients"]);
        let acme = Subject::Account("acme".parse().unwrap());
        account::add(store, "acme", None, &quotas, day(1)).unwrap();
        charge(store, &acme, day(2), &[("5/total recipients", 7)]);
        let state = account::show(store, "acme").unwrap();
        let usage = state.uses[0];
        assert_eq!(
            (usage.window, usage.unit, usage.starts, usage.used),
            (Window::Total, Unit::Recipients, Timestamp::UNIX_EPOCH, 7)
        );
        let quotas_now = QuotaView::all(&state.account.quotas, &state.uses, day(2), &TimeZone::UTC);
        assert_eq!(
            warnings(&quotas_now)[0].to_string(),
            "quota 5/total recipients is used up until it is reset (7 used)"
        );
        reset(store, "account:acme", "jane", day(2)).unwrap();
        account::remove(store, "acme").unwrap();
        account::add(store, "acme", None, &quotas, day(1)).unwrap();
        let state = show(store, "account:acme").unwrap();
        assert_eq!((state.uses, state.last_reset), (vec![], None));
    });
}
