//! `kill -9` under load, again and again: what was answered has been charged, and nothing twice.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use outgate::model::quota::Unit::Messages;

use crate::counters::used;
use crate::site::{LONG, Site, until};
use crate::submission::{Milter, Policy};

const ROUNDS: usize = 20;
const ASKING: usize = 8;

/// What one policy connection was told until it broke.
#[derive(Default)]
struct Told {
    accepted: u64,
    /// The instance of the message that was accepted last.
    last: Option<String>,
    /// The instance of the message whose answer did not come.
    unanswered: Option<String>,
    refused: Option<String>,
}

/// Message after message until the connection breaks or one is refused.
fn ask(site: &Site, name: &str, answers: &AtomicUsize) -> Told {
    let mut told = Told::default();
    let mut policy = Policy::connect(site).unwrap();
    for number in 0.. {
        let instance = format!("{name}.{number}");
        match policy.data("shop", &instance) {
            Ok(answer) if answer == "DUNNO" => {
                told.accepted += 1;
                told.last = Some(instance);
                answers.fetch_add(1, Ordering::Relaxed);
            }
            Ok(answer) => {
                told.refused = Some(answer);
                return told;
            }
            Err(_) => {
                told.unanswered = Some(instance);
                return told;
            }
        }
    }
    told
}

/// How many messages the milter accepted, until the connection broke.
fn hand_in(site: &Site) -> u64 {
    let mut accepted = 0;
    let Ok(mut milter) = Milter::connect(site) else {
        return accepted;
    };
    while milter.begin("crm").is_ok() {
        match milter.end() {
            Ok(None) => accepted += 1,
            Ok(Some(reply)) => panic!("{reply}"),
            Err(_) => break,
        }
    }
    accepted
}

/// A daemon that is killed after so many answers: what the policy connections and the milter
/// session were told.
fn round(site: &Site, number: usize, answers_before: usize) -> (Vec<Told>, u64) {
    let daemon = site.ready();
    let answers = AtomicUsize::new(0);
    thread::scope(|scope| {
        let asking: Vec<_> = (0..ASKING)
            .map(|who| {
                let answers = &answers;
                scope.spawn(move || ask(site, &format!("{number}.{who}"), answers))
            })
            .collect();
        let handing_in = scope.spawn(|| hand_in(site));
        let enough = |count: &usize| *count >= answers_before;
        until(LONG, || answers.load(Ordering::Relaxed), enough);
        // Dropped, it is killed.
        drop(daemon);
        let told = asking.into_iter().map(|t| t.join().unwrap()).collect();
        (told, handing_in.join().unwrap())
    })
}

/// The message is accepted, before or now.
fn again(site: &Site, instance: &str) {
    let answer = Policy::connect(site).unwrap().data("shop", instance);
    assert_eq!(answer.unwrap(), "DUNNO", "{instance}");
}

#[test]
fn what_was_answered_is_charged_once_whenever_it_is_killed() {
    let site = Site::new();
    site.done(&["account", "set", "default", "--quota", "1000000/total"]);
    site.done(&["domain", "add", "example.com", "--trusted"]);
    for user in ["shop", "crm"] {
        let quota = ["--allow", "example.com", "--quota", "1000000/total"];
        site.done(&[&["user", "add", user], &quota[..]].concat());
    }
    let count = |subject: &str| used(&site.database(), subject, Messages);
    // Together over all rounds; a milter message is not repeated, so its fate may stay unknown.
    let (mut accepted, mut by_milter, mut unknown) = (0, 0, 0);
    for number in 0..ROUNDS {
        let (told, milter) = round(&site, number, 1 + number * 41 % 230);
        accepted += told.iter().map(|told| told.accepted).sum::<u64>();
        by_milter += milter;
        unknown += 1;
        assert!(told.iter().all(|told| told.refused.is_none()));
        let unanswered: Vec<_> = told.iter().filter_map(|t| t.unanswered.clone()).collect();
        let lost = u64::try_from(unanswered.len()).unwrap();
        let now = count("shop");
        assert!(
            (accepted..=accepted + lost).contains(&now),
            "round {number}: {accepted} accepted, {lost} without an answer, {now} charged"
        );
        let now = count("crm");
        assert!(
            (by_milter..=by_milter + unknown).contains(&now),
            "round {number}: {by_milter} accepted, {unknown} without an answer, {now} charged"
        );
        // Postfix asks again for what it did not hear, and asks the next list about what it heard.
        let daemon = site.ready();
        for instance in unanswered.iter().chain(&unanswered) {
            again(&site, instance);
        }
        for told in &told {
            told.last.iter().for_each(|instance| again(&site, instance));
        }
        accepted += lost;
        assert_eq!(count("shop"), accepted, "round {number}");
        drop(daemon);
        assert_eq!(count("shop"), accepted, "round {number}");
        assert_eq!(count("account:default"), accepted + count("crm"));
    }
    the_rest_fits_exactly(&site, accepted);
}

/// After all that, a limit is still exact.
fn the_rest_fits_exactly(site: &Site, accepted: u64) {
    let limit = format!("{}/total", accepted + 40);
    site.done(&["user", "set", "shop", "--quota", &limit]);
    let daemon = site.ready();
    let answers = AtomicUsize::new(0);
    let told: Vec<Told> = thread::scope(|scope| {
        let asking: Vec<_> = (0..ASKING)
            .map(|who| {
                let answers = &answers;
                scope.spawn(move || ask(site, &format!("last.{who}"), answers))
            })
            .collect();
        asking.into_iter().map(|t| t.join().unwrap()).collect()
    });
    for told in &told {
        let refused = told.refused.as_deref().unwrap_or_default();
        assert!(refused.starts_with("450 4.7.1 [QUOTA] "), "{refused}");
    }
    assert_eq!(told.iter().map(|told| told.accepted).sum::<u64>(), 40);
    let now = used(&site.database(), "shop", Messages);
    assert_eq!(now, accepted + 40);
    daemon.stop();
}
