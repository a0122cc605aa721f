//! Pages of lines by all filters: the right ones, and quickly, however many there are.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use outgate::clock::Clock;
use outgate::model::name::Name;
use outgate::store::log::{Filter, LogReader, LogWriter, Whose, reader_of};
use outgate::store::sqlite::log::SqliteLogWriter;

use crate::sample::{Chance, Fact, START, append, name, numbers, user_id};

fn at(number: i64) -> Option<Timestamp> {
    Some(Timestamp::from_microsecond(number).unwrap())
}

fn of(user: usize) -> Option<Whose> {
    Some(Whose {
        text: name(user),
        id: Some(user_id(user)),
    })
}

fn named(text: &str) -> Option<Whose> {
    Some(Whose {
        text: text.to_owned(),
        id: None,
    })
}

/// What a filter means, line by line.
fn fits(filter: &Filter, fact: &Fact) -> bool {
    let name = fact.user.map_or("stranger".to_owned(), name);
    let time = Timestamp::from_microsecond(fact.number).unwrap();
    let allowed = fact.verdict == "allow";
    filter.user.as_ref().is_none_or(|whose| {
        whose.text == name || (whose.id.is_some() && whose.id == fact.user.map(user_id))
    }) && filter
        .account
        .as_ref()
        .is_none_or(|account| fact.account().as_deref() == Some(account.as_str()))
        && !(filter.refused && allowed)
        && (fact.audit || !filter.audit)
        && filter
            .reasons
            .as_ref()
            .is_none_or(|r| r.contains(&fact.reason))
        && filter.since.is_none_or(|since| time >= since)
        && filter.until.is_none_or(|until| time < until)
        && filter.after.is_none_or(|after| fact.number > after)
}

fn chosen(chance: &mut Chance, facts: &[Fact]) -> Filter {
    let mut filter = Filter::default();
    let mut maybe = |ways: u64| chance.below(ways);
    let users = [
        of(3),
        of(1_999_999),
        named(&name(5)),
        named("stranger"),
        named("nobody"),
    ];
    filter.user = users.get(maybe(10) as usize).cloned().flatten();
    let accounts = ["account3", "account5", "account77"];
    let account = accounts.get(maybe(8) as usize);
    filter.account = account.map(|account| Name::parse(account).unwrap());
    filter.refused = maybe(4) == 0;
    filter.audit = maybe(6) == 0;
    let reasons = ["plan", "allowed", "ip-not-authorized", "locked-down"];
    let (first, other) = (maybe(10) as usize, maybe(4) as usize);
    filter.reasons = reasons
        .get(first)
        .map(|reason| vec![*reason, reasons[other]]);
    let mut time = || facts[maybe(facts.len() as u64) as usize].number;
    let (one, other) = (time(), time());
    if maybe(3) == 0 {
        filter.since = at(one);
    }
    if maybe(3) == 0 {
        filter.until = at(other);
    }
    if maybe(5) == 0 {
        filter.after = Some(other);
    }
    filter
}

#[test]
fn every_filter_finds_what_it_means() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut chance = Chance::new();
    let mut facts: Vec<Fact> = Vec::new();
    for _ in 0..70_000 {
        let last = facts.last().map_or(START, |fact| fact.number);
        facts.push(chance.fact(last, 500));
    }
    append(&mut SqliteLogWriter::new(&file), facts.iter().cloned());
    let mut reader = reader_of(&file);
    let mut found = 0;
    for _ in 0..150 {
        let filter = chosen(&mut chance, &facts);
        let limit = [1, 50, 1000][chance.below(3) as usize];
        let fit = facts.iter().filter(|fact| fits(&filter, fact));
        let fit: Vec<i64> = fit.map(|fact| fact.number).collect();
        let newest = &fit[fit.len().saturating_sub(limit)..];
        let page = reader.page(&filter, limit).unwrap();
        assert_eq!(numbers(&page), newest, "{filter:?}");
        assert_eq!(reader.numbers(&filter, limit).unwrap(), newest);
        found += newest.len();
    }
    assert!(found > 5_000, "{found}");
    for fact in facts.iter().step_by(997) {
        let line = reader.find(fact.id()).unwrap();
        let line = line.iter().next().unwrap();
        fact.with(|entry| assert_eq!(format!("{line:?}"), format!("{entry:?}")));
        let mut other = fact.id();
        other.token[15] ^= 1;
        assert!(reader.find(other).unwrap().is_empty());
    }
}

