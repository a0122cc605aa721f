//! How it ends.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use outgate::clock::Clock;
use rustix::process::Signal;

use crate::site::Site;

/// Within this time after SIGTERM the process is gone.
const END: Duration = Duration::from_secs(10);

#[test]
fn idle_connections_do_not_keep_it() {
    let site = Site::new();
    let daemon = site.ready();
    let mut auth = site.connect("auth");
    auth.handshake();
    let mut policy = site.connect("policy");
    policy.policy("a@example.com");
    let control = UnixStream::connect(site.path("state/control.sock")).unwrap();
    assert!(daemon.stop() < END);
    drop((auth, policy, control));
    // Nothing but the database itself is left: the log of changes was taken into it.
    assert!(!site.path("state/outgate.db-wal").exists());
}

#[test]
fn both_signals_end_it() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new();
        let mut daemon = site.ready();
        daemon.signal(signal);
        assert_eq!(daemon.wait().code(), Some(0));
    }
}

#[test]
fn it_ends_also_before_the_store_is_open() {
    let site = Site::new();
    let lock = crate::trouble::blocked(&site);
    let daemon = site.start();
    daemon.out.wait("listening", |line| line.contains("milter"));
    assert!(daemon.stop() < END);
    drop(lock);
}

#[test]
fn a_closed_standard_output_and_error_do_not_end_it() {
    let site = Site::new();
    let mut shell = site.shell("exec \"$@\" >&- 2>&-");
    let mut child = shell.spawn().unwrap();
    crate::site::until(
        crate::site::LONG,
        || UnixStream::connect(site.socket("auth")).is_ok(),
        |connected| *connected,
    );
    site.connect("auth").handshake();
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// A milter session in which the MTA has said what it can (SMFIC_OPTNEG, version 6) and nothing
/// more.
fn milter_session(site: &Site) -> UnixStream {
    let stream = UnixStream::connect(site.socket("milter")).unwrap();
    stream.set_read_timeout(Some(crate::site::LONG)).unwrap();
    let offer = b"\0\0\0\x0dO\0\0\0\x06\0\0\x01\xff\0\x1f\xff\xff";
    (&stream).write_all(offer).unwrap();
    let mut length = [0; 4];
    (&stream).read_exact(&mut length).unwrap();
    let mut answer = vec![0; u32::from_be_bytes(length) as usize];
    (&stream).read_exact(&mut answer).unwrap();
    assert_eq!(answer[0], b'O');
    stream
}

#[test]
fn open_milter_sessions_may_end_while_auth_and_policy_answer() {
    let site = Site::new();
    let mut daemon = site.ready();
    site.shop();
    let session = milter_session(&site);
    let status: serde_json::Value =
        serde_json::from_str(&site.done(&["--json", "status"])).unwrap();
    assert_eq!(status["connections"]["milter"], 1);
    daemon.signal(Signal::TERM);
    daemon.err.wait("end", |line| line.contains("stopping"));
    site.connect("auth").handshake();
    assert_eq!(site.policy("a@example.com"), "DUNNO");
    // A change is noticed as before.
    site.done(&["user", "suspend", "shop"]);
    assert!(site.policy("a@example.com").starts_with("550 "));
    let clock = Clock::system();
    let began = clock.instant();
    drop(session);
    assert_eq!(daemon.wait().code(), Some(0));
    // Not by the end of its patience.
    assert!(clock.instant() - began < Duration::from_secs(3));
}

#[test]
fn a_milter_session_that_does_not_end_is_cut_off() {
    let site = Site::new();
    let daemon = site.ready();
    let session = milter_session(&site);
    let took = daemon.stop();
    assert!(took < END, "{took:?}");
    drop(session);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let site = Site::new();
    let daemon = site.ready();
    let session = milter_session(&site);
    daemon.signal(Signal::TERM);
    daemon.err.wait("end", |line| line.contains("stopping"));
    assert!(daemon.stop() < Duration::from_secs(3));
    drop(session);
}
