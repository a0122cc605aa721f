//! Sockets, configuration, and what is said at the start.

use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixListener;

use crate::site::{Client, Daemon, Site, mode};

#[test]
fn it_says_what_it_listens_on_and_then_that_it_is_ready() {
    let site = Site::new();
    let unix = site.socket("auth");
    let listen = format!(
        "auth = \"unix:{}\"\npolicy = \"inet:127.0.0.1:0\"\nmilter = \"\"\n",
        unix.display()
    );
    site.configure(&listen, "");
    let daemon = site.ready();
    site.shop();
    let policy = daemon.out.wait("policy", |line| line.contains("policy"));
    let port = policy
        .strip_prefix("listening front_end=policy address=inet:127.0.0.1:")
        .unwrap();
    assert_ne!(port, "0");
    assert_eq!(
        daemon.out.text(),
        format!(
            "listening front_end=auth address=unix:{}\n{policy}\nready",
            unix.display()
        )
    );
    let mut client = Client::tcp(&format!("127.0.0.1:{port}"));
    assert_eq!(client.policy("a@example.com"), "DUNNO");
    daemon.stop();
}

#[test]
fn a_host_name_is_all_its_addresses() {
    let site = Site::new();
    site.configure("auth=\"\"\nmilter=\"\"\npolicy=\"inet:localhost:0\"\n", "");
    let daemon = site.ready();
    let line = daemon.out.wait("policy", |line| line.contains("policy"));
    let address = line.split("inet:").nth(1).unwrap();
    Client::tcp(address).policy("a@example.com");
}

#[test]
fn files_are_for_their_owner_and_sockets_as_configured_whatever_the_umask() {
    for umask in ["000", "077"] {
        let site = Site::new();
        site.configure(&format!("{}socket-mode = \"0660\"\n", site.listen()), "");
        let daemon = Daemon::spawn(site.shell(&format!("umask {umask}; exec \"$@\"")));
        daemon.out.wait("ready", |line| line == "ready");
        for door in ["auth", "policy", "milter"] {
            assert_eq!(mode(&site.socket(door)), 0o660, "{door}");
        }
        assert_eq!(mode(&site.path("state")), 0o700);
        for file in ["control.sock", "outgate.db", "outgate.db-wal"] {
            assert_eq!(mode(&site.path("state").join(file)), 0o600, "{file}");
        }
    }
}

#[test]
fn what_root_binds_belongs_to_the_owner_of_the_directory() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let site = Site::new();
    let (user, group) = (12_345, 23_456);
    std::os::unix::fs::chown(site.path("sockets"), Some(user), Some(group)).unwrap();
    let daemon = site.ready();
    daemon
        .err
        .wait("warning", |line| line.contains("running as root"));
    for door in ["auth", "policy", "milter"] {
        let found = std::fs::symlink_metadata(site.socket(door)).unwrap();
        assert_eq!((found.uid(), found.gid()), (user, group), "{door}");
    }
}

#[test]
fn a_stale_socket_is_replaced() {
    let site = Site::new();
    for door in ["auth", "policy", "milter"] {
        drop(UnixListener::bind(site.socket(door)).unwrap());
    }
    // Killed: its own sockets are stale now.
    drop(site.ready());
    assert!(site.socket("auth").exists());
    site.ready().stop();
}

#[test]
fn a_live_socket_is_left_alone() {
    let site = Site::new();
    let listener = UnixListener::bind(site.socket("policy")).unwrap();
    let (code, said) = site.fails();
    assert_eq!(code, 1, "{said}");
    let path = site.socket("policy").display().to_string();
    assert!(said.contains(&path), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    // Still ours.
    site.connect("policy");
    listener.accept().unwrap();
}

#[test]
fn there_is_one_daemon_for_one_store() {
    let site = Site::new();
    let first = site.ready();
    // With sockets of its own it would not notice the other one by them.
    let off = "auth=\"\"\npolicy=\"inet:127.0.0.1:0\"\nmilter=\"\"\n";
    site.configure(off, "");
    let (code, said) = site.fails();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("control.sock"), "{said}");
    assert!(said.contains("another process listens there"), "{said}");
    site.connect("auth").handshake();
    first.stop();
    site.ready().stop();
}

#[test]
fn what_is_no_socket_is_never_removed() {
    let site = Site::new();
    std::fs::write(site.socket("milter"), "precious").unwrap();
    let (code, said) = site.fails();
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("not a socket"), "{said}");
    let kept = std::fs::read_to_string(site.socket("milter")).unwrap();
    assert_eq!(kept, "precious");
}

#[test]
fn an_endpoint_that_cannot_be_bound_says_what_to_do() {
    let site = Site::new();
    std::fs::remove_dir(site.path("sockets")).unwrap();
    let (code, said) = site.fails();
    assert_eq!(code, 1);
    assert!(said.contains("install -d -m 2750"), "{said}");

    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    site.configure(
        &format!("auth=\"\"\nmilter=\"\"\npolicy=\"inet:{address}\"\n"),
        "",
    );
    let (code, said) = site.fails();
    assert_eq!(code, 1);
    assert!(said.contains(&address.to_string()), "{said}");
    assert!(said.contains("stop it first"), "{said}");
}

#[test]
fn a_wrong_configuration_is_78_with_file_line_and_key() {
    let site = Site::new();
    let file = site.config();
    let file = file.display();
    for (text, expected) in [
        (
            "[listen]\nauht = \"\"\n",
            format!("{file}:2: listen.auht: "),
        ),
        (
            "\n[auth]\nrequire-tls = 1\n",
            format!("{file}:3: auth.require-tls: "),
        ),
        (
            "[listen]\npolicy = \"unix:relative\"\n",
            format!("{file}:2: listen.policy: "),
        ),
        (
            "[store]\nurl = \"postgres://x\"\n",
            format!("{file}:2: store.url: "),
        ),
        ("[log\n", format!("{file}:1: ")),
    ] {
        std::fs::write(site.config(), text).unwrap();
        let (code, said) = site.fails();
        assert_eq!(code, 78, "{text}: {said}");
        assert!(said.contains(&expected), "{text}: {said}");
    }
    std::fs::remove_file(site.config()).unwrap();
    let (code, said) = site.fails();
    assert_eq!(code, 78, "{said}");
}

#[test]
fn the_limit_of_open_files_is_raised() {
    let site = Site::new();
    let daemon = Daemon::spawn(site.shell("ulimit -Sn 100; exec \"$@\""));
    daemon.out.wait("ready", |line| line == "ready");
    let status: serde_json::Value =
        serde_json::from_str(&site.done(&["--json", "status"])).unwrap();
    let limit = status["open_files"]["limit"].as_u64();
    let hard = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    assert_eq!(limit, hard);
}
