//! `user`.

use serde_json::{Value, json};

use crate::site::{Site, keys};

const FIELDS: [&str; 18] = [
    "id",
    "name",
    "account",
    "status",
    "mode",
    "allow",
    "ip",
    "logins",
    "quotas",
    "max_recipients",
    "check_from",
    "enforce",
    "note",
    "created_at",
    "updated_at",
    "last_used_at",
    "enforce_until",
    "password",
];

#[test]
fn a_password_is_generated_and_printed_once() {
    let site = Site::new();
    let out = site.done(&["--json", "user", "add", "Shop"]);
    assert_eq!(keys(&out), FIELDS);
    let added: Value = serde_json::from_str(&out).unwrap();
    let password = added["password"].as_str().unwrap();
    assert!(password.len() >= 24, "{password}");
    let shown = site.done(&["--json", "user", "show", "SHOP"]);
    assert_eq!(keys(&shown), FIELDS[..17]);
    assert!(!shown.contains(password));
    let ran = site.run_with_input(
        &["user", "test", "shop", "--password-stdin"],
        password.as_bytes(),
    );
    assert_eq!(ran.code, 0, "{ran:?}");

    let ran = site.run(&["user", "add", "press"]);
    assert_eq!(ran.code, 0);
    assert!(
        ran.out.lines().any(|line| line.starts_with("password ")),
        "{}",
        ran.out
    );
    assert!(ran.err.contains("once"), "{}", ran.err);
}

#[test]
fn a_new_user_has_the_defaults() {
    let site = Site::new();
    let user = site.json(&["user", "add", "shop"]);
    for (field, value) in [
        ("name", json!("shop")),
        ("account", json!("default")),
        ("status", json!("active")),
        ("mode", json!("default")),
        ("allow", json!([])),
        ("ip", json!([])),
        ("logins", json!([])),
        ("quotas", json!([])),
        ("max_recipients", json!(null)),
        ("check_from", json!("both")),
        ("enforce", json!("on")),
        ("note", json!("")),
        ("last_used_at", json!(null)),
    ] {
        assert_eq!(user[field], value, "{field}");
    }
}

#[test]
fn all_options_are_taken() {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.user(
        "shop",
        &[
            "--mode",
            "all-domains",
            "--allow",
            "Example.COM",
            "--allow",
            "*.example.com",
            "--allow",
            "Boss@example.com",
            "--ip",
            "192.0.2.77/24",
            "--ip",
            "::ffff:198.51.100.7",
            "--quota",
            "1000",
            "--quota",
            "5000/month recipients",
            "--max-recipients",
            "50",
            "--login",
            "Jane@Example.com",
            "--check-from",
            "envelope",
            "--enforce",
            "audit",
            "--note",
            "the web shop",
        ],
        "long enough",
    );
    let user = site.json(&["user", "show", "shop"]);
    assert_eq!(user["mode"], "all-domains");
    assert_eq!(
        user["allow"],
        json!(["example.com", "*.example.com", "boss@example.com"])
    );
    assert_eq!(user["ip"], json!(["192.0.2.0/24", "198.51.100.7"]));
    assert_eq!(user["logins"], json!(["jane@example.com"]));
    assert_eq!(user["max_recipients"], 50);
    assert_eq!(user["check_from"], "envelope");
    assert_eq!(user["enforce"], "audit");
    assert_eq!(user["note"], "the web shop");
    let quota = &user["quotas"][0];
    assert_eq!(
        (&quota["limit"], &quota["window"], &quota["unit"]),
        (&json!(1000), &json!("day"), &json!("messages"))
    );
    assert_eq!(
        (&quota["used"], &quota["remaining"]),
        (&json!(0), &json!(1000))
    );
    assert!(quota["resets_at"].is_string());
    assert_eq!(user["quotas"][1]["unit"], "recipients");
}

