//! Uses, limits and charges: the contract, asked of each store.

use std::sync::Arc;

use futures_util::future::join_all;
use outgate::model::quota::{Unit, Window};
use outgate::store::{Change, Charged, Due, ManageError, Reset, Store, StoreError};

use crate::conformance::{Stand, conformance};
use crate::sample::*;

async fn the_limit_is_the_last_that_passes(stand: Stand) {
    let store = stand.store;
    let daily = counter(&subject(&user("shop")), Window::Day);
    assert_eq!(used(&store, &daily, 0).await, 0);
    for number in 0..3 {
        let charged = store.charge(charge(number, &[due(&daily, 0, 3)])).await;
        assert_eq!(charged, Ok(Charged::Done), "{number}");
    }
    let over = store.charge(charge(3, &[due(&daily, 0, 3)])).await;
    assert_eq!(over, Ok(Charged::Over { due: 0, used: 3 }));
    assert_eq!(used(&store, &daily, 0).await, 3);
    assert_eq!(store.is_charged(message(2)).await, Ok(true));
    assert_eq!(store.is_charged(message(3)).await, Ok(false));
    // Nothing was taken for the one that did not fit, and its key is free.
    let later = store.charge(charge(3, &[due(&daily, 0, 4)])).await;
    assert_eq!(later, Ok(Charged::Done));
    // Without a limit it is counted.
    let unlimited = store.charge(charge(4, &[due(&daily, 0, 0)])).await;
    assert_eq!(unlimited, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 0).await, 5);
    let lowered = store.charge(charge(5, &[due(&daily, 0, 3)])).await;
    assert_eq!(lowered, Ok(Charged::Over { due: 0, used: 5 }));
}

async fn counters_are_apart(stand: Stand) {
    let store = stand.store;
    let (first, second) = (subject(&user("a")), subject(&user("b")));
    let recipients = |amount| {
        let mut due = due(&counter(&first, Window::Day), 0, 10);
        due.counter.unit = Unit::Recipients;
        Due { amount, ..due }
    };
    let dues = [
        due(&counter(&first, Window::Day), 0, 5),
        due(&counter(&first, Window::Hour), 0, 5),
        due(&counter(&shared("a"), Window::Day), 0, 5),
        recipients(7),
    ];
    assert_eq!(store.charge(charge(1, &dues)).await, Ok(Charged::Done));
    let mut expected = dues.clone().map(|due| due.amount).to_vec();
    let mut asked = dues.clone().map(|due| (due.counter, due.starts)).to_vec();
    for nobody in [counter(&second, Window::Day), counter(&first, Window::Week)] {
        asked.push((nobody, at(0)));
        expected.push(0);
    }
    assert_eq!(amounts(&store, &asked).await, expected);
    let seen = view(&store, |t| {
        asked
            .iter()
            .map(|(counter, starts)| t.used(counter, *starts))
            .collect()
    });
    let seen: Vec<u64> = seen;
    assert_eq!(seen, expected);
    let many = store.charge(charge(2, &[recipients(4)])).await;
    assert_eq!(many, Ok(Charged::Over { due: 0, used: 7 }));
    assert_eq!(
        store.charge(charge(3, &[recipients(3)])).await,
        Ok(Charged::Done)
    );
    assert_eq!(store.used(&[]).await, Ok(vec![]));
}

async fn all_dues_are_charged_or_none(stand: Stand) {
    let store = stand.store;
    let shop = subject(&user("shop"));
    let (daily, hourly) = (counter(&shop, Window::Day), counter(&shop, Window::Hour));
    let pool = counter(&shared("default"), Window::Month);
    let dues = [due(&daily, 0, 9), due(&hourly, 0, 9), due(&pool, 0, 2)];
    for number in 0..2 {
        assert_eq!(store.charge(charge(number, &dues)).await, Ok(Charged::Done));
    }
    let over = store.charge(charge(2, &dues)).await;
    assert_eq!(over, Ok(Charged::Over { due: 2, used: 2 }));
    for counter in [&daily, &hourly, &pool] {
        assert_eq!(used(&store, counter, 0).await, 2);
    }
    // The same counter twice costs twice, or nothing.
    let twice = [due(&daily, 0, 3), due(&daily, 0, 3)];
    let over = store.charge(charge(3, &twice)).await;
    assert_eq!(over, Ok(Charged::Over { due: 1, used: 3 }));
    assert_eq!(used(&store, &daily, 0).await, 2);
    let twice = [due(&daily, 0, 4), due(&daily, 0, 4)];
    assert_eq!(store.charge(charge(3, &twice)).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 0).await, 4);
}

