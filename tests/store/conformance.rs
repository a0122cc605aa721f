//! The contract of `Store` and `Transaction`. A new store adds one line at the end.

use std::sync::Arc;

use ipnet::IpNet;
use outgate::model::name::{Name, UserId};
use outgate::model::user::{Plan, Status, UserRecord, VerifiedBy};
use outgate::store::memory::MemoryStore;
use outgate::store::sqlite::SqliteStore;
use outgate::store::{Change, Credential, ManageError, Store, StoreError, Use, UserFilter};

use crate::sample::*;

/// A fresh store, and further handles of it, as other processes have them.
pub struct Stand {
    pub store: Arc<dyn Store>,
    pub another: Box<dyn Fn() -> Arc<dyn Store>>,
}

pub fn in_memory() -> Stand {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    Stand {
        store: store.clone(),
        another: Box::new(move || store.clone()),
    }
}

pub fn in_a_file() -> Stand {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state/outgate.db");
    Stand {
        store: Arc::new(SqliteStore::start(&path).unwrap()),
        another: Box::new(move || {
            let _keep = &directory;
            Arc::new(SqliteStore::open(&path).unwrap())
        }),
    }
}

async fn plan(store: &Arc<dyn Store>, account: &str) -> Option<Plan> {
    let terms = store.terms(&name(account)).await.unwrap();
    terms.map(|terms| terms.plan)
}

async fn a_fresh_store_has_the_default_account(stand: Stand) {
    let store = stand.store;
    let accounts = view(&store, |t| t.accounts());
    assert_eq!(accounts.len(), 1);
    assert_eq!(accounts[0].name, name("default"));
    assert_eq!(accounts[0].plan, Plan::Pro);
    assert_eq!(plan(&store, "default").await, Some(Plan::Pro));
    assert_eq!(plan(&store, "other").await, None);
    assert_eq!(store.user(&login("nobody")).await, Ok(None));
    assert_eq!(store.ownership(&domain("example.com")).await, Ok(None));
    assert!(store.credential(UserId::new()).await == Ok(None));
}

async fn users_come_back_as_they_went_in(stand: Stand) {
    let store = stand.store;
    let (plain, rich) = (user("plain"), rich_user("rich"));
    put(&store, &[&plain, &rich]);
    for record in [&plain, &rich] {
        let id = record.user.id;
        let named = view(&store, |t| t.user_named(&record.user.name));
        assert_eq!(named.as_ref(), Some(record));
        assert_eq!(view(&store, |t| t.user_with_id(id)).as_ref(), Some(record));
        let logins = [record.user.name.to_login()];
        for login in logins.iter().chain(&record.logins) {
            assert_eq!(view(&store, |t| t.login_owner(login)), Some(id));
            assert_eq!(store.user(login).await, Ok(Some(record.user.clone())));
        }
    }
    // An extra login is no name.
    let mut extra = user("x");
    extra.logins = vec![login("plain2")];
    put(&store, &[&extra]);
    assert_eq!(view(&store, |t| t.user_named(&name("plain2"))), None);
}

async fn a_changed_user_leaves_nothing_of_its_old_self(stand: Stand) {
    let store = stand.store;
    let mut record = rich_user("old");
    put(&store, &[&record]);
    let former = record.logins.clone();
    record.user.name = name("new");
    record.user.grants = grants(&["other.example"]);
    record.logins = vec![former[1].clone(), login("fresh")];
    record.user.status = Status::Active;
    put(&store, &[&record]);
    for gone in [name("old").to_login(), former[0].clone()] {
        assert_eq!(store.user(&gone).await, Ok(None), "{gone}");
        assert_eq!(view(&store, |t| t.login_owner(&gone)), None);
    }
    for kept in [name("new").to_login(), former[1].clone(), login("fresh")] {
        assert_eq!(store.user(&kept).await, Ok(Some(record.user.clone())));
    }
    let under = |text: &str| {
        let wanted = domain(text);
        view(&store, |t| t.users_granted_under(&name("default"), &wanted))
    };
    assert_eq!(under("example.com"), []);
    assert_eq!(under("other.example"), [record.user.id]);
    // The freed name and login can be had by another one.
    let mut heir = user("old");
    heir.logins = vec![former[0].clone()];
    put(&store, &[&heir]);
    let found = store.user(&former[0]).await.unwrap().unwrap();
    assert_eq!(found.id, heir.user.id);
}