#[test]
fn unlimited_and_total_quotas_have_nulls() {
    let site = Site::new();
    let user = site.json(&[
        "user", "add", "shop", "--quota", "0/day", "--quota", "9/total",
    ]);
    assert_eq!(user["quotas"][0]["limit"], 0);
    assert_eq!(user["quotas"][0]["remaining"], json!(null));
    assert_eq!(user["quotas"][1]["resets_at"], json!(null));
}

#[test]
fn lists_are_replaced_emptied_added_to_and_dropped_from() {
    let site = Site::new();
    site.verified(&["a.example.com", "b.example.com", "c.example.com"]);
    site.user(
        "shop",
        &["--allow", "a.example.com", "--ip", "192.0.2.1"],
        "long enough",
    );
    let set = |args: &[&str]| site.json(&[&["user", "set", "Shop"], args].concat());
    assert_eq!(
        set(&["--allow", "b.example.com", "--allow", "c.example.com"])["allow"],
        json!(["b.example.com", "c.example.com"])
    );
    assert_eq!(
        set(&["--note", "x"])["allow"],
        json!(["b.example.com", "c.example.com"])
    );
    assert_eq!(
        set(&[
            "--add-allow",
            "a.example.com",
            "--drop-allow",
            "B.example.com"
        ])["allow"],
        json!(["c.example.com", "a.example.com"])
    );
    assert_eq!(
        set(&["--add-allow", "a.example.com"])["allow"],
        json!(["c.example.com", "a.example.com"])
    );
    assert_eq!(set(&["--allow="])["allow"], json!([]));
    assert_eq!(
        set(&["--add-ip", "198.51.100.0/24"])["ip"],
        json!(["192.0.2.1", "198.51.100.0/24"])
    );
    assert_eq!(
        set(&["--drop-ip", "192.0.2.1/32"])["ip"],
        json!(["198.51.100.0/24"])
    );
    assert_eq!(set(&["--ip", ""])["ip"], json!([]));
    assert_eq!(
        set(&["--login", "a", "--login", "b"])["logins"],
        json!(["a", "b"])
    );
    assert_eq!(set(&["--login="])["logins"], json!([]));
    assert_eq!(set(&["--quota", "1/hour"])["quotas"][0]["window"], "hour");
    assert_eq!(set(&["--quota="])["quotas"], json!([]));
    assert_eq!(set(&["--max-recipients", "7"])["max_recipients"], 7);
    assert_eq!(
        set(&["--max-recipients", "none"])["max_recipients"],
        json!(null)
    );
}

#[test]
fn what_is_wrong_with_users_is_refused() {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.done(&["account", "add", "small", "--plan", "free"]);
    site.user("shop", &["--login", "extra"], "long enough");
    for args in [
        &["user", "add", "SHOP"][..],
        &["user", "add", "extra"],
        &["user", "add", "x", "--account", "nobody"],
        &["user", "add", "x", "--allow", "foreign.example"],
        &["user", "add", "x", "--allow", "com"],
        &["user", "add", "x", "--allow", "*"],
        &["user", "add", "x", "--allow", "-x"],
        &["user", "add", "x", "--ip", "192.0.2.0/33"],
        &["user", "add", "x", "--ip", "host.example"],
        &["user", "add", "x", "--quota", "many"],
        &["user", "add", "x", "--quota", "-5/day"],
        &["user", "add", "x", "--quota", "5/fortnight"],
        &["user", "add", "x", "--max-recipients", "0"],
        &["user", "add", "x", "--login", "two words"],
        &["user", "add", "x", "--login", "Shop"],
        &["user", "add", "x", "--login", "EXTRA"],
        &[
            "user",
            "add",
            "x",
            "--account",
            "small",
            "--mode",
            "any-domain",
        ],
        &["user", "set", "nobody", "--note", "x"],
        &["user", "set", "shop", "--drop-allow", "example.com"],
        &["user", "set", "shop", "--drop-ip", "192.0.2.1"],
        &["user", "set", "shop", "--add-allow", "foreign.example"],
        &["user", "set", "shop", "--rename", "a b"],
        &["user", "set", "shop", "--max-recipients", "0"],
        &["user", "passwd", "nobody"],
        &["user", "show", "nobody"],
        &["user", "suspend", "nobody"],
        &["user", "resume", "nobody"],
        &["user", "remove", "nobody"],
        &["user", "unlock", "nobody"],
        &["user", "list", "--account", "nobody"],
    ] {
        site.refused(args);
    }
    site.refused(&["user", "show", "x"]);
}

