//! Many askers at once.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use outgate::model::dns::{Answer, Kind, Trouble};
use tokio::task::JoinSet;

use crate::nameserver::Zone;
use crate::{Site, query, texts, trouble};

#[tokio::test]
async fn one_question_for_all_who_ask_it() {
    let delay = Duration::from_millis(100);
    let site = Site::new(Zone::new().txt("one.test", "x").delay("one.test", delay));
    let answers = join_all((0..200).map(|_| site.ask(Kind::Txt, "one.test"))).await;
    assert!(answers.iter().all(|answer| *answer == texts(&["x"])));
    assert_eq!(site.server.asked("one.test", Kind::Txt), 1);
    let status = site.resolver.status();
    assert_eq!((status.entries, status.answered), (1, 1));
}

#[tokio::test]
async fn an_asker_that_goes_away_leaves_the_question_to_the_others() {
    let delay = Duration::from_millis(200);
    let site = Site::new(Zone::new().txt("one.test", "x").delay("one.test", delay));
    let resolver = site.resolver.clone();
    let deadline = site.deadline();
    // On a runtime of its own, that ends while the question is on its way.
    let short = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let query = query(Kind::Txt, "one.test");
            let asking = resolver.ask(&query, deadline);
            tokio::time::timeout(Duration::from_millis(20), asking).await
        })
    });
    while site.server.asked("one.test", Kind::Txt) == 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    assert!(short.join().unwrap().is_err(), "it did not wait");
    assert_eq!(site.server.asked("one.test", Kind::Txt), 1);
}

#[tokio::test]
async fn what_is_late_for_one_asker_is_there_for_the_next() {
    let delay = Duration::from_millis(300);
    let site = Site::new(Zone::new().txt("one.test", "x").delay("one.test", delay));
    let query = query(Kind::Txt, "one.test");
    let soon = site.clock.instant() + Duration::from_millis(50);
    let late = site.resolver.ask(&query, soon).await;
    assert_eq!(*late.answer, trouble(Trouble::TimedOut));
    assert_eq!(site.lasts(&late), 5);
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    assert_eq!(site.server.asked("one.test", Kind::Txt), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_names_at_once_are_all_answered() {
    let names: Vec<String> = (0..1000).map(|n| format!("name{n}.test")).collect();
    let zone = names
        .iter()
        .fold(Zone::new(), |zone, name| zone.txt(name, name));
    let site = Site::within(zone, Duration::from_secs(30));
    let answers = join_all(names.iter().map(|name| site.ask(Kind::Txt, name))).await;
    for (name, answer) in names.iter().zip(answers) {
        assert_eq!(answer, texts(&[name]));
    }
    let status = site.resolver.status();
    assert_eq!(
        (status.entries, status.answered, status.failed),
        (1000, 1000, 0)
    );
}

#[test]
fn a_daemon_that_stops_keeps_nobody_waiting() {
    let ended = tokio::runtime::Runtime::new().unwrap();
    let site = ended.block_on(async { Site::new(Zone::new()) });
    drop(ended);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let answer = runtime.block_on(site.ask(Kind::Txt, "one.test"));
    assert!(matches!(answer, Answer::Trouble(_)), "{answer:?}");
}

/// Many ask for names that nobody answers for.
fn ask_the_dead(site: &Site, count: usize) -> JoinSet<Arc<Answer>> {
    let deadline = site.deadline();
    let mut askers = JoinSet::new();
    for number in 0..count {
        let resolver = site.resolver.clone();
        let query = query(Kind::Txt, &format!("dead{number}.test"));
        askers.spawn(async move { resolver.ask(&query, deadline).await.answer });
    }
    askers
}

fn dead_names(count: usize) -> Zone {
    (0..count).fold(Zone::new().txt("one.test", "x"), |zone, number| {
        zone.drop(&format!("dead{number}.test"))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_dead_names_delay_nothing_that_is_known() {
    let site = Site::within(dead_names(1000), Duration::from_secs(2));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    let askers = ask_the_dead(&site, 1000);
    while site.server.total() < 200 {
        tokio::task::yield_now().await;
    }
    let known = site.ask(Kind::Txt, "one.test").now_or_never();
    assert_eq!(known, Some(texts(&["x"])), "without waiting for anything");
    let begun = site.clock.instant();
    let answers = askers.join_all().await;
    assert!((site.clock.instant() - begun) < Duration::from_secs(4));
    let dead = [trouble(Trouble::TimedOut), trouble(Trouble::Crowded)];
    assert!(answers.iter().all(|answer| dead.contains(answer)));
    // Those that waited for a place left without having been asked.
    site.quiet().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_finds_no_place_is_told_so() {
    let site = Site::within(dead_names(600), Duration::from_secs(60));
    let askers = ask_the_dead(&site, 600);
    while site.resolver.status().in_flight < 600 {
        tokio::task::yield_now().await;
    }
    let query = query(Kind::A, "one.test");
    let soon = site.clock.instant() + Duration::from_millis(50);
    let looked = site.resolver.ask(&query, soon).await;
    assert_eq!(*looked.answer, trouble(Trouble::Crowded));
    assert_eq!(site.server.asked("one.test", Kind::A), 0);
    drop(askers);
    // Nobody waits any more: those without a place give up at once.
    while site.resolver.status().in_flight > 256 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_dead_zone_leaves_places_for_all_others() {
    let others: Vec<_> = (0..50).map(|n| format!("other{n}.test")).collect();
    let zone = others
        .iter()
        .fold(Zone::new().drop("*.dead.test"), |zone, name| {
            zone.txt(name, "x")
        });
    let site = Site::within(zone, Duration::from_secs(60));
    let deadline = site.deadline();
    let mut askers = JoinSet::new();
    for number in 0..600 {
        let resolver = site.resolver.clone();
        let query = query(Kind::Txt, &format!("_outgate.n{number}.dead.test"));
        askers.spawn(async move { resolver.ask(&query, deadline).await.answer });
    }
    while site.resolver.status().in_flight < 600 || site.server.total() < 16 {
        tokio::task::yield_now().await;
    }
    let begun = site.clock.instant();
    for name in &others {
        assert_eq!(site.ask(Kind::Txt, name).await, texts(&["x"]));
    }
    assert!((site.clock.instant() - begun) < Duration::from_secs(10));
    // A few of the dead zone are on their way, and no more.
    assert_eq!(site.server.total(), 16 + others.len());
    drop(askers);
    while site.resolver.status().in_flight > 16 {
        tokio::task::yield_now().await;
    }
}