async fn names_and_logins_are_unique_together(stand: Stand) {
    let store = stand.store;
    let mut first = user("first");
    first.logins = vec![login("jane@example.com")];
    let second = user("second");
    put(&store, &[&first, &second]);
    let mut by_name = user("first");
    by_name.logins = vec![login("unseen")];
    let mut by_login = user("third");
    by_login.logins = vec![login("unseen"), login("jane@example.com")];
    let mut login_is_name = user("third");
    login_is_name.logins = vec![login("second")];
    let mut renamed = second.clone();
    renamed.user.name = name("first");
    for wrong in [&by_name, &by_login, &login_is_name, &renamed] {
        let refused = transact(&store, |t| t.put_user(wrong, Some("h")));
        assert!(
            matches!(refused, Err(ManageError::Store(StoreError::Unusable(_)))),
            "{refused:?}"
        );
    }
    assert_eq!(store.user(&login("unseen")).await, Ok(None));
    assert_eq!(
        store.user(&login("second")).await,
        Ok(Some(second.user.clone()))
    );
    // Its own login may become the name.
    first.user.name = name("other");
    first.logins = vec![login("first")];
    put(&store, &[&first]);
}

async fn a_refused_call_does_nothing_and_the_rest_goes_on(stand: Stand) {
    let store = stand.store;
    let (first, second) = (user("first"), user("second"));
    put(&store, &[&first, &second]);
    transact(&store, |t| {
        let mut wrong = second.clone();
        wrong.note = "changed".to_owned();
        wrong.logins = vec![login("fresh"), login("first")];
        assert!(t.put_user(&wrong, None).is_err());
        assert_eq!(t.user_named(&name("second"))?.as_ref(), Some(&second));
        assert_eq!(t.login_owner(&login("fresh"))?, None);
        t.put_user(&user("third"), None)
    })
    .unwrap();
    assert!(store.user(&login("third")).await.unwrap().is_some());
    assert_eq!(store.user(&login("fresh")).await, Ok(None));
}

async fn owners_must_exist_and_stay(stand: Stand) {
    let store = stand.store;
    let mut stray = user("stray");
    stray.user.account = name("acme");
    assert!(transact(&store, |t| t.put_user(&stray, None)).is_err());
    let homeless = claim("example.com", "acme", None);
    assert!(transact(&store, |t| t.put_domain(&homeless)).is_err());
    transact(&store, |t| {
        t.put_account(&account("acme"))?;
        t.put_user(&stray, None)?;
        t.put_domain(&homeless)
    })
    .unwrap();
    assert!(transact(&store, |t| t.remove_account(&name("acme"))).is_err());
    transact(&store, |t| {
        t.remove_user(stray.user.id)?;
        t.remove_domain(&name("acme"), &domain("example.com"))?;
        t.remove_account(&name("acme"))
    })
    .unwrap();
    assert_eq!(plan(&store, "acme").await, None);
}

async fn accounts_are_kept_counted_and_replaced(stand: Stand) {
    let store = stand.store;
    let mut acme = account("acme");
    let mut worker = user("worker");
    worker.user.account = name("acme");
    transact(&store, |t| {
        t.put_account(&acme)?;
        t.put_account(&account("zeta"))?;
        t.put_user(&worker, None)?;
        t.put_user(&user("stranger"), None)?;
        t.put_domain(&claim("a.example", "acme", None))?;
        t.put_domain(&claim("b.example", "acme", Some(VerifiedBy::Dns)))?;
        t.put_domain(&claim("a.example", "default", None))
    })
    .unwrap();
    let size = |text: &str| view(&store, |t| t.account_size(&name(text)));
    assert_eq!(size("acme"), (1, 2));
    assert_eq!(size("default"), (1, 1));
    assert_eq!(size("zeta"), (0, 0));
    assert_eq!(size("absent"), (0, 0));
    acme.plan = Plan::Pro;
    acme.quotas.clear();
    transact(&store, |t| t.put_account(&acme)).unwrap();
    assert_eq!(view(&store, |t| t.account(&name("acme"))), Some(acme));
    assert_eq!(view(&store, |t| t.account(&name("absent"))), None);
    assert_eq!(plan(&store, "acme").await, Some(Plan::Pro));
    let names: Vec<Name> = view(&store, |t| t.accounts())
        .into_iter()
        .map(|account| account.name)
        .collect();
    assert_eq!(names, [name("acme"), name("default"), name("zeta")]);
}

