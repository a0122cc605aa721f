//! Many connections, and too many.

use std::io::{Read, Write};
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

/// Sends a milter command, and returns the answer's.
fn ask(stream: &mut UnixStream, command: u8, data: &[u8]) -> char {
    let length = u32::try_from(data.len() + 1).unwrap();
    let frame = [&length.to_be_bytes(), &[command][..], data].concat();
    stream.write_all(&frame).unwrap();
    let mut length = [0; 4];
    stream.read_exact(&mut length).unwrap();
    let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
    stream.read_exact(&mut answer).unwrap();
    char::from(answer[0])
}

#[test]
fn the_milter_survives_having_no_file_descriptor_left() {
    let site = Site::new();
    let daemon = Daemon::spawn(site.shell("ulimit -n 64; exec \"$@\""));
    daemon.out.wait("ready", |line| line == "ready");
    let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
    let connect = || {
        let stream = UnixStream::connect(site.socket("milter")).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream
    };
    let mut early = connect();
    assert_eq!(ask(&mut early, b'O', &offer), 'O');
    let crowd: Vec<_> = (0..200).map(|_| connect()).collect();
    daemon.err.wait("complaint", |line| {
        line.contains("cannot accept a connection") && line.contains("milter")
    });
    assert_eq!(ask(&mut early, b'M', b"<a@example.com>\0"), 'c');
    drop(crowd);
    let mut late = connect();
    assert_eq!(ask(&mut late, b'O', &offer), 'O');
    assert_eq!(ask(&mut late, b'M', b"<a@example.com>\0"), 'c');
    let complaints = daemon.err.text();
    let complaints = complaints.matches("cannot accept a connection").count();
    assert!(complaints <= 3, "{}", daemon.err.text());
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
