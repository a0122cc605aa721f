//! `quota`, and uses wherever quotas are shown. What a daemon would charge is charged here through the
//! library, on the same file and at the same time.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use outgate::model::name::UserId;
use outgate::model::quota::{Counter, MessageKey, Subject, Unit, Window};
use outgate::store::sqlite::SqliteStore;
use outgate::store::{Charge, Charged, Due, Store};
use serde_json::{Value, json};

use crate::site::{Ran, Site, keys};

/// The next window at the earliest: no test may meet its beginning.
const WINDOW: Window = Window::Month;

/// The daemon's side of a site.
struct Daemon {
    store: SqliteStore,
    runtime: tokio::runtime::Runtime,
    messages: u8,
}

impl Daemon {
    fn of(site: &Site) -> Daemon {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        Daemon {
            store: SqliteStore::open(&site.path("outgate.db")).unwrap(),
            runtime: runtime.enable_time().build().unwrap(),
            messages: 0,
        }
    }

    /// One message with so many recipients, in the window that began then.
    fn send_in(&mut self, subjects: &[&Subject], window: Window, starts: Timestamp, amount: u64) {
        let charged = self.try_send(subjects, window, starts, amount, 0);
        assert_eq!(charged, Charged::Done);
    }

    /// The same, if each counter holds no more than this after it.
    fn try_send(
        &mut self,
        subjects: &[&Subject],
        window: Window,
        starts: Timestamp,
        amount: u64,
        limit: u64,
    ) -> Charged {
        self.messages += 1;
        let units = [(Unit::Messages, 1), (Unit::Recipients, amount)];
        let dues = subjects.iter().flat_map(|subject| {
            units.map(|(unit, amount)| Due {
                counter: Counter {
                    subject: (*subject).clone(),
                    window,
                    unit,
                },
                starts,
                amount,
                limit,
            })
        });
        let charge = Charge {
            key: MessageKey([self.messages; 16]),
            at: now(),
            dues: dues.collect(),
        };
        self.runtime.block_on(self.store.charge(charge)).unwrap()
    }