async fn a_domain_is_verified_on_one_account_only(stand: Stand) {
    let store = stand.store;
    let mut mine = claim("example.com", "default", Some(VerifiedBy::Operator));
    mine.with_subdomains = true;
    let theirs = claim("example.com", "acme", None);
    transact(&store, |t| {
        t.put_account(&account("acme"))?;
        t.put_domain(&mine)?;
        t.put_domain(&theirs)?;
        t.put_domain(&claim("alpha.example", "acme", None))
    })
    .unwrap();
    let owner = store.ownership(&mine.domain).await.unwrap().unwrap();
    assert_eq!(owner.account, name("default"));
    assert!(owner.with_subdomains);
    assert_eq!(owner.domain, mine.domain);
    assert_eq!(store.ownership(&domain("alpha.example")).await, Ok(None));
    assert_eq!(store.ownership(&domain("b.example.com")).await, Ok(None));
    let both = view(&store, |t| t.claims(&mine.domain));
    assert_eq!(both, [theirs.clone(), mine.clone()]);
    let mut grabbed = theirs.clone();
    grabbed.verified_by = Some(VerifiedBy::Dns);
    assert!(transact(&store, |t| t.put_domain(&grabbed)).is_err());
    assert_eq!(view(&store, |t| t.claims(&mine.domain)), both);
    let listed = view(&store, |t| t.domains(Some(&name("acme"))));
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[0].domain, domain("alpha.example"));
    assert_eq!(view(&store, |t| t.domains(None)).len(), 3);
    transact(&store, |t| {
        t.remove_domain(&mine.account, &mine.domain)?;
        t.put_domain(&grabbed)
    })
    .unwrap();
    let owner = store.ownership(&mine.domain).await.unwrap().unwrap();
    assert_eq!(owner.account, name("acme"));
}

async fn what_fails_leaves_no_trace(stand: Stand) {
    let store = stand.store;
    let before = store.changes(0).await.unwrap().last;
    let refused = store.transact(&mut |t| {
        t.put_account(&account("acme"))?;
        t.put_user(&user("shop"), Some("h"))?;
        t.put_domain(&claim("example.com", "acme", Some(VerifiedBy::Dns)))?;
        assert!(t.login_owner(&login("shop"))?.is_some(), "sees its own");
        Err(ManageError::refused("no", "try another"))
    });
    assert_eq!(refused, Err(ManageError::refused("no", "try another")));
    assert_eq!(store.user(&login("shop")).await, Ok(None));
    assert_eq!(plan(&store, "acme").await, None);
    assert_eq!(store.ownership(&domain("example.com")).await, Ok(None));
    assert_eq!(store.changes(before).await.unwrap().changes, []);
}

async fn a_view_writes_nothing(stand: Stand) {
    let store = stand.store;
    let refused = store.view(&mut |t| Ok(t.put_user(&user("shop"), None)?));
    assert!(
        matches!(refused, Err(ManageError::Store(StoreError::ReadOnly(_)))),
        "{refused:?}"
    );
    assert_eq!(store.user(&login("shop")).await, Ok(None));
}

async fn questions_do_not_wait_for_a_long_transaction(stand: Stand) {
    let store = stand.store;
    put(&store, &[&user("before")]);
    let command = (stand.another)();
    let (inside, entered) = std::sync::mpsc::channel();
    let (leave, may_leave) = std::sync::mpsc::channel::<()>();
    let import = std::thread::spawn(move || {
        transact(&command, |t| {
            t.put_user(&user("during"), None)?;
            inside.send(()).unwrap();
            may_leave.recv().unwrap();
            Ok(())
        })
    });
    entered.recv().unwrap();
    assert!(store.user(&login("before")).await.unwrap().is_some());
    assert_eq!(store.user(&login("during")).await, Ok(None));
    let listed = view(&store, |t| t.user_named(&name("during")));
    assert_eq!(listed, None);
    leave.send(()).unwrap();
    import.join().unwrap().unwrap();
    assert!(store.user(&login("during")).await.unwrap().is_some());
}

