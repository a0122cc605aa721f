//! `import outgate`.

use std::io::{self, BufReader, Read};

use outgate::auth::hash::check_stored;
use outgate::manage::import::{Count, Options, Progress, Summary, run};
use outgate::manage::view::{AccountView, DomainView};
use outgate::model::user::{CheckFrom, Enforce, Mode, Plan, Status, VerifiedBy};
use outgate::store::{Transaction, UserFilter};
use serde_json::{Value, json};

use crate::*;

const ID: &str = "018f2f3e-0000-7000-8000-000000000001";
const OTHER_ID: &str = "018f2f3e-0000-7000-8000-000000000002";
const OTHER_HASH: &str =
    "$argon2id$v=19$m=64,t=1,p=1$b3RoZXJzYWx0$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo";

fn options(dry_run: bool) -> Options {
    Options {
        dry_run,
        now: day(10),
        check_hash: |phc| check_stored(phc).map_err(|error| error.to_string()),
    }
}

fn import(store: &dyn Store, file: &str) -> Result<Summary, ManageError> {
    run(store, &mut file.as_bytes(), &options(false), &mut |_| ())
}

/// Lines of one record each.
fn file(records: &[Value]) -> String {
    records.iter().map(|record| format!("{record}\n")).collect()
}

/// All that a store holds, hashes included.
fn everything(store: &dyn Store) -> String {
    let mut all = String::new();
    store
        .view(&mut |tx: &mut dyn Transaction| {
            all = format!("{:#?}\n{:#?}\n", tx.accounts()?, tx.domains(None)?);
            let mut ids = Vec::new();
            tx.each_user(&UserFilter::default(), &mut |_, record| {
                all += &format!("{record:#?}\n");
                ids.push(record.user.id);
                Ok(())
            })?;
            for id in ids {
                all += &format!("{:?}\n", tx.password_hash(id)?);
            }
            Ok(())
        })
        .unwrap();
    all
}

fn count(added: u64, replaced: u64, unchanged: u64) -> Count {
    Count {
        added,
        replaced,
        unchanged,
    }
}

/// A file with every field, and records of nothing but what they must have.
fn whole_file() -> String {
    file(&[
        json!({"type": "account", "name": "acme", "plan": "free",
               "quotas": [{"limit": 10, "window": "day", "unit": "recipients"}],
               "created_at": "2026-01-02T03:04:05.678Z"}),
        json!({"type": "domain", "domain": "example.com", "account": "acme", "status": "verified",
               "verified_by": "dns", "with_subdomains": true, "added_at": "2026-01-03T00:00:00Z",
               "challenge": {"name": "_outgate-challenge.example.com", "type": "TXT",
                             "value": "og1-verify=00112233445566778899aabbccddeeff"}}),
        json!({"type": "domain", "domain": "example.net", "account": "acme"}),
        json!({"type": "user", "id": ID, "name": "Shop", "account": "acme", "status": "suspended",
               "suspended_reason": "spam", "mode": "any-domain",
               "allow": ["example.com", "*.a.example.com", "boss@example.net"],
               "ip": ["192.0.2.9/24"], "logins": ["Jane@example.com"],
               "quotas": [{"limit": 0, "window": "total"}], "max_recipients": 5,
               "check_from": "envelope", "enforce": "audit", "note": "hello",
               "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
               "last_used_at": "2026-01-03T00:00:00Z", "password_hash": HASH}),
        json!({"type": "user", "name": "plain"}),
    ])
}