#[test]
fn a_user_that_was_renamed_or_whose_name_was_given_anew_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut writer = SqliteLogWriter::new(&file);
    let old = Fact::allowed(START, 1);
    append(&mut writer, std::iter::once(old.clone()));
    // The same user by another name, and another user by the old name.
    let mut batch = outgate::store::log::Batch::default();
    for (number, user, name) in [(1, 1, "other"), (2, 2, "user000001")] {
        Fact::allowed(START + number, user).with(|entry| {
            let mut entry = *entry;
            entry.user = Some(name);
            batch.push(&entry);
        });
    }
    writer.append(&batch).unwrap();
    let page = |whose: Option<Whose>| {
        let filter = Filter {
            user: whose,
            ..Filter::default()
        };
        let page = reader_of(&file).page(&filter, 50).unwrap();
        page.iter().map(|e| e.id.number - START).collect::<Vec<_>>()
    };
    let whose = |text: &str, user| Whose {
        text: text.to_owned(),
        id: Some(user_id(user)),
    };
    assert_eq!(page(Some(whose("other", 1))), [0, 1]);
    assert_eq!(page(Some(whose("user000001", 2))), [0, 2]);
    assert_eq!(page(Some(whose("", 1))), [0, 1]);
    assert_eq!(page(named("user000001")), [0, 2]);
    assert_eq!(page(named("ghost")), [0; 0]);
}

#[test]
fn lines_that_come_late_or_with_a_number_that_is_taken_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut writer = SqliteLogWriter::new(&file);
    let facts = [START + 5, START, START + 3].map(|number| Fact::allowed(number, 1));
    append(&mut writer, facts.into_iter());
    let mut twin = outgate::store::log::Batch::default();
    let mut other = Fact::allowed(START + 3, 2).id();
    other.token = [9; 16];
    Fact::allowed(START + 3, 2).with(|entry| {
        let mut entry = *entry;
        entry.id = other;
        twin.push(&entry);
    });
    writer.append(&twin).unwrap();
    // Nobody heard of the commit, and it comes again.
    writer.append(&twin).unwrap();
    let mut reader = reader_of(&file);
    let page = reader.page(&Filter::default(), 50).unwrap();
    assert_eq!(numbers(&page), [0, 3, 4, 5].map(|n| START + n));
    let found = reader.find(other).unwrap();
    assert_eq!(found.iter().next().unwrap().user_id, Some(user_id(2)));
    // One that was trimmed in the meantime is left out.
    let some = reader.lines(&[START, START + 1, START + 4]).unwrap();
    assert_eq!(numbers(&some), [START, START + 4]);
}

/// The index knows a login that nobody has by 24 bits: anybody can find another login with the same ones.
#[test]
fn a_flood_of_logins_does_not_hide_the_lines_of_another_login() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut batch = outgate::store::log::Batch::default();
    for place in 0..3000 {
        let mut fact = Fact::refused(START + place, 0, "unknown-user");
        fact.user = None;
        fact.with(|entry| {
            let mut entry = *entry;
            if place >= 5 {
                entry.login = "x11801299";
            }
            batch.push(&entry);
        });
    }
    SqliteLogWriter::new(&file).append(&batch).unwrap();
    let mut reader = reader_of(&file);
    let mut page = |text: &str, limit| {
        let filter = Filter {
            user: named(text),
            ..Filter::default()
        };
        let page = reader.page(&filter, limit).unwrap();
        page.iter().map(|e| e.id.number - START).collect::<Vec<_>>()
    };
    assert_eq!(page("stranger", 3), [2, 3, 4]);
    assert_eq!(page("stranger", 50), [0, 1, 2, 3, 4]);
    assert_eq!(page("x11801299", 2), [2998, 2999]);
    assert_eq!(page("x11801299", usize::MAX).len(), 2995);
    assert_eq!(page("stranger", 0), [0; 0]);
}