async fn removed_users_are_gone(stand: Stand) {
    let store = stand.store;
    let record = rich_user("shop");
    let id = record.user.id;
    let network: IpNet = "192.0.2.0/24".parse().unwrap();
    put(&store, &[&record]);
    let used = Use {
        user: id,
        at: at(10),
        network: Some(network),
    };
    store.record_uses(vec![used]).await.unwrap();
    transact(&store, |t| t.remove_user(id)).unwrap();
    transact(&store, |t| t.remove_user(id)).unwrap();
    for login in [name("shop").to_login(), record.logins[0].clone()] {
        assert_eq!(store.user(&login).await, Ok(None));
    }
    assert!(store.credential(id).await == Ok(None));
    assert_eq!(view(&store, |t| t.password_hash(id)), None);
    let under = domain("example.com");
    let granted = view(&store, |t| t.users_granted_under(&name("default"), &under));
    assert_eq!(granted, []);
    // A use that was on its way, and the id given anew by an import: the old networks are gone.
    store.record_uses(vec![used]).await.unwrap();
    put(&store, &[&record]);
    assert_eq!(store.logged_in_from(id, network, at(0)).await, Ok(false));
}

async fn hashes_are_kept_replaced_and_upgraded(stand: Stand) {
    let store = stand.store;
    let mut record = user("shop");
    let id = record.user.id;
    let credential = |hash: &str, version| Credential {
        hash: hash.to_owned(),
        version,
    };
    transact(&store, |t| t.put_user(&record, None)).unwrap();
    assert!(store.credential(id).await == Ok(None), "no password yet");
    transact(&store, |t| t.put_user(&record, Some("first"))).unwrap();
    record.note = "kept".to_owned();
    transact(&store, |t| t.put_user(&record, None)).unwrap();
    let read = store.credential(id).await.unwrap().unwrap();
    assert!(read == credential("first", 1));
    let seen = store.changes(0).await.unwrap().last;
    store
        .rehash(id, read.clone(), "first, better".to_owned())
        .await
        .unwrap();
    let better = store.credential(id).await.unwrap().unwrap();
    assert!(better == credential("first, better", 1));
    assert_eq!(store.changes(seen).await.unwrap().changes, []);
    // Late: the hash, or the version, is another one now.
    store.rehash(id, read, "late".to_owned()).await.unwrap();
    record.user.credential_version = 2;
    transact(&store, |t| t.put_user(&record, None)).unwrap();
    store.rehash(id, better, "late".to_owned()).await.unwrap();
    let kept = view(&store, |t| t.password_hash(id));
    assert_eq!(kept.as_deref(), Some("first, better"));
}

async fn uses_are_remembered(stand: Stand) {
    let store = stand.store;
    let record = user("shop");
    let id = record.user.id;
    put(&store, &[&record]);
    let home: IpNet = "192.0.2.7/32".parse().unwrap();
    let v6: IpNet = "2001:db8:1:2::/64".parse().unwrap();
    let used = |second, network| Use {
        user: id,
        at: at(second),
        network,
    };
    let stranger = Use {
        user: UserId::new(),
        at: at(1),
        network: Some(home),
    };
    let uses = vec![
        used(100, Some(home)),
        stranger,
        used(50, Some(v6)),
        used(90, Some(home)),
        used(120, None),
    ];
    store.record_uses(uses).await.unwrap();
    let last = view(&store, |t| t.user_with_id(id)).unwrap().last_used_at;
    assert_eq!(last, Some(at(120)));
    for (network, since, expected) in [
        (home, 100, true),
        (home, 101, false),
        (v6, 50, true),
        (v6, 51, false),
    ] {
        let known = store.logged_in_from(id, network, at(since)).await;
        assert_eq!(known, Ok(expected), "{network} since {since}");
    }
    let other = "192.0.2.8/32".parse().unwrap();
    assert_eq!(store.logged_in_from(id, other, at(0)).await, Ok(false));
    // Being used changes nothing that anybody would have to forget.
    let changes = store.changes(0).await.unwrap();
    assert_eq!(logins_of(&changes.changes), ["shop"]);
}