async fn a_message_is_charged_once(stand: Stand) {
    let store = stand.store;
    let daily = counter(&subject(&user("shop")), Window::Day);
    let first = charge(1, &[due(&daily, 0, 1)]);
    assert_eq!(store.charge(first.clone()).await, Ok(Charged::Done));
    for _ in 0..3 {
        assert_eq!(store.charge(first.clone()).await, Ok(Charged::Already));
    }
    // Also in a window that began later, and with other dues.
    let again = charge(1, &[due(&daily, 60, 5), due(&daily, 60, 5)]);
    assert_eq!(store.charge(again).await, Ok(Charged::Already));
    assert_eq!(used(&store, &daily, 0).await, 1);
    // All at once, while none is durable.
    let same = || store.charge(charge(2, &[due(&daily, 60, 50)]));
    let charged = join_all((0..20).map(|_| same())).await;
    let done = charged.iter().filter(|one| **one == Ok(Charged::Done));
    assert_eq!(done.count(), 1);
    let already = charged.iter().filter(|one| **one == Ok(Charged::Already));
    assert_eq!(already.count(), 19);
    assert_eq!(used(&store, &daily, 60).await, 1);
    // Without dues there is nothing to remember.
    for _ in 0..2 {
        assert_eq!(store.charge(charge(3, &[])).await, Ok(Charged::Done));
    }
}

async fn windows_open_later_and_never_again(stand: Stand) {
    let store = stand.store;
    let daily = counter(&subject(&user("shop")), Window::Day);
    let send = |number, second| store.charge(charge(number, &[due(&daily, second, 2)]));
    assert_eq!(send(1, 100).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 100).await, 1);
    assert_eq!(used(&store, &daily, 200).await, 0, "the next window");
    assert_eq!(used(&store, &daily, 0).await, 1, "the clock went back");
    assert_eq!(send(2, 200).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 100).await, 1);
    // The clock goes back: what is charged counts in the later window.
    assert_eq!(send(3, 100).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 200).await, 2);
    let over = Ok(Charged::Over { due: 0, used: 2 });
    assert_eq!(send(4, 100).await, over);
    assert_eq!(send(4, 200).await, over);
    assert_eq!(send(4, 300).await, Ok(Charged::Done));
    assert_eq!(used(&store, &daily, 300).await, 1);
    // What does not fit opens no window.
    let big = Due {
        amount: 3,
        ..due(&daily, 400, 2)
    };
    let over = store.charge(charge(5, &[big])).await;
    assert_eq!(over, Ok(Charged::Over { due: 0, used: 0 }));
    assert_eq!(used(&store, &daily, 300).await, 1);
    assert_eq!(view(&store, |t| t.used(&daily, at(300))), 1);
    assert_eq!(view(&store, |t| t.used(&daily, at(400))), 0);
}

async fn operators_see_and_reset_uses(stand: Stand) {
    let daemon = stand.store;
    let command = (stand.another)();
    let (shop, other) = (subject(&user("shop")), subject(&user("other")));
    let (daily, total) = (counter(&shop, Window::Day), counter(&shop, Window::Total));
    let theirs = counter(&other, Window::Day);
    let dues = |limit| {
        [
            due(&daily, 100, limit),
            due(&total, 100, 0),
            due(&theirs, 100, 0),
        ]
    };
    for number in 0..3 {
        assert_eq!(
            daemon.charge(charge(number, &dues(3))).await,
            Ok(Charged::Done)
        );
    }
    let seen = |counter| view(&command, |t| t.used(counter, at(100)));
    assert_eq!((seen(&daily), seen(&total), seen(&theirs)), (3, 3, 3));
    let start = daemon.changes(u64::MAX).await.unwrap().last;
    assert_eq!(view(&command, |t| t.last_reset(&shop)), None);
    let reset = transact(&command, |t| {
        let reset = t.reset(&shop, "root", at(500))?;
        assert_eq!(t.used(&daily, at(100))?, 0, "sees its own");
        assert_eq!(t.reset(&shop, "root", at(500))?, 0, "nothing is left");
        Ok(reset)
    });
    assert_eq!(reset, Ok(2));
    let by_root = Reset {
        at: at(500),
        by: "root".to_owned(),
    };
    assert_eq!(view(&daemon, |t| t.last_reset(&shop)), Some(by_root));
    assert_eq!(view(&daemon, |t| t.last_reset(&other)), None);
    // The next charge knows, whether or not the daemon has looked for changes.
    assert_eq!(daemon.charge(charge(4, &dues(1))).await, Ok(Charged::Done));
    assert_eq!(used(&daemon, &daily, 100).await, 1);
    assert_eq!((seen(&daily), seen(&total), seen(&theirs)), (1, 1, 4));
    // So do questions, after it has looked.
    transact(&command, |t| t.reset(&shop, "jane", at(600))).unwrap();
    let changes = daemon.changes(start).await.unwrap();
    let by = |who: &str| Change::Reset {
        subject: shop.clone(),
        by: who.to_owned(),
    };
    let expected = [Change::Quota(shop.clone()), by("root"), by("jane")];
    assert_eq!(changes.changes, expected);
    assert_eq!(used(&daemon, &daily, 100).await, 0);
    assert_eq!(used(&daemon, &theirs, 100).await, 4);
    assert_eq!(seen(&daily), 0);
    // A message of before is still known; an earlier window may follow a reset.
    assert_eq!(
        daemon.charge(charge(4, &dues(1))).await,
        Ok(Charged::Already)
    );
    let earlier = daemon.charge(charge(5, &[due(&daily, 50, 1)])).await;
    assert_eq!(earlier, Ok(Charged::Done));
    assert_eq!(used(&daemon, &daily, 100).await, 0);
}

