//! How it ends.

use std::os::unix::net::UnixStream;
use std::time::Duration;

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