async fn users_granted_at_and_below_a_domain_are_found(stand: Stand) {
    let store = stand.store;
    let with = |text: &str, account: &str, list: &[&str]| {
        let mut record = user(text);
        record.user.account = name(account);
        record.user.grants = grants(list);
        record
    };
    let exact = with("exact", "default", &["example.com", "boss@example.com"]);
    let below = with("below", "default", &["x@a.b.example.com"]);
    let wildcard = with("wildcard", "default", &["*.example.com", "z.test"]);
    let near = with("near", "default", &["notexample.com", "example.com.test"]);
    let dash = with("dash", "default", &["example-com.com", "a.example-x.com"]);
    let theirs = with("theirs", "acme", &["example.com"]);
    transact(&store, |t| t.put_account(&account("acme"))).unwrap();
    put(&store, &[&exact, &below, &wildcard, &near, &dash, &theirs]);
    let under = |owner: &str, text: &str| {
        let wanted = domain(text);
        let mut ids = view(&store, |t| t.users_granted_under(&name(owner), &wanted));
        ids.sort_unstable();
        ids
    };
    let mut expected = [exact.user.id, below.user.id, wildcard.user.id];
    expected.sort_unstable();
    assert_eq!(under("default", "example.com"), expected);
    assert_eq!(under("default", "b.example.com"), [below.user.id]);
    assert_eq!(under("default", "c.example.com"), []);
    assert_eq!(under("acme", "example.com"), [theirs.user.id]);
}

async fn users_are_listed_by_name_and_filtered(stand: Stand) {
    let store = stand.store;
    let mut records: Vec<UserRecord> = ["b", "a.b", "a", "zz", "a-b", "9"].map(user).into();
    records[0].logins = vec![login("0-an-extra-login"), login("c")];
    records[3].user.account = name("acme");
    records[1].last_used_at = Some(at(50));
    records[2].created_at = at(70);
    transact(&store, |t| t.put_account(&account("acme"))).unwrap();
    put(&store, &records.iter().collect::<Vec<_>>());
    let list = |filter: UserFilter| {
        let mut names = Vec::new();
        store
            .view(&mut |t| {
                t.each_user(&filter, &mut |_, record| {
                    let known = records.iter().find(|r| r.user.id == record.user.id);
                    assert_eq!(Some(&record), known);
                    names.push(record.user.name.to_string());
                    Ok(())
                })
            })
            .unwrap();
        names
    };
    let all = UserFilter::default();
    assert_eq!(list(all.clone()), ["9", "a", "a-b", "a.b", "b", "zz"]);
    let of_acme = UserFilter {
        account: Some(name("acme")),
        ..all.clone()
    };
    assert_eq!(list(of_acme), ["zz"]);
    let unused = UserFilter {
        unused_since: Some(at(60)),
        ..all
    };
    assert_eq!(list(unused.clone()), ["9", "a-b", "a.b", "b", "zz"]);
    let unused_default = UserFilter {
        account: Some(name("default")),
        ..unused
    };
    assert_eq!(list(unused_default), ["9", "a-b", "a.b", "b"]);
    let mut seen = 0;
    let stopped = store.view(&mut |t| {
        t.each_user(&UserFilter::default(), &mut |_, _| {
            seen += 1;
            Err(ManageError::refused("enough", ""))
        })
    });
    assert_eq!(stopped, Err(ManageError::refused("enough", "")));
    assert_eq!(seen, 1);
}

async fn others_see_changes_as_soon_as_they_are_made(stand: Stand) {
    let daemon = stand.store;
    let command = (stand.another)();
    let start = daemon.changes(u64::MAX).await.unwrap();
    assert_eq!(start.changes, [Change::Everything]);
    let mut record = user("shop");
    record.logins = vec![login("jane"), login("joe")];
    transact(&command, |t| {
        t.put_account(&account("acme"))?;
        t.put_domain(&claim("example.com", "acme", Some(VerifiedBy::Dns)))?;
        t.put_user(&record, None)
    })
    .unwrap();
    assert_eq!(
        daemon.user(&login("jane")).await,
        Ok(Some(record.user.clone()))
    );
    let seen = daemon.changes(start.last).await.unwrap();
    let expected = [
        Change::Account(name("acme")),
        Change::Domain(domain("example.com")),
        Change::Login(login("shop")),
        Change::Login(login("jane")),
        Change::Login(login("joe")),
    ];
    assert_eq!(seen.changes, expected);
    assert_eq!(daemon.changes(seen.last).await.unwrap().changes, []);
    // A change names what is no longer, too.
    record.user.name = name("store");
    record.logins = vec![login("joe")];
    transact(&command, |t| t.put_user(&record, None)).unwrap();
    let renamed = daemon.changes(seen.last).await.unwrap();
    let mut logins = logins_of(&renamed.changes);
    logins.sort_unstable();
    assert_eq!(logins, ["jane", "joe", "shop", "store"]);
    transact(&command, |t| {
        t.remove_user(record.user.id)?;
        t.remove_domain(&name("acme"), &domain("example.com"))?;
        t.remove_account(&name("acme"))
    })
    .unwrap();
    let removed = daemon.changes(renamed.last).await.unwrap();
    let mut logins = logins_of(&removed.changes);
    logins.sort_unstable();
    assert_eq!(logins, ["joe", "store"]);
    assert_eq!(removed.changes.len(), 4);
}

