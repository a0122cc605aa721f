//! `export`, and that what it writes imports to the same state.

use std::collections::HashSet;

use outgate::auth::hash::check_stored;
use outgate::manage::export::{self, Progress, Summary};
use outgate::manage::import;
use outgate::model::name::UserId;
use outgate::model::user::{Account, CheckFrom, Enforce, Mode, Plan, Status, User, VerifiedBy};
use outgate::store::Transaction;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use serde_json::Value;
use uuid::Uuid;

use crate::*;

/// All lines, as they stand in a file.
fn exported(store: &dyn Store) -> String {
    let mut lines = String::new();
    export::run(store, &mut |record, _| {
        lines += &serde_json::to_string(record).unwrap();
        lines.push('\n');
        true
    })
    .unwrap();
    lines
}

fn import(store: &dyn Store, file: &str) -> import::Summary {
    let options = import::Options {
        dry_run: false,
        now: day(10),
        check_hash: |phc| check_stored(phc).map_err(|error| error.to_string()),
    };
    import::run(store, &mut file.as_bytes(), &options, &mut |_| ()).unwrap()
}

#[test]
fn a_record_is_written_as_promised() {
    let store = in_memory();
    account(&*store, "acme");
    let domain = pending(&*store, "example.com", "acme");
    let settings = Settings {
        account: Some("acme".to_owned()),
        quotas: Some(texts(&["100/day"])),
        enforce: Some(Enforce::Audit),
        until: Some(day(20)),
        ..granted(&["example.com"])
    };
    let id = add(&*store, "shop", &settings).unwrap().record.user.id;
    let lines = exported(&*store);
    let expected = [
        r#"{"type":"account","name":"acme","plan":"pro","quotas":[],"created_at":"2026-03-01T12:00:00Z"}"#.to_owned(),
        r#"{"type":"account","name":"default","plan":"pro","quotas":[],"created_at":"1970-01-01T00:00:00Z"}"#.to_owned(),
        format!(
            r#"{{"type":"domain","domain":"example.com","account":"acme","status":"pending","verified_by":null,"with_subdomains":false,"challenge":{{"name":"_outgate-challenge.example.com","type":"TXT","value":"og1-verify={}"}},"added_at":"2026-03-01T12:00:00Z"}}"#,
            domain.token
        ),
        format!(
            r#"{{"type":"user","id":"{id}","name":"shop","account":"acme","status":"active","mode":"default","allow":["example.com"],"ip":[],"logins":[],"quotas":[{{"limit":100,"window":"day","unit":"messages"}}],"max_recipients":null,"check_from":"both","enforce":"audit","enforce_until":"2026-03-20T12:00:00Z","note":"","created_at":"2026-03-01T12:00:00Z","updated_at":"2026-03-01T12:00:00Z","last_used_at":null,"suspended_reason":"","password_hash":"{HASH}"}}"#
        ),
    ];
    assert_eq!(lines.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn what_was_removed_is_in_no_line() {
    on_every_store(|store| {
        trusted(store, "gone.example", "default");
        let settings = Settings {
            note: Some("a secret note".to_owned()),
            ..granted(&["gone.example"])
        };
        add(store, "gone", &settings).unwrap();
        add(store, "here", &Settings::default()).unwrap();
        let other = HASH.replace("c29tZXNhbHQ", "b3RoZXJzYWx0");
        manage::user::passwd(store, "here", &other, day(2)).unwrap();
        manage::user::remove(store, "gone").unwrap();
        manage::domain::remove(store, "gone.example", None, day(2)).unwrap();
        let lines = exported(store);
        assert!(
            !lines.contains("gone") && !lines.contains("secret"),
            "{lines}"
        );
        assert!(!lines.contains(HASH) && lines.contains(&other), "{lines}");
    });
}

#[test]
fn the_largest_user_comes_back() {
    let many = |entry: &dyn Fn(usize) -> String| Some((0..1000).map(entry).collect::<Vec<_>>());
    let domain = [&"d".repeat(60); 3]
        .map(|label| format!("{label}."))
        .concat()
        + "example";
    let store = in_memory();
    trusted(&*store, &domain, "default");
    let settings = Settings {
        allow: many(&|number| format!("{number:0>64}@{domain}")),
        logins: many(&|number| format!("{}{number:0>4}", "\u{1f600}".repeat(251))),
        ip: many(&|number| format!("2001:db8:{number:x}:1111:1111:1111:1111:1111")),
        ..Settings::default()
    };
    add(&*store, "large", &settings).unwrap();
    let lines = exported(&*store);
    let other = in_memory();
    import(&*other, &lines);
    assert_eq!(exported(&*other), lines);
}

#[test]
fn it_says_how_far_it_is_and_can_be_broken_off() {
    on_every_store(|store| {
        account(store, "acme");
        trusted(store, "example.com", "acme");
        for name in ["a", "b", "c"] {
            add(store, name, &Settings::default()).unwrap();
        }
        let mut seen = Vec::new();
        let summary = export::run(store, &mut |_, progress| {
            seen.push(progress);
            true
        });
        let counted = Summary {
            accounts: 2,
            domains: 1,
            users: 3,
        };
        assert_eq!(summary, Ok(counted));
        let steps = (1..=6).map(|records| Progress { records, total: 6 });
        assert_eq!(seen, steps.collect::<Vec<_>>());
        let mut left = 2;
        let broken = export::run(store, &mut |_, _| {
            left -= 1;
            left > 0
        });
        refused(broken, "broken off", "");
        assert_eq!(left, 0);
    });
}

/// A moment to the microsecond, as stores keep it.
fn moment() -> impl Strategy<Value = Timestamp> {
    (0_i64..4_000_000_000_000_000).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
}

/// Words of an operator.
fn words() -> impl Strategy<Value = String> {
    "[ -~\\n\\tàßя🦀\u{202e}\u{2028}\"\\\\]{0,40}"
}

const ACCOUNTS: [&str; 3] = ["acme", "default", "zeta"];
const DOMAINS: [&str; 4] = [
    "a.example",
    "b.example",
    "xn--e1afmkfd.example",
    "wide.example",
];

fn accounts() -> impl Strategy<Value = Vec<Account>> {
    let account = |name: &'static str| {
        (any::<bool>(), quotas(), moment()).prop_map(move |(free, quotas, created_at)| Account {
            name: name.parse().unwrap(),
            plan: if free { Plan::Free } else { Plan::Pro },
            quotas,
            created_at,
        })
    };
    Vec::from(ACCOUNTS.map(account))
}

fn quotas() -> impl Strategy<Value = Vec<outgate::model::quota::Quota>> {
    let all = vec![
        "100/day",
        "0/total",
        "9223372036854775807/month recipients",
        "1/minute",
    ];
    subsequence(all, 0..=4)
        .prop_map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect())
}

