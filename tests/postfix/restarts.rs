//! Restarts under load, with sockets that are held open meanwhile: no SMTP session hears anything but
//! its right answer, and nothing is lost or charged twice.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use outgate::model::quota::Unit::Messages;

use crate::host::{Host, Setup, wait_for};
use crate::smtp::Smtp;
use crate::{FRIEND, expect};

const USERS: &[&str] = &[
    "domain add example.com --trusted",
    "user add shop --allow example.com --quota 1000000/total",
];
const SESSIONS: usize = 8;
/// So many messages between two restarts.
const BETWEEN: usize = 40;

/// How often; a release is tested with more.
fn restarts() -> usize {
    let told = std::env::var("OUTGATE_TEST_RESTARTS").ok();
    told.map_or(10, |times| times.parse().unwrap())
}

/// One session after the other, of a few messages each. Every third message is a foreign one.
fn submit(port: u16, over: &AtomicBool, accepted: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        let mut smtp = Smtp::connect(port);
        expect(&smtp.login("shop", "correct-horse"), "235 ");
        for _ in 0..3 {
            let answer = smtp.send("news@example.com", FRIEND, "From: news@example.com");
            expect(&answer, "250 2.0.0 Ok: queued as");
            accepted.fetch_add(1, Ordering::Relaxed);
        }
        let answer = smtp.send("ceo@evil.example", FRIEND, "From: news@example.com");
        expect(&answer, "550 5.7.1 ");
        expect(&smtp.say("QUIT"), "221 ");
    }
}

fn story(wiring: &'static str) {
    let mut host = Host::start(
        Setup {
            held: true,
            ..Setup::new(wiring)
        },
        USERS,
    );
    let (over, accepted) = (AtomicBool::new(false), AtomicUsize::new(0));
    let port = host.port;
    thread::scope(|scope| {
        let submitters: Vec<_> = (0..SESSIONS)
            .map(|_| scope.spawn(|| submit(port, &over, &accepted)))
            .collect();
        for _ in 0..restarts() {
            let enough = accepted.load(Ordering::Relaxed) + BETWEEN;
            wait_for("messages between two restarts", || {
                accepted.load(Ordering::Relaxed) >= enough
                    || submitters.iter().any(|s| s.is_finished())
            });
            host.stop_outgate();
            host.start_outgate();
        }
        over.store(true, Ordering::Relaxed);
        let failed = submitters
            .into_iter()
            .filter_map(|s| s.join().err())
            .count();
        assert_eq!(failed, 0, "sessions that heard something else");
    });
    let accepted = u64::try_from(accepted.into_inner()).unwrap();
    assert_eq!(host.used("shop", Messages), accepted);
}

#[test]
fn with_a_milter() {
    story("auth-milter");
}

#[test]
fn with_policy() {
    story("auth-policy");
}