#[test]
fn refusals_name_the_next_command() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    site.done(&["account", "add", "small", "--plan", "free"]);
    for (args, hint) in [
        (&["user", "show", "nobody"][..], "outgate user list"),
        (
            &["user", "set", "shop", "--add-allow", "foreign.example"],
            "outgate domain add foreign.example",
        ),
        (
            &["user", "add", "x", "--account", "nobody"],
            "outgate account add nobody",
        ),
        (
            &[
                "user",
                "add",
                "x",
                "--account",
                "small",
                "--mode",
                "any-domain",
            ],
            "outgate account set small --plan pro",
        ),
    ] {
        let ran = site.refused(args);
        assert!(
            ran.err.contains("\nhint: ") && ran.err.contains(hint),
            "{args:?}: {}",
            ran.err
        );
        let ran = site.run(&[args, &["--json"]].concat());
        let error: Value = serde_json::from_str(&ran.err).unwrap();
        assert_eq!(error.as_object().unwrap().len(), 2, "{error}");
        assert!(error["hint"].as_str().unwrap().contains(hint), "{error}");
    }
}

#[test]
fn passwords_come_from_standard_input_without_their_line_end() {
    let site = Site::new();
    for (name, input) in [
        ("lf", &b"a secret word\n"[..]),
        ("crlf", b"a secret word\r\n"),
        ("eof", b"a secret word"),
        ("more", b"a secret word\nand more\n"),
    ] {
        let ran = site.run_with_input(&["--json", "user", "add", name, "--password-stdin"], input);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
        assert!(!ran.out.contains("password"), "{}", ran.out);
        let args = ["user", "test", name, "--password-stdin"];
        assert_eq!(
            site.run_with_input(&args, b"a secret word\n").code,
            0,
            "{name}"
        );
        assert_eq!(
            site.run_with_input(&args, b"a secret word \n").code,
            1,
            "{name}"
        );
    }
}

#[test]
fn bad_passwords_are_refused_and_never_shown() {
    let site = Site::new();
    site.user("shop", &[], "the old one");
    let long = "x".repeat(129) + "\n";
    for input in [
        &b""[..],
        b"\n",
        b"\r\n",
        b"seven77\n",
        long.as_bytes(),
        b"with\0nul in it\n",
        b"with\rreturn\n",
        b"not \xff\xfe utf-8\n",
    ] {
        for args in [
            &["user", "add", "x", "--password-stdin"][..],
            &["user", "passwd", "shop", "--password-stdin"],
        ] {
            let ran = site.run_with_input(args, input);
            assert_eq!(ran.code, 1, "{input:?}: {ran:?}");
            assert!(!ran.err.contains("seven77"), "{}", ran.err);
        }
    }
    site.refused(&["user", "show", "x"]);
    assert_eq!(
        site.run_with_input(
            &["user", "test", "shop", "--password-stdin"],
            b"the old one\n"
        )
        .code,
        0
    );
}