async fn many_changes_are_everything(stand: Stand) {
    let store = stand.store;
    let start = store.changes(0).await.unwrap().last;
    let users: Vec<UserRecord> = (0..1001).map(|n| user(&format!("u{n}"))).collect();
    put(&store, &users.iter().collect::<Vec<_>>());
    let flood = store.changes(start).await.unwrap();
    assert_eq!(flood.changes, [Change::Everything]);
    // One after the other they are listed, until there are too many for a list.
    for (n, record) in users.iter().take(40).enumerate() {
        let mut record = record.clone();
        record.note = n.to_string();
        put(&store, &[&record]);
    }
    let few = store.changes(flood.last).await.unwrap();
    assert_eq!(logins_of(&few.changes).len(), 40);
    let never_given = store.changes(few.last + 1).await.unwrap();
    assert_eq!(never_given.changes, [Change::Everything]);
    assert_eq!(never_given.last, few.last);
}

async fn old_changes_are_forgotten(stand: Stand) {
    let store = stand.store;
    let start = store.changes(0).await.unwrap().last;
    for round in 0..12 {
        transact(&store, |t| {
            (0..1000).try_for_each(|n| t.put_domain(&claim(&format!("d{n}.test"), "default", None)))
        })
        .unwrap_or_else(|error| panic!("round {round}: {error}"));
    }
    let all = store.changes(start).await.unwrap();
    assert_eq!(all.changes, [Change::Everything]);
    let recent = store.changes(all.last - 500).await.unwrap();
    assert_eq!(recent.changes.len(), 500);
    assert_eq!(recent.last, all.last);
    assert_eq!(recent.changes[499], Change::Domain(domain("d999.test")));
}

async fn a_closed_store_can_be_opened_again(stand: Stand) {
    let record = rich_user("shop");
    put(&stand.store, &[&record]);
    stand.store.close();
    stand.store.close();
    let again = (stand.another)();
    let found = again.user(&login("shop")).await;
    assert_eq!(found, Ok(Some(record.user)));
}

/// Runs every check against every store.
macro_rules! conformance {
    ($($store:ident: $fresh:path),+ => $checks:tt) => {
        $(mod $store { crate::conformance::conformance!(@checks $fresh, $checks); })+
    };
    (@checks $fresh:path, [$($check:ident),+ $(,)?]) => {$(
        #[tokio::test]
        async fn $check() {
            super::$check($fresh()).await;
        }
    )+};
}
pub(crate) use conformance;

conformance! {
    memory: super::in_memory,
    sqlite: super::in_a_file
    => [
        a_fresh_store_has_the_default_account,
        users_come_back_as_they_went_in,
        a_changed_user_leaves_nothing_of_its_old_self,
        names_and_logins_are_unique_together,
        a_refused_call_does_nothing_and_the_rest_goes_on,
        owners_must_exist_and_stay,
        accounts_are_kept_counted_and_replaced,
        a_domain_is_verified_on_one_account_only,
        what_fails_leaves_no_trace,
        a_view_writes_nothing,
        questions_do_not_wait_for_a_long_transaction,
        removed_users_are_gone,
        hashes_are_kept_replaced_and_upgraded,
        uses_are_remembered,
        users_granted_at_and_below_a_domain_are_found,
        users_are_listed_by_name_and_filtered,
        others_see_changes_as_soon_as_they_are_made,
        many_changes_are_everything,
        old_changes_are_forgotten,
        a_closed_store_can_be_opened_again,
    ]
}
