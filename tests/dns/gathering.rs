//! Answers for a judgement that says what it wants to know.

use std::cell::Cell;
use std::time::Duration;

use futures_util::poll;
use outgate::model::dns::{Answer, Kind, Known, Query, Records, Trouble, Unknown};

use crate::nameserver::Zone;
use crate::{Site, query, texts, trouble};

/// Follows texts that name the next name; what comes at the end, and how many names there were.
fn walk(known: &Known) -> Result<(usize, Answer), Unknown> {
    let mut name = "start.test".to_owned();
    let mut steps = 0;
    loop {
        steps += 1;
        let answer = known.get(&query(Kind::Txt, &name))?;
        let Answer::Records(Records::Txt(texts)) = answer else {
            return Ok((steps, answer.clone()));
        };
        name = String::from_utf8(texts[0].to_vec()).unwrap();
    }
}

#[tokio::test]
async fn a_judgement_hears_what_it_asks_for() {
    let site = Site::new(
        Zone::new()
            .txt("start.test", "middle.test")
            .txt("middle.test", "end.test"),
    );
    let gathered = site.resolver.gather(site.deadline(), walk).await;
    assert_eq!(gathered.value, (3, Answer::NoName));
    // The denial ends first.
    let left = gathered.until - site.clock.instant();
    assert!(left <= Duration::from_secs(30) && left > Duration::from_secs(25));
}

#[tokio::test]
async fn a_judgement_hears_of_trouble() {
    let zone = Zone::new()
        .txt("start.test", "broken.test")
        .servfail("broken.test");
    let site = Site::new(zone);
    let gathered = site.resolver.gather(site.deadline(), walk).await;
    assert_eq!(gathered.value, (2, trouble(Trouble::ServFail)));
    assert!(gathered.until <= site.clock.instant() + Duration::from_secs(5));
}

#[tokio::test]
async fn what_asks_nothing_hears_nothing() {
    let site = Site::new(Zone::new());
    let gathered = site.resolver.gather(site.deadline(), |_| Ok(7)).await;
    assert_eq!(gathered.value, 7);
    assert_eq!(site.server.total(), 0);
}

/// Wants all these at once.
fn all(queries: &[Query]) -> impl FnMut(&Known) -> Result<Vec<Answer>, Unknown> + '_ {
    |known| {
        let unknown = queries.iter().filter(|query| known.get(query).is_err());
        let unknown: Vec<Query> = unknown.cloned().collect();
        if !unknown.is_empty() {
            return Err(Unknown(unknown));
        }
        let answers = queries.iter().map(|query| known.get(query).cloned());
        answers.collect()
    }
}

#[tokio::test]
async fn questions_are_asked_side_by_side() {
    let mut zone = Zone::new();
    let mut queries = Vec::new();
    for number in 0..20 {
        let name = format!("slow{number}.test");
        zone = zone
            .txt(&name, "x")
            .delay(&name, Duration::from_millis(200));
        queries.push(query(Kind::Txt, &name));
    }
    let site = Site::new(zone);
    let begun = site.clock.instant();
    let gathered = site.resolver.gather(site.deadline(), all(&queries)).await;
    assert!(
        (site.clock.instant() - begun) < Duration::from_secs(3),
        "20 times 200 ms"
    );
    assert!(gathered.value.iter().all(|answer| *answer == texts(&["x"])));
}

#[tokio::test]
async fn the_deadline_holds_for_all_together() {
    // Each step is in time, all together are not.
    let mut zone = Zone::new();
    let mut name = "start.test".to_owned();
    for number in 0..50 {
        let next = format!("step{number}.test");
        zone = zone
            .txt(&name, &next)
            .delay(&name, Duration::from_millis(100));
        name = next;
    }
    let site = Site::within(zone, Duration::from_millis(500));
    let begun = site.clock.instant();
    let gathered = site.resolver.gather(site.deadline(), walk).await;
    assert!((site.clock.instant() - begun) < Duration::from_secs(2));
    let (steps, end) = gathered.value;
    assert_eq!(end, trouble(Trouble::TimedOut));
    assert!((2..=6).contains(&steps), "{steps}");
}

#[tokio::test]
async fn a_judgement_that_never_has_enough_is_stopped() {
    let site = Site::new(Zone::new());
    let queries: Vec<Query> = (0..1000)
        .map(|number| query(Kind::A, &format!("n{number}.test")))
        .collect();
    let gathered = site.resolver.gather(site.deadline(), all(&queries)).await;
    let crowded = trouble(Trouble::Crowded);
    let refused = gathered.value.iter().filter(|answer| **answer == crowded);
    assert_eq!(refused.count(), 700);
    assert!(site.server.total() <= 300);
}

/// A chain of names, each the text of the one before.
fn chain(length: usize) -> Zone {
    let mut zone = Zone::new();
    let mut name = "start.test".to_owned();
    for number in 0..length {
        let next = format!("step{number}.test");
        zone = zone.txt(&name, &next);
        name = next;
    }
    zone
}

#[tokio::test]
async fn others_have_their_turn_also_when_everything_is_remembered() {
    let site = Site::new(chain(10));
    site.resolver.gather(site.deadline(), walk).await;
    let calls = Cell::new(0);
    let mut turns = 0;
    let gather = site.resolver.gather(site.deadline(), |known| {
        calls.set(calls.get() + 1);
        walk(known)
    });
    let mut gather = std::pin::pin!(gather);
    while poll!(&mut gather).is_pending() {
        turns += 1;
        tokio::task::yield_now().await;
    }
    assert_eq!((calls.get(), turns), (12, 11));
}

#[tokio::test]
async fn a_judgement_that_takes_its_time_ends_at_the_deadline() {
    let site = Site::within(chain(50), Duration::from_secs(1));
    let clock = &site.clock;
    let mut calls = 0;
    let gathered = site
        .resolver
        .gather(site.deadline(), |known| {
            calls += 1;
            clock.advance(Duration::from_millis(300));
            walk(known)
        })
        .await;
    assert_eq!(gathered.value.1, trouble(Trouble::TimedOut));
    assert!((4..=5).contains(&calls), "{calls}");
    assert!(gathered.until <= site.clock.instant() + Duration::from_secs(5));
}