/// Each domain on some accounts, verified on one of them at most.
fn domains() -> impl Strategy<Value = Vec<DomainRecord>> {
    let claims = |domain: &'static str| {
        let holders = subsequence(ACCOUNTS.to_vec(), 0..=3);
        (holders, any::<[bool; 3]>(), any::<u128>(), moment()).prop_map(
            move |(holders, [verified, by_dns, wide], token, added_at)| {
                let by = if by_dns {
                    VerifiedBy::Dns
                } else {
                    VerifiedBy::Operator
                };
                let records = holders
                    .iter()
                    .enumerate()
                    .map(|(place, account)| DomainRecord {
                        domain: domain.parse().unwrap(),
                        account: account.parse().unwrap(),
                        verified_by: (verified && place == 0).then_some(by),
                        with_subdomains: wide,
                        token: format!("{:032x}", token ^ place as u128),
                        added_at,
                    });
                records.collect::<Vec<_>>()
            },
        )
    };
    Vec::from(DOMAINS.map(claims)).prop_map(|claims| claims.concat())
}

/// Users without their grants, which depend on what their account has; with a hash, perhaps.
fn users() -> impl Strategy<Value = Vec<(UserRecord, bool)>> {
    let senders = (
        select(ACCOUNTS.to_vec()),
        select(vec![Mode::Default, Mode::AllDomains, Mode::AnyDomain]),
        subsequence(vec!["192.0.2.0/24", "198.51.100.7", "2001:db8::/32"], 0..=3),
        select(vec![
            CheckFrom::Both,
            CheckFrom::Envelope,
            CheckFrom::Header,
        ]),
    );
    let limits = (
        quotas(),
        proptest::option::of(1_u32..),
        proptest::option::of(proptest::option::of(moment())),
        proptest::option::of(words()),
    );
    let user = (any::<u128>(), "[a-z0-9][a-z0-9._-]{0,10}", senders, limits).prop_map(
        |(id, name, (account, mode, networks, check_from), limits)| {
            let (quotas, max_recipients, audit, suspended) = limits;
            let user = User {
                id: UserId(Uuid::from_u128(id | 1)),
                name: name.parse().unwrap(),
                account: account.parse().unwrap(),
                status: suspended
                    .as_ref()
                    .map_or(Status::Active, |_| Status::Suspended),
                mode,
                grants: Vec::new(),
                networks: networks.iter().map(|text| text.parse().unwrap()).collect(),
                check_from,
                enforce: audit.map_or(Enforce::On, |_| Enforce::Audit),
                enforce_until: audit.flatten(),
                max_recipients,
                quotas,
                credential_version: 7,
            };
            (user, suspended.unwrap_or_default())
        },
    );
    let times = (moment(), moment(), proptest::option::of(moment()));
    let record = (user, words(), times, any::<[bool; 2]>()).prop_map(
        |((user, suspended_reason), note, times, [login, hash])| {
            let (created_at, updated_at, last_used_at) = times;
            let extra = login.then(|| format!("{}+ü@login.example", user.name));
            let record = UserRecord {
                user,
                logins: extra.iter().map(|text| text.parse().unwrap()).collect(),
                note,
                suspended_reason,
                created_at,
                updated_at,
                last_used_at,
            };
            (record, hash)
        },
    );
    proptest::collection::vec(record, 0..8)
}

