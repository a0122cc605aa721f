//! Records to put into stores.

use std::sync::Arc;

use jiff::Timestamp;
use outgate::model::domain::Domain;
use outgate::model::grant::Grant;
use outgate::model::name::{Login, Name, UserId};
use outgate::model::quota::{Counter, MessageKey, Subject, Unit, Window};
use outgate::model::user::{
    Account, CheckFrom, DomainRecord, Enforce, Mode, Plan, Status, User, UserRecord, VerifiedBy,
};
use outgate::store::{Change, Charge, Due, ManageError, Store, StoreError, Transaction};

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

pub fn login(text: &str) -> Login {
    text.parse().unwrap()
}

pub fn domain(text: &str) -> Domain {
    text.parse().unwrap()
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_790_000_000 + second).unwrap()
}

pub fn account(text: &str) -> Account {
    Account {
        name: name(text),
        plan: Plan::Free,
        quotas: vec!["100/hour recipients".parse().unwrap()],
        created_at: at(0),
    }
}

pub fn claim(text: &str, account: &str, verified_by: Option<VerifiedBy>) -> DomainRecord {
    DomainRecord {
        domain: domain(text),
        account: name(account),
        verified_by,
        with_subdomains: false,
        token: format!("token-of-{text}"),
        added_at: at(1),
    }
}

/// A plain user of the account `default`.
pub fn user(text: &str) -> UserRecord {
    UserRecord {
        user: User {
            id: UserId::new(),
            name: name(text),
            account: name("default"),
            status: Status::Active,
            mode: Mode::Default,
            grants: Vec::new(),
            networks: Vec::new(),
            check_from: CheckFrom::Both,
            enforce: Enforce::On,
            enforce_until: None,
            max_recipients: None,
            quotas: Vec::new(),
            credential_version: 1,
        },
        logins: Vec::new(),
        note: String::new(),
        suspended_reason: String::new(),
        created_at: at(0),
        updated_at: at(0),
        last_used_at: None,
    }
}

/// A user that has nothing at its default.
pub fn rich_user(text: &str) -> UserRecord {
    let mut record = user(text);
    record.user.status = Status::Suspended;
    record.user.mode = Mode::AllDomains;
    record.user.grants = grants(&["z.example", "*.example.com", "boss+ü@xn--e1afmkfd.xn--p1ai"]);
    record.user.networks = ["2001:db8::/32", "192.0.2.7", "0.0.0.0/0"]
        .map(|text| text.parse().unwrap())
        .into();
    record.user.check_from = CheckFrom::Header;
    record.user.enforce = Enforce::Audit;
    record.user.enforce_until = Some(at(7));
    record.user.max_recipients = Some(u32::MAX);
    record.user.credential_version = 77;
    record.logins = vec![login("юзер@пример.рф"), login("');drop\\table?1--")];
    record.user.quotas = ["0/total", "9223372036854775807/minute recipients"]
        .map(|text| text.parse().unwrap())
        .into();
    record.note = "a \"note\"\nwith \0 and ünïcode 🦀".to_owned();
    record.suspended_reason = "unpaid".to_owned();
    record.created_at = "-009999-01-02T01:59:59Z".parse().unwrap();
    record.updated_at = "9999-12-30T21:59:59.999999Z".parse().unwrap();
    record.last_used_at = Some(at(5));
    record
}

pub fn grants(texts: &[&str]) -> Vec<Grant> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// One transaction; what `work` returns.
pub fn transact<T>(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, StoreError>,
) -> Result<T, ManageError> {
    let mut result = None;
    store.transact(&mut |transaction| {
        result = Some(work(transaction)?);
        Ok(())
    })?;
    Ok(result.unwrap())
}

/// Like [`transact`], in a view.
pub fn view<T>(
    store: &Arc<dyn Store>,
    mut work: impl FnMut(&mut dyn Transaction) -> Result<T, StoreError>,
) -> T {
    let mut result = None;
    store
        .view(&mut |transaction| {
            result = Some(work(transaction)?);
            Ok(())
        })
        .unwrap();
    result.unwrap()
}

pub fn put(store: &Arc<dyn Store>, users: &[&UserRecord]) {
    transact(store, |transaction| {
        users
            .iter()
            .try_for_each(|user| transaction.put_user(user, Some("$hash$")))
    })
    .unwrap();
}

/// The logins among changes.
pub fn logins_of(changes: &[Change]) -> Vec<&str> {
    changes
        .iter()
        .filter_map(|change| match change {
            Change::Login(login) => Some(login.as_str()),
            Change::Domain(_)
            | Change::Account(_)
            | Change::Quota(_)
            | Change::Reset { .. }
            | Change::Everything => None,
        })
        .collect()
}

pub fn subject(record: &UserRecord) -> Subject {
    Subject::User(record.user.id)
}

pub fn shared(account: &str) -> Subject {
    Subject::Account(name(account))
}

pub fn counter(subject: &Subject, window: Window) -> Counter {
    Counter {
        subject: subject.clone(),
        window,
        unit: Unit::Messages,
    }
}

/// One message more, in a window that began then.
pub fn due(counter: &Counter, second: i64, limit: u64) -> Due {
    Due {
        counter: counter.clone(),
        starts: at(second),
        amount: 1,
        limit,
    }
}

pub fn message(number: u64) -> MessageKey {
    MessageKey((u128::from(number) << 64 | 7).to_be_bytes())
}

pub fn charge(number: u64, dues: &[Due]) -> Charge {
    Charge {
        key: message(number),
        at: at(0),
        dues: dues.into(),
    }
}

/// What one counter holds.
pub async fn used(store: &Arc<dyn Store>, counter: &Counter, second: i64) -> u64 {
    let asked = [(counter.clone(), at(second))];
    let used = amounts(store, &asked).await;
    assert_eq!(used.len(), 1);
    used[0]
}

/// What counters hold.
pub async fn amounts(store: &Arc<dyn Store>, asked: &[(Counter, Timestamp)]) -> Vec<u64> {
    let held = store.used(asked).await.unwrap();
    held.into_iter().map(|held| held.used).collect()
}