#[test]
fn without_a_log_nothing_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut reader = reader_of(&file);
    assert!(reader.page(&Filter::default(), 50).unwrap().is_empty());
    let version = reader.version().unwrap();
    assert!(!file.exists());
    append(
        &mut SqliteLogWriter::new(&file),
        std::iter::once(Fact::allowed(START, 1)),
    );
    assert_ne!(reader.version().unwrap(), version);
    assert_eq!(reader.page(&Filter::default(), 50).unwrap().len(), 1);
}

/// Filters whose lines are everywhere, rare, far away or nowhere. Times are in seconds, since the first line or
/// before the last one.
const HARD: &[&str] = &[
    "",
    "user=3",
    "user=9999999",
    "name=nobody",
    "name=stranger",
    "account=account3",
    "account=nobodys",
    "refused",
    "audit",
    "reason=ip-not-authorized",
    "reason=unknown-user",
    "reason=tls-required",
    "reason=locked-down",
    "user=3 refused",
    "user=3 reason=plan",
    "user=3 reason=tls-required",
    "user=3 until=10",
    "user=9999999 since=5",
    "reason=tls-required since=5",
    "account=account3 reason=ip-not-authorized since=60 until=50",
    "account=account3 user=3 audit until=50",
];

fn hard(words: &'static str, newest: i64) -> Filter {
    let mut filter = Filter::default();
    for word in words.split_whitespace() {
        let (what, value) = word.split_once('=').unwrap_or((word, ""));
        let micros = |value: &str| value.parse::<i64>().unwrap() * 1_000_000;
        match what {
            "user" => filter.user = of(value.parse().unwrap()),
            "name" => filter.user = named(value),
            "account" => filter.account = Some(Name::parse(value).unwrap()),
            "refused" => filter.refused = true,
            "audit" => (filter.audit, filter.refused) = (true, true),
            "reason" => filter.reasons = Some(vec![value]),
            "since" => filter.since = at(newest - micros(value)),
            "until" => filter.until = at(START + micros(value)),
            other => panic!("{other}"),
        }
    }
    filter
}

fn fill(file: &Path, lines: usize, users: u64) -> i64 {
    let mut writer = SqliteLogWriter::new(file);
    if let Some(newest) = writer.newest().unwrap() {
        return newest;
    }
    let mut chance = Chance::new();
    let first = Fact::refused(START, 1, "tls-required");
    let mut last = START;
    let rest = (1..lines).map(|_| {
        let fact = chance.fact(last, users);
        last = fact.number;
        fact
    });
    append(&mut writer, std::iter::once(first).chain(rest));
    last
}

/// The slowest of three pages.
fn slowest(reader: &mut dyn LogReader, filter: &Filter) -> Duration {
    let clock = Clock::system();
    let times = (0..3).map(|_| {
        let began = clock.instant();
        reader.page(filter, 50).unwrap();
        clock.instant() - began
    });
    times.max().unwrap()
}

#[test]
fn pages_of_many_lines_are_quick() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let newest = fill(&file, 200_000, 1000);
    let mut reader = reader_of(&file);
    for words in HARD {
        // Of a program that is not optimised, on a busy machine.
        let time = slowest(reader.as_mut(), &hard(words, newest));
        assert!(time < Duration::from_millis(100), "{words}: {time:?}");
    }
}

/// `LINES=10000000 USERS=100000 DIR=… cargo test --release --test log -- --ignored ten_million --nocapture`; a file that is
/// there already is only read.
#[test]
#[ignore = "takes minutes and gigabytes: figures for the manual"]
fn ten_million_lines() {
    let number = |name: &str| std::env::var(name).unwrap().parse::<usize>().unwrap();
    let file = Path::new(&std::env::var("DIR").unwrap()).join("log.db");
    let (lines, users) = (number("LINES"), number("USERS"));
    let clock = Clock::system();
    let began = clock.instant();
    let newest = fill(&file, lines, users as u64);
    println!("filled in {:?}", clock.instant() - began);
    println!(
        "{} bytes a line",
        std::fs::metadata(&file).unwrap().len() / lines as u64
    );
    let mut reader = reader_of(&file);
    for words in HARD {
        let time = slowest(reader.as_mut(), &hard(words, newest));
        println!("{words:60} {time:?}");
    }
}