#[test]
fn passwd_replaces_the_password() {
    let site = Site::new();
    site.user("shop", &[], "the old one");
    let given = site.run_with_input(
        &["--json", "user", "passwd", "SHOP", "--password-stdin"],
        b"the new one\n",
    );
    assert_eq!(keys(&given.out), FIELDS[..17]);
    let test = |password: &str| {
        site.run_with_input(
            &["user", "test", "shop", "--password-stdin"],
            password.as_bytes(),
        )
        .code
    };
    assert_eq!((test("the old one"), test("the new one")), (1, 0));
    let generated = site.json(&["user", "passwd", "shop"])["password"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!((test("the new one"), test(&generated)), (1, 0));
}

#[test]
fn set_takes_a_password_too() {
    let site = Site::new();
    site.user("shop", &[], "the old one");
    let args = [
        "--json",
        "user",
        "set",
        "shop",
        "--note",
        "x",
        "--password-stdin",
    ];
    let ran = site.run_with_input(&args, b"the new one\n");
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(keys(&ran.out), FIELDS[..17]);
    let test = |password: &str| {
        let args = ["user", "test", "shop", "--password-stdin"];
        site.run_with_input(&args, password.as_bytes()).code
    };
    assert_eq!((test("the old one"), test("the new one")), (1, 0));
    let ran = site.run_with_input(&args, b"short\n");
    assert_eq!(ran.code, 1);
    assert_eq!(test("the new one"), 0);
}

#[test]
fn a_user_moves_to_another_account() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    site.done(&["account", "add", "acme"]);
    let moved = site.json(&["user", "set", "shop", "--account", "ACME"]);
    assert_eq!(moved["account"], "acme");
    site.refused(&["user", "set", "shop", "--account", "nobody"]);
}

#[test]
fn a_rename_keeps_the_old_name_as_a_login() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let id = site.json(&["user", "show", "shop"])["id"].clone();
    let renamed = site.json(&["user", "set", "shop", "--rename", "Store"]);
    assert_eq!(
        (&renamed["name"], &renamed["logins"], &renamed["id"]),
        (&json!("store"), &json!(["shop"]), &id)
    );
    site.refused(&["user", "show", "shop"]);
    assert_eq!(site.run(&["user", "test", "shop"]).code, 0);
}

#[test]
fn suspend_resume_remove() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let suspended = site.json(&["user", "suspend", "Shop", "--reason", "spam"]);
    assert_eq!(suspended["status"], "suspended");
    assert!(site.done(&["user", "show", "shop"]).contains("spam"));
    assert_eq!(site.json(&["user", "resume", "shop"])["status"], "active");
    let removed = site.json(&["user", "remove", "shop"]);
    assert_eq!(
        (&removed["name"], &removed["removed"]),
        (&json!("shop"), &json!(true))
    );
    site.refused(&["user", "show", "shop"]);
    site.user("shop", &[], "long enough");
}