#[test]
fn every_field_arrives() {
    let store = in_memory();
    let store = &*store;
    import(store, &whole_file()).unwrap();
    let shop = show(store, "shop");
    let user = &shop.user;
    assert_eq!(
        (user.id.to_string(), user.account.as_str()),
        (ID.to_owned(), "acme")
    );
    assert_eq!(
        (user.status, user.mode),
        (Status::Suspended, Mode::AnyDomain)
    );
    assert_eq!(
        strings(&user.grants),
        ["example.com", "*.a.example.com", "boss@example.net"]
    );
    assert_eq!(strings(&user.networks), ["192.0.2.0/24"]);
    assert_eq!(
        (user.check_from, user.enforce),
        (CheckFrom::Envelope, Enforce::Audit)
    );
    assert_eq!(user.max_recipients, Some(5));
    assert_eq!(strings(&shop.logins), ["jane@example.com"]);
    assert_eq!(strings(&shop.user.quotas), ["0/total"]);
    assert_eq!((&*shop.note, &*shop.suspended_reason), ("hello", "spam"));
    assert_eq!(shop.created_at.to_string(), "2026-01-01T00:00:00Z");
    assert_eq!(shop.updated_at.to_string(), "2026-01-02T00:00:00Z");
    assert_eq!(
        shop.last_used_at.unwrap().to_string(),
        "2026-01-03T00:00:00Z"
    );

    let domain = manage::domain::show(store, "example.com", None).unwrap();
    assert_eq!(domain.verified_by, Some(VerifiedBy::Dns));
    assert_eq!(domain.token, "00112233445566778899aabbccddeeff");
    let pending = manage::domain::show(store, "example.net", None).unwrap();
    assert_eq!(
        (pending.verified_by, pending.with_subdomains),
        (None, false)
    );
    assert_eq!((pending.token.len(), pending.added_at), (32, day(10)));
    let acme = manage::account::show(store, "acme").unwrap();
    assert_eq!(
        (acme.account.plan, acme.users, acme.domains),
        (Plan::Free, 1, 2)
    );
    assert_eq!(strings(&acme.account.quotas), ["10/day recipients"]);
    assert_eq!(acme.account.created_at.to_string(), "2026-01-02T03:04:05Z");
    let plain = show(store, "plain");
    assert_eq!(
        (plain.created_at, plain.user.account.as_str()),
        (day(10), "default")
    );
}

#[test]
fn nothing_changes_the_second_time() {
    on_every_store(|store| {
        let text = whole_file();
        let summary = import(store, &text).unwrap();
        assert_eq!(summary.accounts, count(1, 0, 0));
        assert_eq!(summary.domains, count(2, 0, 0));
        assert_eq!(summary.users, count(2, 0, 0));

        let before = everything(store);
        let later = Options {
            now: day(20),
            ..options(false)
        };
        let summary = run(store, &mut text.as_bytes(), &later, &mut |_| ()).unwrap();
        assert_eq!(summary.accounts, count(0, 0, 1));
        assert_eq!(summary.domains, count(0, 0, 2));
        assert_eq!(summary.users, count(0, 0, 2));
        assert_eq!(everything(store), before);
        assert_eq!(changes_by_importing(store, &text), 0);
    });
}

/// How many changes importing the file makes the daemon forget.
fn changes_by_importing(store: &dyn Store, text: &str) -> u64 {
    let last = || {
        let changes = outgate::store::Store::changes(store, u64::MAX);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(changes).unwrap().last
    };
    let before = last();
    import(store, text).unwrap();
    last() - before
}

#[test]
fn a_record_replaces_the_one_of_its_id() {
    on_every_store(|store| {
        trusted(store, "example.com", "default");
        let first = json!({"type": "user", "id": ID, "name": "shop", "allow": ["example.com"],
                           "ip": ["192.0.2.1"], "logins": ["jane"], "note": "x", "password_hash": HASH});
        import(store, &file(&[first])).unwrap();
        let before = show(store, "shop");

        // Left out is default again; what is not a setting stays.
        let second = json!({"type": "user", "id": ID, "name": "store"});
        let summary = import(store, &file(std::slice::from_ref(&second))).unwrap();
        assert_eq!(summary.users, count(0, 1, 0));
        let after = show(store, "store");
        assert_eq!(after.user.id, before.user.id);
        assert!(after.user.grants.is_empty() && after.user.networks.is_empty());
        assert!(after.logins.is_empty() && after.note.is_empty());
        assert_eq!((after.created_at, after.updated_at), (day(10), day(10)));
        assert!(after.user.credential_version > before.user.credential_version);
        assert!(everything(store).contains(HASH));
        refused(manage::user::show(store, "shop"), "no user shop", "");

        // A new hash ends remembered logins, the same one does not.
        let mut third = second.clone();
        third["password_hash"] = json!(OTHER_HASH);
        import(store, &file(std::slice::from_ref(&third))).unwrap();
        let version = show(store, "store").user.credential_version;
        assert!(version > after.user.credential_version);
        assert_eq!(
            import(store, &file(&[third])).unwrap().users,
            count(0, 0, 1)
        );
        assert_eq!(show(store, "store").user.credential_version, version);
    });
}