    fn send(&mut self, subjects: &[&Subject], recipients: u64) {
        let starts = WINDOW.starts_at(now(), &TimeZone::UTC);
        self.send_in(subjects, WINDOW, starts, recipients);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the program runs on the host's clock"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

fn user(site: &Site, name: &str) -> Subject {
    let user = site.json(&["user", "show", name]);
    Subject::User(UserId(user["id"].as_str().unwrap().parse().unwrap()))
}

fn account(name: &str) -> Subject {
    Subject::Account(name.parse().unwrap())
}

/// `subject used remaining` of each entry.
fn standing(quotas: &Value) -> Vec<String> {
    let quotas = quotas.as_array().unwrap();
    let one = |quota: &Value| {
        let subject = quota["subject"].as_str().unwrap_or("-");
        format!("{subject} {} {}", quota["used"], quota["remaining"])
    };
    quotas.iter().map(one).collect()
}

/// Runs `quota reset` as somebody.
fn reset_by(site: &Site, name: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = site.command(&["--json", "quota", "reset", name]);
    for variable in ["SUDO_USER", "DOAS_USER", "LOGNAME", "USER"] {
        command.env_remove(variable);
    }
    command.envs(variables.iter().copied());
    Ran::of(command.output().unwrap())
}

#[test]
fn quotas_are_shown_as_promised() {
    let site = Site::new();
    site.done(&[
        "user",
        "add",
        "shop",
        "--quota",
        "10/month",
        "--quota",
        "0/total recipients",
    ]);
    let mut daemon = Daemon::of(&site);
    let shop = user(&site, "shop");
    daemon.send(&[&shop], 3);
    daemon.send_in(&[&shop], Window::Total, Timestamp::UNIX_EPOCH, 3);
    let out = site.done(&["--json", "quota", "show", "SHOP"]);
    let fields = [
        "subject",
        "limit",
        "window",
        "unit",
        "used",
        "remaining",
        "resets_at",
        "reset_at",
        "reset_by",
    ];
    assert_eq!(
        keys(out.trim_matches(['[', ']', '\n'])),
        [fields, fields].concat()
    );
    let resets_at = WINDOW.resets_at(now(), &TimeZone::UTC).unwrap();
    let quotas: Value = serde_json::from_str(&out).unwrap();
    let expected = json!([
        {"subject": "user:shop", "limit": 10, "window": "month", "unit": "messages", "used": 1,
         "remaining": 9, "resets_at": resets_at.to_string(), "reset_at": null, "reset_by": null},
        {"subject": "user:shop", "limit": 0, "window": "total", "unit": "recipients", "used": 3,
         "remaining": null, "resets_at": null, "reset_at": null, "reset_by": null},
    ]);
    assert_eq!(quotas, expected);
    let eyes = site.done(&["quota", "show", "shop"]);
    for text in [
        "user:shop",
        "10/month messages",
        " 9 ",
        "no limit",
        "by hand",
        "never",
    ] {
        assert!(eyes.contains(text), "{text}: {eyes}");
    }
}

#[test]
fn quotas_of_all_are_accounts_first() {
    let site = Site::new();
    let none = site.run(&["quota", "show"]);
    assert_eq!((none.code, none.out.as_str()), (0, ""), "{none:?}");
    assert!(none.err.contains("there is no quota"), "{}", none.err);
    assert_eq!(site.json(&["quota", "show"]), json!([]));

    site.done(&[
        "account",
        "add",
        "zoo",
        "--quota",
        "20/month",
        "--quota",
        "30/month recipients",
    ]);
    site.done(&["account", "set", "default", "--quota", "40/month"]);
    for (name, options) in [
        ("shop", &["--quota", "5/month"][..]),
        ("bare", &[]),
        (
            "ape",
            &["--account", "zoo", "--quota", "7/month recipients"],
        ),
    ] {
        site.done(&[&["user", "add", name], options].concat());
    }
    let mut daemon = Daemon::of(&site);
    let (shop, ape, zoo) = (user(&site, "shop"), user(&site, "ape"), account("zoo"));
    daemon.send(&[&shop, &account("default")], 1);
    daemon.send(&[&ape, &zoo], 4);
    daemon.send(&[&ape, &zoo], 2);
    assert_eq!(
        standing(&site.json(&["quota", "show"])),
        [
            "account:default 1 39",
            "account:zoo 2 18",
            "account:zoo 6 24",
            "user:ape 6 1",
            "user:shop 1 4",
        ]
    );
    let of_zoo = standing(&site.json(&["quota", "show", "Account:ZOO"]));
    assert_eq!(of_zoo, ["account:zoo 2 18", "account:zoo 6 24"]);
    assert_eq!(
        standing(&site.json(&["quota", "show", "user:shop"])),
        ["user:shop 1 4"]
    );
    assert_eq!(site.json(&["quota", "show", "bare"]), json!([]));
    let bare = site.run(&["quota", "show", "bare"]);
    assert!(bare.err.contains("user:bare has no quota"), "{}", bare.err);

    // The same uses wherever quotas are shown.
    let accounts = site.json(&["account", "list"]);
    assert_eq!(standing(&accounts[0]["quotas"]), ["- 1 39"]);
    assert_eq!(standing(&accounts[1]["quotas"]), ["- 2 18", "- 6 24"]);
    assert_eq!(site.json(&["account", "show", "zoo"]), accounts[1]);
    let users = site.json(&["user", "list"]);
    let quotas: Vec<_> = (0..3).map(|i| standing(&users[i]["quotas"])).collect();
    assert_eq!(quotas, [vec!["- 6 1"], vec![], vec!["- 1 4"]]);
    assert_eq!(site.json(&["user", "show", "shop"]), users[2]);
    let eyes = site.done(&["user", "show", "shop"]);
    assert!(eyes.contains("5/month messages (1 used, 4 left)"), "{eyes}");
}

#[test]
fn a_reset_is_kept_with_who_did_it() {
    let site = Site::new();
    site.done(&[
        "user", "add", "shop", "--quota", "5/month", "--quota", "9/total", "--login", "Web",
    ]);
    site.done(&["account", "set", "default", "--quota", "6/month"]);
    let mut daemon = Daemon::of(&site);
    let shop = user(&site, "shop");
    let send = |daemon: &mut Daemon| {
        daemon.send(&[&shop, &account("default")], 1);
        daemon.send_in(&[&shop], Window::Total, Timestamp::UNIX_EPOCH, 1);
    };
    send(&mut daemon);
    send(&mut daemon);
    let show = |name: &str| site.json(&["quota", "show", name]);
    assert_eq!(standing(&show("shop")), ["user:shop 2 3", "user:shop 2 7"]);

    let before = now().as_second();
    let ran = reset_by(&site, "shop", &[("SUDO_USER", "jane"), ("USER", "root")]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{ran:?}");
    let shown: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(shown, show("shop"));
    assert_eq!(standing(&shown), ["user:shop 0 5", "user:shop 0 9"]);
    assert_eq!(shown[0]["reset_by"], "jane");
    let reset_at: Timestamp = shown[0]["reset_at"].as_str().unwrap().parse().unwrap();
    assert!((before..=now().as_second()).contains(&reset_at.as_second()));
    // Somebody else's use stays, and counting goes on.
    assert_eq!(standing(&show("account:default")), ["account:default 2 4"]);
    send(&mut daemon);
    assert_eq!(standing(&show("shop")), ["user:shop 1 4", "user:shop 1 8"]);
    assert_eq!(standing(&show("account:default")), ["account:default 3 3"]);
    assert_eq!(show("shop")[1]["reset_by"], "jane");
    assert!(site.done(&["quota", "show"]).contains(" by jane"));

    // A login is as good as a name.
    let ran = reset_by(&site, "web", &[("SUDO_USER", "a b"), ("LOGNAME", "joe")]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(standing(&show("shop")), ["user:shop 0 5", "user:shop 0 9"]);
    assert_eq!(show("shop")[0]["reset_by"], "joe");
    let ran = reset_by(&site, "account:default", &[]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(standing(&show("account:default")), ["account:default 0 6"]);
    let by = show("account:default")[0]["reset_by"].clone();
    assert_ne!(by.as_str().unwrap(), "", "whoever runs the tests");
}

#[test]
fn a_daemon_charges_on_after_a_reset() {
    let site = Site::new();
    site.done(&["user", "add", "shop", "--quota", "2/total"]);
    let mut daemon = Daemon::of(&site);
    let shop = user(&site, "shop");
    let mut send = || daemon.try_send(&[&shop], Window::Total, Timestamp::UNIX_EPOCH, 1, 2);
    let over = Charged::Over { due: 0, used: 2 };
    assert_eq!(
        [send(), send(), send()],
        [Charged::Done, Charged::Done, over]
    );
    site.done(&["quota", "reset", "shop"]);
    assert_eq!(
        [send(), send(), send()],
        [Charged::Done, Charged::Done, over]
    );
    assert_eq!(
        standing(&site.json(&["quota", "show", "shop"])),
        ["user:shop 2 0"]
    );
}

/// The command that `explain` names resets everybody whose quota is in the way.
#[test]
fn what_explain_resets_changes_the_answer() {
    let site = Site::new();
    site.done(&["user", "add", "shop", "--quota", "4/month recipients"]);
    site.done(&["account", "set", "default", "--quota", "3/month"]);
    let mut daemon = Daemon::of(&site);
    let (shop, pool) = (user(&site, "shop"), account("default"));
    let explain = |recipients: &str| {
        let ran = site.run(&[
            "--json",
            "explain",
            "--user",
            "shop",
            "--recipients",
            recipients,
        ]);
        let answer: Value = serde_json::from_str(&ran.out).unwrap();
        answer["fix"].as_str().unwrap().to_owned()
    };
    daemon.send(&[&shop, &pool], 3);
    assert_eq!(explain("1"), "");
    assert_eq!(explain("2"), "outgate quota reset shop");
    daemon.send(&[&pool], 1);
    daemon.send(&[&pool], 1);
    assert_eq!(explain("1"), "outgate quota reset account:default");
    let both = "outgate quota reset shop && outgate quota reset account:default";
    assert_eq!(explain("2"), both);
    // Also where another one is told, as it lasts longer.
    site.done(&["account", "set", "default", "--quota", "2/total"]);
    for _ in 0..2 {
        daemon.send_in(&[&pool], Window::Total, Timestamp::UNIX_EPOCH, 1);
    }
    assert_eq!(explain("2"), both);
    for command in both.split(" && ") {
        let words: Vec<_> = command.split(' ').skip(1).collect();
        site.done(&words);
    }
    assert_eq!(explain("2"), "");
}

#[test]
fn a_reset_of_nothing_says_so() {
    let site = Site::new();
    site.done(&["user", "add", "bare"]);
    site.done(&["user", "add", "idle", "--quota", "5/month"]);
    let ran = site.run(&["quota", "reset", "bare"]);
    assert_eq!((ran.code, ran.out.as_str()), (0, ""), "{ran:?}");
    assert!(
        ran.err.contains("nothing is counted for user:bare"),
        "{}",
        ran.err
    );
    assert_eq!(site.json(&["quota", "reset", "bare"]), json!([]));
    let ran = site.run(&["quota", "reset", "idle"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.err.contains("nothing was used"), "{}", ran.err);
    assert!(!site.json(&["quota", "show", "idle"])[0]["reset_by"].is_null());
}

#[test]
fn unknown_names_are_refused() {
    let site = Site::new();
    site.done(&["account", "add", "acme"]);
    for (name, words) in [
        ("shop", "there is no user shop"),
        ("user:shop", "there is no user shop"),
        ("account:shop", "there is no account shop"),
        ("acme", "write account:acme"),
        ("account:", "name"),
        ("", "name"),
        ("a b", "name"),
        ("\x1b[2J", "name"),
    ] {
        for command in ["show", "reset"] {
            let ran = site.refused(&["quota", command, name]);
            assert!(ran.err.contains(words), "{name:?}: {}", ran.err);
            assert!(
                ran.err.contains("\nhint: ") || words == "name",
                "{name:?}: {}",
                ran.err
            );
            assert!(!ran.err.contains('\x1b'), "{:?}", ran.err);
        }
    }
}

#[test]
fn use_outlives_limits_and_names_and_goes_with_its_owner() {
    let site = Site::new();
    site.done(&["user", "add", "shop", "--quota", "5/month"]);
    let mut daemon = Daemon::of(&site);
    let shop = user(&site, "shop");
    (0..3).for_each(|_| daemon.send(&[&shop], 1));
    let set = |option: &str| {
        let ran = site.run(&["--json", "user", "set", "shop", "--quota", option]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let shown: Value = serde_json::from_str(&ran.out).unwrap();
        (standing(&shown["quotas"]), ran.err)
    };
    let (standing_now, said) = set("10/month");
    assert_eq!(
        (standing_now, said.contains("used up")),
        (vec!["- 3 7".to_owned()], false)
    );
    let (standing_now, said) = set("2/month");
    assert_eq!(standing_now, ["- 3 0"]);
    assert!(said.contains("quota 2/month is used up until 20"), "{said}");
    assert!(said.contains("(3 used)"), "{said}");
    let shown = site.run(&["user", "show", "shop"]);
    assert!(shown.err.contains("2/month is used up"), "{}", shown.err);
    // Another window and unit, and back again.
    assert_eq!(set("5/week").0, ["- 0 5"]);
    site.done(&["user", "set", "shop", "--quota="]);
    assert_eq!(set("5/month").0, ["- 3 2"]);

    let renamed = site.json(&["user", "set", "shop", "--rename", "store"]);
    assert_eq!(standing(&renamed["quotas"]), ["- 3 2"]);
    assert_eq!(
        standing(&site.json(&["quota", "show", "shop"])),
        ["user:store 3 2"]
    );
    site.done(&["user", "remove", "store"]);
    site.done(&["user", "add", "store", "--quota", "5/month"]);
    assert_eq!(
        standing(&site.json(&["quota", "show", "store"])),
        ["user:store 0 5"]
    );

    site.done(&["account", "add", "acme", "--quota", "4/month"]);
    (0..2).for_each(|_| daemon.send(&[&account("acme")], 1));
    let ran = site.run(&["account", "set", "acme", "--quota", "1/month"]);
    assert!(ran.err.contains("quota 1/month is used up"), "{ran:?}");
    assert!(
        ran.out.contains("1/month messages (2 used, 0 left)"),
        "{ran:?}"
    );
    site.done(&["account", "remove", "acme"]);
    site.done(&["account", "add", "acme", "--quota", "4/month"]);
    assert_eq!(
        standing(&site.json(&["quota", "show", "account:acme"])),
        ["account:acme 0 4"]
    );
}

#[test]
fn windows_follow_the_clock_of_the_site() {
    let site = Site::with("[quota]\ntime-zone = \"Pacific/Kiritimati\"\n");
    let zone = TimeZone::get("Pacific/Kiritimati").unwrap();
    site.done(&["user", "add", "shop", "--quota", "5/month"]);
    let mut daemon = Daemon::of(&site);
    let shop = user(&site, "shop");
    let starts = WINDOW.starts_at(now(), &zone);
    let ends = WINDOW.resets_at(now(), &zone).unwrap();
    let show = || site.json(&["quota", "show", "shop"])[0].clone();
    // What was used in a window that is over does not count.
    let before = WINDOW.starts_at(starts - jiff::SignedDuration::from_secs(1), &zone);
    daemon.send_in(&[&shop], WINDOW, before, 1);
    assert_eq!(
        (&show()["used"], &show()["resets_at"]),
        (&json!(0), &json!(ends.to_string()))
    );
    daemon.send_in(&[&shop], WINDOW, starts, 1);
    assert_eq!(
        (&show()["used"], &show()["resets_at"]),
        (&json!(1), &json!(ends.to_string()))
    );
    // The clock was ahead when the next one began: that one goes on until its own end.
    daemon.send_in(&[&shop], WINDOW, ends, 1);
    daemon.send_in(&[&shop], WINDOW, starts, 1);
    let later = WINDOW.resets_at(ends, &zone).unwrap();
    assert_eq!(
        (&show()["used"], &show()["resets_at"]),
        (&json!(2), &json!(later.to_string()))
    );
    site.done(&["quota", "reset", "shop"]);
    assert_eq!(show()["used"], 0);
}

#[test]
fn listings_of_many_show_each_its_own() {
    let site = Site::new();
    let file = site.path("users.jsonl");
    let lines: Vec<String> = (0..300)
        .map(|i| {
            json!({"type": "user", "name": format!("u{i:03}"),
                "quotas": [{"limit": 5, "window": "month", "unit": "messages"}]})
            .to_string()
        })
        .collect();
    crate::site::write(&file, &lines.iter().map(String::as_str).collect::<Vec<_>>());
    site.done(&["import", "outgate", file.to_str().unwrap()]);
    let mut daemon = Daemon::of(&site);
    for name in ["u000", "u077", "u299", "u299"] {
        daemon.send(&[&user(&site, name)], 1);
    }
    let used = |list: Value, field: &str| -> Vec<u64> {
        let list = list.as_array().unwrap();
        assert_eq!(list.len(), 300);
        let entries = list.iter().map(|entry| entry.pointer(field).unwrap());
        entries.map(|used| used.as_u64().unwrap()).collect()
    };
    for used in [
        used(site.json(&["quota", "show"]), "/used"),
        used(site.json(&["user", "list"]), "/quotas/0/used"),
    ] {
        assert_eq!((used[0], used[1], used[77], used[299]), (1, 0, 1, 2));
        assert_eq!(used.iter().sum::<u64>(), 4);
    }
}