/// Grants on every domain that the account has.
fn grant_all(user: &mut User, domains: &[DomainRecord]) {
    for claim in domains.iter().filter(|claim| claim.account == user.account) {
        let domain = claim.domain.as_str();
        let mut grants = vec![
            domain.to_owned(),
            format!("*.{domain}"),
            format!("Boss+x@{domain}"),
        ];
        if claim.with_subdomains {
            grants.push(format!("below.{domain}"));
        }
        user.grants.extend(
            grants
                .iter()
                .map(|text| text.parse::<outgate::model::grant::Grant>().unwrap()),
        );
    }
}

fn fill(store: &dyn Store, state: &(Vec<Account>, Vec<DomainRecord>, Vec<(UserRecord, bool)>)) {
    let (accounts, domains, users) = state;
    let mut names = HashSet::new();
    store
        .transact(&mut |tx: &mut dyn Transaction| {
            accounts
                .iter()
                .try_for_each(|account| tx.put_account(account))?;
            domains
                .iter()
                .try_for_each(|domain| tx.put_domain(domain))?;
            for (record, hash) in users {
                let mut record = record.clone();
                if names.insert(record.user.name.clone()) {
                    grant_all(&mut record.user, domains);
                    tx.put_user(&record, hash.then_some(HASH))?;
                }
            }
            Ok(())
        })
        .unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_exports_imports_to_the_same_state(state in (accounts(), domains(), users())) {
        let first = MemoryStore::new();
        fill(&first, &state);
        let lines = exported(&first);
        let directory = tempfile::tempdir().unwrap();
        let second = SqliteStore::open(&directory.path().join("outgate.db")).unwrap();
        let done = import(&second, &lines);
        prop_assert_eq!(exported(&second), lines.clone());
        let count = |kind| {
            let of_kind = |line: &&str| serde_json::from_str::<Value>(line).unwrap()["type"] == kind;
            lines.lines().filter(of_kind).count() as u64
        };
        prop_assert_eq!(done.users.added, count("user"));
        // Once more, and nothing changes.
        let again = import(&second, &lines);
        for counted in [again.accounts, again.domains, again.users] {
            prop_assert_eq!((counted.added, counted.replaced), (0, 0));
        }
        prop_assert_eq!(exported(&second), lines);
        second.close();
    }
}