#[test]
fn lists_are_filtered() {
    let site = Site::new();
    site.done(&["account", "add", "acme"]);
    site.user("one", &[], "long enough");
    site.user("two", &["--account", "acme"], "long enough");
    let names = |args: &[&str]| -> Vec<String> {
        let list = site.json(&[&["user", "list"], args].concat());
        list.as_array()
            .unwrap()
            .iter()
            .map(|u| u["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&[]), ["one", "two"]);
    assert_eq!(names(&["--account", "ACME"]), ["two"]);
    assert_eq!(names(&["--unused-for", "90d"]), Vec::<String>::new());
}

#[test]
fn old_unused_users_are_found() {
    let site = Site::new();
    let file = site.path("old.jsonl");
    crate::site::write(
        &file,
        &[
            r#"{"type":"user","name":"never","created_at":"2020-01-01T00:00:00Z"}"#,
            r#"{"type":"user","name":"fresh"}"#,
            r#"{"type":"user","name":"once","created_at":"2020-01-01T00:00:00Z","last_used_at":"2020-02-01T00:00:00Z"}"#,
            r#"{"type":"user","name":"lately","created_at":"2020-01-01T00:00:00Z","last_used_at":"2998-02-01T00:00:00Z"}"#,
        ],
    );
    site.done(&["import", "outgate", file.to_str().unwrap()]);
    let list = site.json(&["user", "list", "--unused-for", "90d"]);
    assert_eq!(list.as_array().unwrap().len(), 2, "{list}");
    assert_eq!(
        (&list[0]["name"], &list[1]["name"]),
        (&json!("never"), &json!("once"))
    );
    let table = site.done(&["user", "list", "--unused-for", "90d"]);
    assert!(table.contains("never used"), "{table}");
    assert!(site.done(&["user", "show", "fresh"]).contains("never used"));
    assert_eq!(keys(&list[0].to_string()).len(), 17);
    let none = site.run(&["user", "list", "--unused-for", "9000d"]);
    assert!(
        none.err.contains("no user was unused for that long"),
        "{}",
        none.err
    );
}

#[test]
fn traps_are_warned_of() {
    let site = Site::new();
    let ran = site.run(&["user", "add", "shop", "--ip", "192.0.2.0/24"]);
    assert!(ran.err.contains("warning: "), "{}", ran.err);
    let ran = site.run(&["user", "show", "shop"]);
    assert!(ran.err.contains("IPv6"), "{}", ran.err);
    let ran = site.run(&["user", "set", "shop", "--check-from", "header"]);
    assert!(ran.err.contains("milter"), "{}", ran.err);
    for line in site.run(&["--json", "user", "show", "shop"]).err.lines() {
        let warning: Value = serde_json::from_str(line).unwrap();
        assert!(warning["warning"].is_string());
    }
}

#[test]
fn without_a_daemon_there_is_nothing_to_unlock() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let ran = site.run(&["user", "unlock", "shop"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("no daemon"), "{}", ran.err);
}

#[test]
fn test_says_why_a_login_would_not_work() {
    let site = Site::new();
    site.user("shop", &["--ip", "192.0.2.0/24"], "long enough");
    let test = |args: &[&str], password: &str| {
        let args = [&["--json", "user", "test"], args].concat();
        let ran = site.run_with_input(&args, password.as_bytes());
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        (
            ran.code,
            answer["reason"].as_str().unwrap().to_owned(),
            answer["reply"].as_str().unwrap().to_owned(),
        )
    };
    let said = |code: i32, reason: &str, reply: &str| (code, reason.to_owned(), reply.to_owned());
    assert_eq!(test(&["Shop"], ""), said(0, "allowed", ""));
    assert_eq!(
        test(&["shop", "--password-stdin"], "long enough"),
        said(0, "allowed", "")
    );
    assert_eq!(
        test(&["shop", "--ip", "192.0.2.9"], ""),
        said(0, "allowed", "")
    );
    assert_eq!(
        test(&["shop", "--ip", "203.0.113.9"], ""),
        said(1, "ip-not-authorized", "535 5.7.8 IP not authorized")
    );
    assert_eq!(
        test(&["shop", "--ip", "unknown"], "").1,
        "ip-not-authorized"
    );
    assert_eq!(
        test(
            &["shop", "--ip", "203.0.113.9", "--password-stdin"],
            "wrong word"
        ),
        said(1, "bad-password", "535 5.7.8 Authentication failed")
    );
    assert_eq!(
        test(&["nobody"], ""),
        said(1, "no-such-user", "535 5.7.8 Authentication failed")
    );
    site.done(&["user", "suspend", "shop"]);
    assert_eq!(
        test(&["shop"], ""),
        said(1, "suspended", "535 5.7.8 Authentication failed")
    );
    site.refused(&["user", "test", "shop", "--ip", "192.0.2"]);
}

#[test]
fn test_has_no_effect() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let before = site.done(&["--json", "user", "show", "shop"]);
    for _ in 0..12 {
        site.run_with_input(
            &["user", "test", "shop", "--password-stdin"],
            b"wrong word\n",
        );
    }
    assert_eq!(
        site.run_with_input(
            &["user", "test", "shop", "--password-stdin"],
            b"long enough\n"
        )
        .code,
        0
    );
    assert_eq!(site.done(&["--json", "user", "show", "shop"]), before);
}