async fn a_reset_that_fails_resets_nothing(stand: Stand) {
    let store = stand.store;
    let shop = subject(&user("shop"));
    let daily = counter(&shop, Window::Day);
    let first = charge(1, &[due(&daily, 0, 1)]);
    assert_eq!(store.charge(first).await, Ok(Charged::Done));
    let refused = store.transact(&mut |t| {
        assert_eq!(t.reset(&shop, "root", at(0))?, 1);
        Err(ManageError::refused("no", ""))
    });
    assert_eq!(refused, Err(ManageError::refused("no", "")));
    assert_eq!(used(&store, &daily, 0).await, 1);
    assert_eq!(view(&store, |t| t.last_reset(&shop)), None);
    let over = store.charge(charge(2, &[due(&daily, 0, 1)])).await;
    assert_eq!(over, Ok(Charged::Over { due: 0, used: 1 }));
    let view = store.view(&mut |t| Ok(t.reset(&shop, "root", at(0)).map(drop)?));
    assert!(
        matches!(view, Err(ManageError::Store(StoreError::ReadOnly(_)))),
        "{view:?}"
    );
}

async fn resets_and_charges_at_once_leave_what_the_last_ones_charged(stand: Stand) {
    let daemon = stand.store;
    let command = (stand.another)();
    let shop = subject(&user("shop"));
    let daily = counter(&shop, Window::Day);
    let resetting = std::thread::spawn({
        let shop = shop.clone();
        move || {
            for _ in 0..20 {
                transact(&command, |t| t.reset(&shop, "root", at(0))).unwrap();
            }
            command
        }
    });
    let mut number = 0;
    while !resetting.is_finished() {
        let several = (number..number + 8).map(|n| daemon.charge(charge(n, &[due(&daily, 0, 0)])));
        for charged in join_all(several).await {
            assert_eq!(charged, Ok(Charged::Done));
        }
        number += 8;
    }
    let command = resetting.join().unwrap();
    daemon.changes(0).await.unwrap();
    let seen = view(&command, |t| t.used(&daily, at(0)));
    assert_eq!(
        used(&daemon, &daily, 0).await,
        seen,
        "memory and table agree"
    );
    transact(&command, |t| t.reset(&shop, "root", at(0))).unwrap();
    let last = daemon.charge(charge(number, &[due(&daily, 0, 1)])).await;
    assert_eq!(last, Ok(Charged::Done));
}

async fn who_goes_takes_its_uses_along(stand: Stand) {
    let store = stand.store;
    let mut record = user("shop");
    record.user.account = name("acme");
    let shop = subject(&record);
    let (own, pool) = (
        counter(&shop, Window::Total),
        counter(&shared("acme"), Window::Total),
    );
    let set_up = |store: &Arc<dyn Store>| {
        transact(store, |t| {
            t.put_account(&account("acme"))?;
            t.put_user(&record, None)
        })
        .unwrap();
    };
    set_up(&store);
    let dues = [due(&own, 0, 1), due(&pool, 0, 1)];
    assert_eq!(store.charge(charge(1, &dues)).await, Ok(Charged::Done));
    transact(&store, |t| t.reset(&shop, "root", at(0))).unwrap();
    let start = store.changes(u64::MAX).await.unwrap().last;
    transact(&store, |t| {
        t.remove_user(record.user.id)?;
        t.remove_account(&name("acme"))
    })
    .unwrap();
    let changes = store.changes(start).await.unwrap().changes;
    assert!(
        changes.contains(&Change::Quota(shared("acme"))),
        "{changes:?}"
    );
    set_up(&store);
    assert_eq!(view(&store, |t| t.last_reset(&shop)), None);
    for counter in [&own, &pool] {
        assert_eq!(view(&store, |t| t.used(counter, at(0))), 0);
        assert_eq!(used(&store, counter, 0).await, 0);
    }
    assert_eq!(store.charge(charge(2, &dues)).await, Ok(Charged::Done));
    assert_eq!(used(&store, &pool, 0).await, 1);
}

