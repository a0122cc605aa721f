//! Sockets that somebody else has bound, as systemd hands them over (sd_listen_fds(3)). A shell
//! stands in for systemd: it moves its standard input to descriptor 3 and announces that.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::Command;

use crate::site::{Client, Daemon, Site};

pub fn handing_over(site: &Site, socket: impl Into<OwnedFd>, name: &str) -> Command {
    let script = format!(
        "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}; exec \"$@\""
    );
    let mut shell = site.shell(&script);
    shell.stdin(socket.into());
    shell
}

#[test]
fn an_inherited_socket_wins_over_the_configured_one() {
    let site = Site::new();
    let elsewhere = site.path("elsewhere");
    let held = UnixListener::bind(&elsewhere).unwrap();
    // Who connects before the daemon is there waits in the backlog.
    let mut early = Client::new(std::os::unix::net::UnixStream::connect(&elsewhere).unwrap());
    early.send(b"VERSION\t1\t0\nCPID\t7\n");
    let copy = held.try_clone().unwrap();
    let daemon = Daemon::spawn(handing_over(&site, copy, "auth"));
    let line = format!(
        "listening front_end=auth address=unix:{}",
        elsewhere.display()
    );
    daemon.out.wait("auth", |found| found == line);
    daemon.out.wait("ready", |found| found == "ready");
    while early.line() != "DONE" {}
    assert!(!site.socket("auth").exists());
    assert!(site.socket("policy").exists());
    // Between two processes nobody is turned away.
    daemon.stop();
    let mut between = Client::new(std::os::unix::net::UnixStream::connect(&elsewhere).unwrap());
    let copy = held.try_clone().unwrap();
    let _next = Daemon::spawn(handing_over(&site, copy, "auth"));
    between.handshake();
}

#[test]
fn tcp_is_inherited_too() {
    let site = Site::new();
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap().to_string();
    let daemon = Daemon::spawn(handing_over(&site, socket, "policy"));
    let line = format!("listening front_end=policy address=inet:{address}");
    daemon.out.wait("policy", |found| found == line);
    daemon.out.wait("ready", |found| found == "ready");
    site.shop();
    assert_eq!(Client::tcp(&address).policy("a@example.com"), "DUNNO");
}

#[test]
fn a_socket_for_no_front_end_is_an_error() {
    for name in ["outgate-auth.socket", "", "Auth"] {
        let site = Site::new();
        let socket = UnixListener::bind(site.path("elsewhere")).unwrap();
        let mut daemon = Daemon::spawn(handing_over(&site, socket, &format!("'{name}'")));
        assert_eq!(daemon.wait().code(), Some(1));
        let said = daemon.err.text();
        assert!(said.contains("FileDescriptorName=auth"), "{said}");
    }
}

#[test]
fn what_is_announced_to_another_process_is_not_ours() {
    let site = Site::new();
    let mut shell = site.shell("exec \"$@\"");
    shell.envs([
        ("LISTEN_PID", "1"),
        ("LISTEN_FDS", "1"),
        ("LISTEN_FDNAMES", "auth"),
    ]);
    let daemon = Daemon::spawn(shell);
    daemon.out.wait("ready", |found| found == "ready");
    assert!(site.socket("auth").exists());
}

#[test]
fn systemd_is_told_how_it_goes() {
    let site = Site::new();
    let notify = site.path("notify");
    let systemd = std::os::unix::net::UnixDatagram::bind(&notify).unwrap();
    systemd.set_read_timeout(Some(crate::site::LONG)).unwrap();
    let mut command = site.command(&["serve"]);
    command
        .env("NOTIFY_SOCKET", &notify)
        .env("WATCHDOG_USEC", "200000");
    let daemon = Daemon::spawn(command);
    let told = |news: &str| {
        let mut buffer = [0; 1024];
        loop {
            let count = systemd.recv(&mut buffer).unwrap();
            if String::from_utf8_lossy(&buffer[..count]).contains(news) {
                return;
            }
        }
    };
    told("READY=1");
    told("WATCHDOG=1");
    daemon.signal(rustix::process::Signal::HUP);
    told("RELOADING=1\nMONOTONIC_USEC=");
    told("READY=1");
    told("WATCHDOG=1");
    daemon.stop();
    told("STOPPING=1");
}
