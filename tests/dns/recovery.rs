//! Servers that fail, and come back.

use std::time::Duration;

use futures_util::future::join_all;
use outgate::clock::Clock;
use outgate::dns::ResolverError;
use outgate::model::dns::{Answer, Kind, Trouble};

use crate::nameserver::{Server, Zone};
use crate::{Site, dead, query, resolver, texts, trouble};

#[tokio::test]
async fn answers_are_remembered_and_end() {
    let site = Site::new(Zone::new().txt("one.test", "x"));
    for _ in 0..3 {
        assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    }
    assert_eq!(site.server.asked("one.test", Kind::Txt), 1);
    site.clock.advance(Duration::from_secs(299));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    assert_eq!(site.server.total(), 1);
    site.server.set(Zone::new().txt("one.test", "y"));
    site.clock.advance(Duration::from_secs(2));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["y"]));
    assert_eq!(site.server.asked("one.test", Kind::Txt), 2);
}

#[tokio::test]
async fn denials_are_remembered_too() {
    let site = Site::new(Zone::new());
    for _ in 0..3 {
        assert_eq!(site.ask(Kind::Txt, "one.test").await, Answer::NoName);
    }
    assert_eq!(site.server.total(), 1);
    site.server.set(Zone::new().txt("one.test", "x"));
    site.clock.advance(Duration::from_secs(31));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
}

#[tokio::test]
async fn a_failure_counts_for_seconds() {
    let site = Site::new(Zone::new().servfail("one.test"));
    for _ in 0..3 {
        let failed = trouble(Trouble::ServFail);
        assert_eq!(site.ask(Kind::Txt, "one.test").await, failed);
    }
    assert_eq!(site.server.asked("one.test", Kind::Txt), 1);
    assert_eq!(site.resolver.status().failed, 1);
    site.server.set(Zone::new().txt("one.test", "x"));
    site.clock.advance(Duration::from_secs(5));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
}

#[tokio::test]
async fn a_dead_server_costs_the_budget_and_no_more() {
    let (_socket, address) = dead();
    let budget = Duration::from_millis(300);
    let clock = Clock::system();
    let resolver = resolver(&[address], budget, &clock);
    let begun = clock.instant();
    let query = query(Kind::Txt, "one.test");
    let looked = resolver.ask(&query, clock.instant() + budget).await;
    assert_eq!(*looked.answer, trouble(Trouble::TimedOut));
    let took = clock.instant() - begun;
    assert!(took >= budget && took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_question_that_was_lost_is_asked_again() {
    // The library sends three datagrams within 0.7 s and then waits.
    let (socket, address) = dead();
    let clock = Clock::system();
    let resolver = resolver(&[address], Duration::from_secs(3), &clock);
    let query = query(Kind::Txt, "one.test");
    let deadline = clock.instant() + resolver.budget();
    let asking = tokio::spawn(async move { resolver.ask(&query, deadline).await });
    let socket = tokio::net::UdpSocket::from_std(socket).unwrap();
    for _ in 0..3 {
        socket.recv_from(&mut [0; 600]).await.unwrap();
    }
    drop(socket);
    let _server = Server::start_on(address, Zone::new().txt("one.test", "x")).unwrap();
    assert_eq!(*asking.await.unwrap().answer, texts(&["x"]));
}

#[tokio::test]
async fn a_late_answer_is_an_answer() {
    let zone = Zone::new().txt("one.test", "x");
    let zone = zone.delay("one.test", Duration::from_millis(2500));
    let site = Site::within(zone, Duration::from_secs(5));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
}

#[tokio::test]
async fn a_server_goes_down_and_comes_back() {
    let mut site = Site::within(Zone::new().txt("one.test", "x"), Duration::from_millis(400));
    site.server.stop();
    let dead = trouble(Trouble::TimedOut);
    assert_eq!(site.ask(Kind::Txt, "one.test").await, dead);
    site.quiet().await;
    site.server.start_again();
    site.clock.advance(Duration::from_secs(5));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
    // What is remembered outlives the server.
    site.server.stop();
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_comes_back_under_load() {
    let names: Vec<String> = (0..100).map(|n| format!("name{n}.test")).collect();
    let zone = names
        .iter()
        .fold(Zone::new(), |zone, name| zone.txt(name, name));
    let mut site = Site::within(zone, Duration::from_secs(3));
    site.server.stop();
    let all = join_all(names.iter().map(|name| site.ask(Kind::Txt, name))).await;
    let dead = trouble(Trouble::TimedOut);
    assert!(all.iter().all(|answer| *answer == dead));
    site.quiet().await;
    site.server.start_again();
    site.clock.advance(Duration::from_secs(5));
    let all = join_all(names.iter().map(|name| site.ask(Kind::Txt, name))).await;
    for (name, answer) in names.iter().zip(all) {
        assert_eq!(answer, texts(&[name]));
    }
}

#[tokio::test]
async fn a_tcp_connection_that_is_gone_is_made_anew() {
    let long = "x".repeat(3000);
    let zone = Zone::new().txt("one.test", &long).txt("two.test", &long);
    let mut site = Site::new(zone);
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&[&long]));
    site.server.start_again();
    assert_eq!(site.ask(Kind::Txt, "two.test").await, texts(&[&long]));
}

#[tokio::test]
async fn the_second_server_helps_out() {
    let good = Server::start(Zone::new().txt("one.test", "x").txt("two.test", "y"));
    let refusing = Server::start(Zone::new().refuse("one.test").servfail("two.test"));
    let (_socket, silent) = dead();
    for first in [silent, refusing.address()] {
        let clock = Clock::system();
        let resolver = resolver(&[first, good.address()], Duration::from_secs(2), &clock);
        let deadline = clock.instant() + resolver.budget();
        for (name, text) in [("one.test", "x"), ("two.test", "y")] {
            let looked = resolver.ask(&query(Kind::Txt, name), deadline).await;
            assert_eq!(*looked.answer, texts(&[text]), "{first}");
        }
    }
}

#[tokio::test]
async fn what_a_server_says_tells_more_than_the_silence_of_another() {
    let failing = Server::start(Zone::new().servfail("one.test"));
    let refusing = Server::start(Zone::new().refuse("one.test"));
    let clock = Clock::system();
    let servers = [failing.address(), refusing.address()];
    let resolver = resolver(&servers, Duration::from_secs(2), &clock);
    let deadline = clock.instant() + resolver.budget();
    let looked = resolver.ask(&query(Kind::Txt, "one.test"), deadline).await;
    assert_eq!(*looked.answer, trouble(Trouble::ServFail));
    assert_eq!(refusing.asked("one.test", Kind::Txt), 1, "asked as well");
}

#[test]
fn a_host_without_name_servers_is_told_what_to_do() {
    let error = ResolverError::System("no such file".to_owned()).to_string();
    assert!(error.contains("/etc/resolv.conf"), "{error}");
    assert!(error.contains("dns.servers"), "{error}");
}