#[test]
fn a_record_without_id_replaces_the_one_of_its_name() {
    on_every_store(|store| {
        let id = add(store, "shop", &Settings::default())
            .unwrap()
            .record
            .user
            .id;
        let record = json!({"type": "user", "name": "SHOP", "note": "new"});
        let summary = import(store, &file(&[record])).unwrap();
        assert_eq!(summary.users, count(0, 1, 0));
        let shop = show(store, "shop");
        assert_eq!((shop.user.id, &*shop.note), (id, "new"));
    });
}

#[test]
fn accounts_and_domains_are_replaced_by_name() {
    on_every_store(|store| {
        manage::account::add(store, "acme", Some(Plan::Pro), &texts(&["5"]), day(1)).unwrap();
        let token = pending(store, "example.com", "acme").token;
        let records = [
            json!({"type": "account", "name": "ACME", "plan": "free"}),
            json!({"type": "domain", "domain": "EXAMPLE.com", "account": "Acme", "verified_by": "operator"}),
        ];
        let summary = import(store, &file(&records)).unwrap();
        assert_eq!(
            (summary.accounts, summary.domains),
            (count(0, 1, 0), count(0, 1, 0))
        );
        let acme = manage::account::show(store, "acme").unwrap().account;
        assert_eq!(
            (acme.plan, acme.quotas.len(), acme.created_at),
            (Plan::Free, 0, day(1))
        );
        let domain = manage::domain::show(store, "example.com", None).unwrap();
        assert_eq!(domain.verified_by, Some(VerifiedBy::Operator));
        assert_eq!((domain.token, domain.added_at), (token, day(1)));
    });
}

#[test]
fn what_is_shown_can_be_imported() {
    let store = in_memory();
    account(&*store, "acme");
    let domains = [
        trusted(&*store, "example.com", "acme"),
        pending(&*store, "example.com", "default"),
    ];
    let zone = jiff::tz::TimeZone::UTC;
    let acme = manage::account::show(&*store, "acme").unwrap();
    let mut records = vec![serde_json::to_value(AccountView::new(&acme, day(2), &zone)).unwrap()];
    records[0]["type"] = json!("account");
    for domain in &domains {
        let mut record = serde_json::to_value(DomainView::from(domain)).unwrap();
        record["type"] = json!("domain");
        records.push(record);
    }
    let before = everything(&*store);
    import(&*store, &file(&records)).unwrap();
    assert_eq!(everything(&*store), before);
}

#[test]
fn a_dry_run_changes_nothing() {
    on_every_store(|store| {
        let before = everything(store);
        let records = [
            json!({"type": "account", "name": "acme"}),
            json!({"type": "user", "name": "shop", "account": "acme"}),
        ];
        let text = file(&records);
        let summary = run(store, &mut text.as_bytes(), &options(true), &mut |_| ()).unwrap();
        assert!(summary.dry_run);
        assert_eq!(
            (summary.accounts, summary.users),
            (count(1, 0, 0), count(1, 0, 0))
        );
        assert_eq!(everything(store), before);
        let bad = format!("{text}{{}}\n");
        let result = run(store, &mut bad.as_bytes(), &options(true), &mut |_| ());
        refused(result, "line 3, field type: missing", "");
    });
}