async fn removing_and_adding_a_quota_keeps_the_use(stand: Stand) {
    let store = stand.store;
    let mut record = user("shop");
    record.user.quotas = vec!["2/day".parse().unwrap()];
    put(&store, &[&record]);
    let found = store.user(&login("shop")).await.unwrap().unwrap();
    assert_eq!(found.quotas, record.user.quotas);
    let daily = counter(&subject(&record), Window::Day);
    for number in 0..2 {
        let charged = store.charge(charge(number, &[due(&daily, 0, 2)])).await;
        assert_eq!(charged, Ok(Charged::Done));
    }
    record.user.quotas.clear();
    put(&store, &[&record]);
    record.user.quotas = vec!["3/day".parse().unwrap()];
    record.user.name = name("renamed");
    put(&store, &[&record]);
    assert_eq!(used(&store, &daily, 0).await, 2);
    let third = store.charge(charge(2, &[due(&daily, 0, 3)])).await;
    assert_eq!(third, Ok(Charged::Done));
    let fourth = store.charge(charge(3, &[due(&daily, 0, 3)])).await;
    assert_eq!(fourth, Ok(Charged::Over { due: 0, used: 3 }));
}

async fn terms_are_plan_and_quotas(stand: Stand) {
    let store = stand.store;
    transact(&store, |t| t.put_account(&account("acme"))).unwrap();
    let terms = store.terms(&name("acme")).await.unwrap().unwrap();
    assert_eq!(terms.plan, account("acme").plan);
    assert_eq!(terms.quotas, account("acme").quotas);
}

async fn huge_numbers_are_counted_and_refused(stand: Stand) {
    let store = stand.store;
    let total = counter(&subject(&user("shop")), Window::Total);
    let with = |amount, limit| Due {
        amount,
        ..due(&total, 0, limit)
    };
    let most = i64::MAX as u64;
    for number in 0..3 {
        let charged = store.charge(charge(number, &[with(u64::MAX, most)])).await;
        assert_eq!(charged, Ok(Charged::Done));
    }
    let three = 3 * u64::from(u32::MAX);
    assert_eq!(used(&store, &total, 0).await, three);
    assert_eq!(view(&store, |t| t.used(&total, at(0))), three);
    let over = store.charge(charge(3, &[with(u64::MAX, three)])).await;
    assert_eq!(
        over,
        Ok(Charged::Over {
            due: 0,
            used: three
        })
    );
}

async fn the_last_place_goes_to_one_of_many(stand: Stand) {
    let store = stand.store;
    let shop = subject(&user("shop"));
    let total = counter(&shop, Window::Total);
    for round in 0..200_u64 {
        let tasks: Vec<_> = (0..50)
            .map(|task| {
                let store = store.clone();
                let charge = charge(round * 50 + task, &[due(&total, 0, round + 1)]);
                tokio::spawn(async move { store.charge(charge).await })
            })
            .collect();
        let mut done = 0;
        for task in tasks {
            match task.await.unwrap().unwrap() {
                Charged::Done => done += 1,
                Charged::Over { due: 0, used } => assert_eq!(used, round + 1),
                other @ (Charged::Already | Charged::Over { .. }) => panic!("{other:?}"),
            }
        }
        assert_eq!(done, 1, "round {round}");
    }
    assert_eq!(used(&store, &total, 0).await, 200);
}

conformance! {
    memory: crate::conformance::in_memory,
    sqlite: crate::conformance::in_a_file,
    folding: crate::ledger::folding_early
    => [
        the_limit_is_the_last_that_passes,
        counters_are_apart,
        all_dues_are_charged_or_none,
        a_message_is_charged_once,
        windows_open_later_and_never_again,
        operators_see_and_reset_uses,
        a_reset_that_fails_resets_nothing,
        resets_and_charges_at_once_leave_what_the_last_ones_charged,
        who_goes_takes_its_uses_along,
        removing_and_adding_a_quota_keeps_the_use,
        terms_are_plan_and_quotas,
        huge_numbers_are_counted_and_refused,
        the_last_place_goes_to_one_of_many,
    ]
}
