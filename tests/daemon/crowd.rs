//! Many connections, and too many.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use outgate::clock::Clock;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::site::{Daemon, LONG, Site, until};

#[test]
fn two_thousand_connections_are_served() {
    // This process needs a file for each of them too.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            ..limit
        },
    )
    .unwrap();
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut crowd: Vec<_> = (0..2000).map(|_| site.connect("policy")).collect();
    for client in &mut crowd {
        assert_eq!(client.policy("a@example.com"), "DUNNO");
    }
    let clock = Clock::system();
    let began = clock.instant();
    site.connect("auth").handshake();
    assert!(clock.instant() - began < Duration::from_millis(100));
    drop(crowd);
    daemon.stop();
}

#[test]
fn it_survives_having_no_file_descriptor_left() {
    let site = Site::new();
    let daemon = Daemon::spawn(site.shell("ulimit -n 64; exec \"$@\""));
    daemon.out.wait("ready", |line| line == "ready");
    site.shop();
    let mut early = site.connect("policy");
    assert_eq!(early.policy("a@example.com"), "DUNNO");
    let crowd: Vec<_> = (0..200).map(|_| site.connect("policy")).collect();
    daemon.err.wait("complaint", |line| {
        line.contains("cannot accept a connection") && line.contains("policy")
    });
    assert_eq!(early.policy("a@example.com"), "DUNNO");
    assert!(early.policy("a@other.example").starts_with("550 "));
    drop(crowd);
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    site.connect("auth").handshake();
    until(
        LONG,
        || site.control(b"{\"ask\":\"noted\"}\n"),
        |answer| answer == "{\"noted\":true}",
    );
    let said = daemon.err.text();
    let complaints = said.matches("cannot accept a connection").count();
    assert!(complaints <= 3, "{said}");
    daemon.stop();
}

#[test]
fn nonsense_hurts_nobody_else() {
    let site = Site::new();
    let _daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    for door in ["auth", "policy", "milter"] {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0xff; 100_000],
            &[0; 100_000],
            b"\n\n\n",
            b"request=smtpd_access_policy",
            b"",
        ] {
            let mut stream = UnixStream::connect(site.socket(door)).unwrap();
            // It may be closed before all is written.
            let _ = stream.write_all(bytes);
            assert_eq!(session.policy("a@example.com"), "DUNNO");
        }
    }
    site.connect("auth").handshake();
    let status: serde_json::Value =
        serde_json::from_str(&site.done(&["--json", "status"])).unwrap();
    assert_eq!(status["panics"], 0);
}