/// A good line before it, then the bad one: what is said about line 2.
const BAD: &[(&str, &str)] = &[
    // Lines.
    ("x", ": not JSON"),
    ("{\"type\":\"user\"", ": not JSON"),
    ("{\"type\":\"user\",\"name\":\"a\"} x", ": not JSON"),
    ("[]", ": not a JSON object"),
    ("\"user\"", ": not a JSON object"),
    ("{}", ", field type: missing"),
    (r#"{"name":"a"}"#, ", field type: missing"),
    (r#"{"type":7}"#, ", field type: not one word"),
    (
        r#"{"type":"mailbox"}"#,
        r#", field type: "mailbox" is not a record"#,
    ),
    (
        r#"{"type":"token","name":"x"}"#,
        ", field type: tokens cannot be imported",
    ),
    // Fields.
    (r#"{"type":"user"}"#, ", field name: missing"),
    (r#"{"type":"user","name":null}"#, ", field name: missing"),
    (
        r#"{"type":"user","name":"a","colour":"red"}"#,
        ", field colour: unknown field",
    ),
    (
        r#"{"type":"user","name":"a","co\nlour":1}"#,
        ", field co\\nlour: unknown field",
    ),
    (
        r#"{"type":"user","name":"a","name":"b"}"#,
        ": duplicate field `name` at column",
    ),
    (
        r#"{"type":"user","name":"a","plan":"pro"}"#,
        ", field plan: unknown field",
    ),
    (
        r#"{"type":"account","name":"a","mode":"default"}"#,
        ", field mode: unknown field",
    ),
    (r#"{"type":"user","name":7}"#, ", field name: invalid type"),
    (
        r#"{"type":"user","name":"a","allow":"example.com"}"#,
        ", field allow: invalid type",
    ),
    (
        r#"{"type":"user","name":"a","allow":[7]}"#,
        ", field allow: invalid type",
    ),
    (
        r#"{"type":"user","name":"a","max_recipients":-1}"#,
        ", field max_recipients: invalid value",
    ),
    (
        r#"{"type":"user","name":"a","max_recipients":1.5}"#,
        ", field max_recipients: invalid type",
    ),
    (
        r#"{"type":"user","name":"a","created_at":"yesterday"}"#,
        ", field created_at:",
    ),
    (
        r#"{"type":"user","name":"a","mode":"all"}"#,
        ", field mode: unknown variant",
    ),
    (
        r#"{"type":"user","name":"a","status":"Active"}"#,
        ", field status: unknown variant",
    ),
    (
        r#"{"type":"user","name":"a","check_from":"none"}"#,
        ", field check_from: unknown variant",
    ),
    (
        r#"{"type":"user","name":"a","enforce":"off"}"#,
        ", field enforce: unknown variant",
    ),
    (
        r#"{"type":"user","name":"a","enforce_until":"2998-12-24T00:00:00Z"}"#,
        ", field enforce_until: the user is not in audit mode",
    ),
    (
        r#"{"type":"user","name":"a","enforce":"audit","enforce_until":"tomorrow"}"#,
        ", field enforce_until: ",
    ),
    (
        r#"{"type":"user","name":"a","quotas":["1/day"]}"#,
        ", field quotas: invalid type",
    ),
    (
        r#"{"type":"user","name":"a","quotas":[{"limit":1,"window":"day","used":1}]}"#,
        ", field quotas: unknown field `used`",
    ),
    (
        r#"{"type":"user","name":"a","quotas":[{"limit":1}]}"#,
        ", field quotas: missing field `window`",
    ),
    (
        r#"{"type":"account","name":"a","plan":"gold"}"#,
        ", field plan: unknown variant",
    ),
    // Rules.
    (r#"{"type":"account"}"#, ", field name: missing"),
    (
        r#"{"type":"account","name":"a b"}"#,
        r#", field name: "a b" is not a name"#,
    ),
    (
        r#"{"type":"user","name":"a@b"}"#,
        r#", field name: "a@b" is not a name"#,
    ),
    (
        r#"{"type":"user","name":"018f2f3e-0000-7000-8000-000000000003"}"#,
        ", field name: 018f2f3e-0000-7000-8000-000000000003 looks like the id of a user",
    ),
    (
        r#"{"type":"user","name":"a","logins":["018F2F3E000070008000000000000003"]}"#,
        ", field logins: 018f2f3e000070008000000000000003 looks like the id of a user",
    ),
    (
        r#"{"type":"user","name":"a","id":"7"}"#,
        r#", field id: "7" is not a UUID"#,
    ),
    (
        r#"{"type":"user","name":"a","id":"00000000-0000-0000-0000-000000000000"}"#,
        ", field id:",
    ),
    (
        r#"{"type":"user","name":"a","account":"none"}"#,
        ", field account: there is no account none",
    ),
    (
        r#"{"type":"user","name":"a","account":"a b"}"#,
        ", field account: \"a b\" is not a name",
    ),
    (
        r#"{"type":"user","name":"a","allow":["com"]}"#,
        ", field allow: \"com\" is a public suffix",
    ),
    (
        r#"{"type":"user","name":"a","allow":["example.org"]}"#,
        ", field allow: example.org is not a domain of account default",
    ),
    (
        r#"{"type":"user","name":"a","allow":["a.example.com"]}"#,
        ", field allow: a.example.com lies below",
    ),
    (
        r#"{"type":"user","name":"a","ip":["192.0.2.256"]}"#,
        ", field ip: \"192.0.2.256\" is not an IP",
    ),
    (
        r#"{"type":"user","name":"a","logins":["a b"]}"#,
        ", field logins: \"a b\" is not a login",
    ),
    (
        r#"{"type":"user","name":"a","logins":["SHOP"]}"#,
        ", field logins: login \"shop\" belongs to user shop",
    ),
    (
        r#"{"type":"user","name":"a","max_recipients":0}"#,
        ", field max_recipients: a message has",
    ),
    (
        r#"{"type":"user","name":"a","quotas":[{"limit":1,"window":"day"},{"limit":2,"window":"day"}]}"#,
        ", field quotas: there are two limits",
    ),
    (
        r#"{"type":"user","name":"a","quotas":[{"limit":9223372036854775808,"window":"day"}]}"#,
        ", field quotas: 9223372036854775808 is more than",
    ),
    (
        r#"{"type":"user","name":"a","note":"\u0007"}"#,
        ", field note: the note has control",
    ),
    (
        r#"{"type":"user","name":"a","suspended_reason":"x"}"#,
        ", field suspended_reason: the user is not suspended",
    ),
    (
        r#"{"type":"user","name":"a","password_hash":"secret"}"#,
        ", field password_hash: the password hash is not",
    ),
    (
        r#"{"type":"user","name":"a","password_hash":"{CRYPT}x"}"#,
        ", field password_hash: the password hash is not argon2id",
    ),
    (
        r#"{"type":"user","name":"a","password_hash":"$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo"}"#,
        ", field password_hash: the password hash asks for more",
    ),
    (
        r#"{"type":"user","name":"jane"}"#,
        ", field name: jane is an extra login of user shop",
    ),
    (
        r#"{"type":"user","name":"shop","id":"018f2f3e-0000-7000-8000-000000000002"}"#,
        ", field name: user shop is there already",
    ),
    (r#"{"type":"domain"}"#, ", field domain: missing"),
    (
        r#"{"type":"domain","domain":"com"}"#,
        ", field domain: com is a public suffix",
    ),
    (
        r#"{"type":"domain","domain":"github.io","with_subdomains":true}"#,
        ", field with_subdomains: github.io is a public suffix",
    ),
    (
        r#"{"type":"domain","domain":"a b"}"#,
        ", field domain: \"a b\" is not a sender domain",
    ),
    (
        r#"{"type":"domain","domain":"example.org","account":"none"}"#,
        ", field account: there is no",
    ),
    (
        r#"{"type":"domain","domain":"example.com","account":"acme","status":"verified"}"#,
        ", field status: example.com is verified on account default",
    ),
    (
        r#"{"type":"domain","domain":"example.org","status":"pending","verified_by":"dns"}"#,
        ", field verified_by: a pending domain",
    ),
    (
        r#"{"type":"domain","domain":"example.org","challenge":{"value":"og1-verify=x"}}"#,
        ", field challenge: the value of the record",
    ),
    (
        r#"{"type":"domain","domain":"example.org","challenge":{"name":"x","value":"og1-verify=x"}}"#,
        ", field challenge: the name of the record is _outgate-challenge.example.org",
    ),
    (
        r#"{"type":"domain","domain":"example.org","challenge":{}}"#,
        ", field challenge: missing field",
    ),
];

#[test]
fn an_error_names_line_and_field_and_leaves_everything_as_it_was() {
    on_every_store(|store| {
        account(store, "acme");
        trusted(store, "example.com", "default");
        let shop = Settings {
            logins: Some(texts(&["jane"])),
            ..Settings::default()
        };
        add(store, "shop", &shop).unwrap();
        let before = everything(store);
        for (line, error) in BAD {
            let good = json!({"type": "user", "name": "good"});
            let after = json!({"type": "user", "name": "never read"});
            let (said, hint) = refusal(import(store, &format!("{good}\n{line}\n{after}\n")));
            assert!(
                said.starts_with(&format!("line 2{error}")),
                "{line}: {said}"
            );
            assert!(hint.starts_with("nothing was imported"), "{line}: {hint}");
            assert!(!said.contains("line 1"), "{said}");
        }
        assert_eq!(everything(store), before);
    });
}

#[test]
fn lines_come_in_all_shapes() {
    on_every_store(|store| {
        let user = |name: &str| json!({"type": "user", "name": name}).to_string();
        let text = format!(
            "\u{feff}{}\r\n\n  \t\n{}\n{}",
            user("a"),
            user("b"),
            r#" { "name" : "c", "mode": null, "type" : "us\u0065r" } "#
        );
        assert_eq!(import(store, &text).unwrap().users, count(3, 0, 0));
        assert_eq!(import(store, "").unwrap(), Summary::default());
        refused(
            import(store, &format!("{}\n\u{feff}{}", user("d"), user("e"))),
            "line 2: not JSON",
            "",
        );
    });
}

#[test]
fn hostile_input_is_bounded() {
    let store = in_memory();
    let run = |input: &mut dyn Read| {
        run(
            &*store,
            &mut BufReader::new(input),
            &options(false),
            &mut |_| (),
        )
    };
    refused(run(&mut &b"{\"type\":\n\xff"[..]), "line 1: not JSON", "");
    refused(
        run(&mut &b"\n{\"type\":\"\xff\"}"[..]),
        "line 2: not UTF-8 at byte 10",
        "",
    );
    // A line without an end.
    refused(
        run(&mut io::repeat(b'x')),
        "line 1: longer than 4194304 bytes",
        "",
    );
    let deep = "[".repeat(100_000);
    refused(run(&mut deep.as_bytes()), "line 1: not JSON", "");
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is gone"))
        }
    }
    refused(
        run(&mut Broken),
        "line 1: cannot be read: the disk is gone",
        "",
    );
    let many: Vec<_> = (0..1001).map(|i| format!("l{i}")).collect();
    let line = json!({"type": "user", "name": "a", "logins": many}).to_string();
    refused(
        run(&mut line.as_bytes()),
        "line 1, field logins: 1001 entries",
        "",
    );
}

#[test]
fn the_largest_user_fits_in_a_line() {
    on_every_store(|store| {
        wide(store, "example.com", "default");
        let long = "x".repeat(60);
        let allow: Vec<_> = (0..1000)
            .map(|i| format!("{long}{i}@{long}.{long}.example.com"))
            .collect();
        let logins: Vec<_> = (0..1000)
            .map(|i| format!("{long}{long}{i}@example.com"))
            .collect();
        let ip: Vec<_> = (0..1000).map(|i| format!("2001:db8::{i:x}")).collect();
        let record =
            json!({"type": "user", "name": "a", "allow": allow, "logins": logins, "ip": ip});
        import(store, &file(&[record])).unwrap();
        assert_eq!(show(store, "a").logins.len(), 1000);
    });
}

#[test]
fn records_of_one_file_build_on_each_other() {
    on_every_store(|store| {
        // In the wrong order nothing goes.
        let domain = json!({"type": "domain", "domain": "example.com", "with_subdomains": true});
        let user = json!({"type": "user", "id": ID, "name": "shop", "allow": ["a.example.com"]});
        refused(
            import(store, &file(&[user.clone(), domain.clone()])),
            "line 1, field allow: a.example.com is not a domain",
            "nothing was imported; outgate domain add a.example.com",
        );
        import(store, &file(&[domain, user.clone()])).unwrap();

        // Taking the ground away from under a grant is refused, unless the file takes the grant too.
        let narrow = json!({"type": "domain", "domain": "example.com"});
        refused(
            import(
                store,
                &file(&[json!({"type": "account", "name": "b"}), narrow.clone()]),
            ),
            "line 2, field with_subdomains: user shop has a grant on a.example.com",
            "outgate user set shop --drop-allow a.example.com",
        );
        refused(
            import(store, &file(&[narrow.clone(), user])),
            "line 2, field allow: a.example.com lies below example.com",
            "",
        );
        let other = json!({"type": "user", "id": ID, "name": "shop", "allow": ["example.com"]});
        import(store, &file(&[narrow, other])).unwrap();
    });
}

#[test]
fn names_are_unique_within_a_file() {
    on_every_store(|store| {
        for (first, second, error) in [
            (
                json!({"id": ID, "name": "a"}),
                json!({"id": OTHER_ID, "name": "A"}),
                "line 2, field name: user a is there already",
            ),
            (
                json!({"name": "a", "logins": ["b"]}),
                json!({"name": "b"}),
                "line 2, field name: b is an extra login of user a",
            ),
            (
                json!({"name": "a"}),
                json!({"name": "b", "logins": ["a"]}),
                "line 2, field logins: login \"a\" belongs to user a",
            ),
        ] {
            let records = [first, second].map(|mut record| {
                record["type"] = json!("user");
                record
            });
            refused(import(store, &file(&records)), error, "");
        }
    });
}

#[test]
fn grants_of_a_lost_domain_can_be_exported_and_imported() {
    on_every_store(|store| {
        account(store, "acme");
        pending(store, "example.com", "default");
        trusted(store, "example.com", "acme");
        let user = json!({"type": "user", "name": "shop", "allow": ["example.com"]});
        import(store, &file(&[user])).unwrap();
        let done = manage::user::show(store, "shop").unwrap();
        assert_eq!(done.warnings.len(), 1);
    });
}

#[test]
fn progress_is_told() {
    let store = in_memory();
    let text: String = (0..2000)
        .map(|i| format!("{}\n", json!({"type": "user", "name": format!("u{i}")})))
        .collect();
    let mut told: Vec<Progress> = Vec::new();
    run(
        &*store,
        &mut text.as_bytes(),
        &options(false),
        &mut |so_far| told.push(so_far),
    )
    .unwrap();
    assert!(
        told.len() >= 4 && told.is_sorted_by_key(|p| (p.records, p.bytes)),
        "{told:?}"
    );
    let last = told.last().unwrap();
    assert_eq!((last.records, last.bytes), (2000, text.len() as u64));
}
