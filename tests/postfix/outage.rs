//! DNS that goes away under load and comes back: who needs it is put off until then, who does not need
//! it notices nothing.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use outgate::clock::Clock;
use outgate::model::dns::Kind;

use crate::host::{Host, Setup, wait_for};
use crate::session;
use crate::smtp::Smtp;

/// The DNS budget of a decision. A dead name server uses it up; a default user never waits as long.
const BUDGET: Duration = Duration::from_secs(2);
const CONFIG: &str = "timeout = \"2s\"\n[relay]\nspf-include = \"spf.relay.example\"\n";

const USERS: &[&str] = &[
    "domain add own.example --trusted",
    "user add shop --allow own.example",
    "user add agency --mode any-domain",
];

/// As many names as there are messages: none is known from the one before.
const ZONE: &str = r#"
spf.relay.example   TXT "v=spf1 ip4:192.0.2.1 -all"
*.many.example      TXT "v=spf1 include:spf.relay.example -all"
"#;

/// What the sessions of one kind have heard.
#[derive(Default)]
struct Heard {
    accepted: AtomicUsize,
    deferred: AtomicUsize,
}

/// Tells the sessions to end, also when the test fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn dns_goes_away_under_load_and_comes_back_by_auth_and_milter() {
    story("auth-milter");
}

#[test]
fn dns_goes_away_under_load_and_comes_back_by_auth_and_policy() {
    story("auth-policy");
}

fn story(wiring: &'static str) {
    let setup = Setup {
        config: CONFIG,
        zone: ZONE,
        // Postfix ends a session after 20 errors.
        main: "smtpd_hard_error_limit = 10000\nsmtpd_junk_command_limit = 10000\n",
        ..Setup::new(wiring)
    };
    let mut host = Host::start(setup, USERS);
    let strangers: Vec<Smtp> = (0..6)
        .map(|_| session(&host, wiring, "agency", "198.51.100.7"))
        .collect();
    let owners: Vec<Smtp> = (0..3)
        .map(|_| session(&host, wiring, "shop", "198.51.100.7"))
        .collect();
    let (needing, free) = (Heard::default(), Heard::default());
    let (ended, next) = (AtomicBool::new(false), AtomicUsize::new(0));
    let accepted = thread::scope(|scope| {
        let end = End(&ended);
        let strangers: Vec<_> = strangers
            .into_iter()
            .map(|smtp| scope.spawn(|| send_as_strangers(smtp, &ended, &next, &needing)))
            .collect();
        for smtp in owners {
            scope.spawn(|| send_as_owner(smtp, &ended, &free));
        }
        let more = |what: &str, counter: &AtomicUsize, by: usize| {
            let goal = counter.load(Ordering::SeqCst) + by;
            wait_for(what, || counter.load(Ordering::SeqCst) >= goal);
        };
        more("accepted while all is well", &needing.accepted, 20);

        // First nobody is there, then somebody who does not answer.
        host.nameserver.stop();
        more("deferred: nobody there", &needing.deferred, 6);
        let silent = UdpSocket::bind(host.nameserver.address()).unwrap();
        more("deferred: no answer", &needing.deferred, 12);
        more("the others meanwhile", &free.accepted, 10);
        drop(silent);

        host.nameserver.start_again();
        more("accepted again", &needing.accepted, 40);
        drop(end);
        let lists = strangers.into_iter().map(|thread| thread.join().unwrap());
        lists.flatten().collect::<Vec<usize>>()
    });
    // None without an answer of its own.
    for number in accepted {
        let asked = host.nameserver.asked(&name(number), Kind::Txt);
        assert!(asked > 0, "{} was accepted unasked", name(number));
    }
    assert_eq!(free.deferred.load(Ordering::SeqCst), 0);
}

fn name(number: usize) -> String {
    format!("m{number}.many.example")
}

/// Message after message, each as another stranger; the numbers of those that were accepted.
fn send_as_strangers(
    mut smtp: Smtp,
    ended: &AtomicBool,
    next: &AtomicUsize,
    heard: &Heard,
) -> Vec<usize> {
    let mut accepted = Vec::new();
    while !ended.load(Ordering::SeqCst) {
        let number = next.fetch_add(1, Ordering::SeqCst);
        if send(&mut smtp, &format!("a@{}", name(number)), heard) {
            accepted.push(number);
        }
    }
    accepted
}

/// Message after message of its own domain, none of which waits for anything.
fn send_as_owner(mut smtp: Smtp, ended: &AtomicBool, heard: &Heard) {
    let clock = Clock::system();
    while !ended.load(Ordering::SeqCst) {
        let begun = clock.instant();
        assert!(send(&mut smtp, "a@own.example", heard));
        let took = clock.instant() - begun;
        assert!(took < BUDGET, "waited {took:?}");
    }
}

/// Whether the message was accepted; everything but that and a deferral is an error.
fn send(smtp: &mut Smtp, sender: &str, heard: &Heard) -> bool {
    let answer = smtp.send(
        sender,
        &["friend@elsewhere.example"],
        &format!("From: {sender}"),
    );
    if answer.starts_with("250 2.0.0 Ok: queued as") {
        heard.accepted.fetch_add(1, Ordering::SeqCst);
        return true;
    }
    assert!(
        answer.starts_with("451 4.4.3 ") && answer.contains("[DNS] Unavailable"),
        "{sender}: {answer}"
    );
    heard.deferred.fetch_add(1, Ordering::SeqCst);
    smtp.reset();
    false
}
