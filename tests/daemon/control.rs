//! The control socket, and what it is for: a change works on the next question.

use std::os::unix::net::UnixStream;

use serde_json::Value;

use crate::site::{Client, Site};

#[test]
fn a_change_works_on_the_next_question_in_an_open_session() {
    let site = Site::new();
    let _daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    for _ in 0..15 {
        assert_eq!(session.policy("a@example.com"), "DUNNO");
        site.done(&["user", "suspend", "shop"]);
        assert!(session.policy("a@example.com").starts_with("550 5.7.1 "));
        site.done(&["user", "resume", "shop"]);
    }
    site.done(&["user", "set", "shop", "--allow", "*.example.com"]);
    assert!(session.policy("a@example.com").starts_with("550 "));
    assert_eq!(session.policy("a@b.example.com"), "DUNNO");
    site.done(&["domain", "remove", "example.com"]);
    assert!(session.policy("a@b.example.com").starts_with("550 "));
    site.done(&["domain", "add", "example.com", "--trusted"]);
    // Grants do not revive.
    assert!(session.policy("a@b.example.com").starts_with("550 "));
    site.done(&["user", "set", "shop", "--mode", "all-domains"]);
    assert_eq!(session.policy("a@example.com"), "DUNNO");
    site.done(&["user", "remove", "shop"]);
    assert!(session.policy("a@example.com").starts_with("550 "));
}

#[test]
fn status_says_how_it_is() {
    let site = Site::new();
    let daemon = site.ready();
    let mut sessions = [site.connect("policy"), site.connect("policy")];
    sessions
        .iter_mut()
        .for_each(|s| drop(s.policy("a@b.example")));
    let status: Value = serde_json::from_str(&site.done(&["--json", "status"])).unwrap();
    assert_eq!(status["pid"], daemon.pid());
    assert_eq!(status["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(status["store"]["ok"], true);
    assert_eq!(status["connections"]["policy"], 2);
    assert_eq!(status["connections"]["auth"], 0);
    assert_eq!(status["panics"], 0);
    assert_eq!(status["config"], site.config().display().to_string());
    let policy = format!("unix:{}", site.socket("policy").display());
    assert_eq!(status["listeners"][1]["address"], policy);
    assert_eq!(status["listeners"][1]["front_end"], "policy");
    drop(sessions);
    crate::site::until(
        crate::site::LONG,
        || site.control(b"{\"ask\":\"status\"}\n"),
        |answer| answer.contains("\"policy\":0"),
    );
}

#[test]
fn garbage_is_told_off_and_hurts_nobody() {
    let site = Site::new();
    let _daemon = site.ready();
    let long = [vec![b' '; 100_000], b"\n".to_vec()].concat();
    for garbage in [
        &b"\n"[..],
        b"{}\n",
        b"[]\n",
        b"\xff\xfe\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"{\"ask\":\"drop tables\"}\n",
        b"{\"ask\":\"unlock\"}\n",
        b"{\"ask\":\"unlock\",\"user\":\"shop\"}\n",
        b"{\"ask\":\"noted\",\"ask\":\"status\"}\n",
    ] {
        let answer: Value = serde_json::from_str(&site.control(garbage)).unwrap();
        assert!(answer["error"].is_string(), "{answer}");
    }
    // The peer of an oversize line may be cut off while it still writes.
    let stream = UnixStream::connect(site.path("state/control.sock")).unwrap();
    let _ = std::io::Write::write_all(&mut &stream, &long);
    // A line that never ends, and one that is only half there, while others are served.
    let mut silent = Client::new(UnixStream::connect(site.path("state/control.sock")).unwrap());
    silent.send(b"{\"ask\"");
    assert_eq!(site.control(b"{\"ask\":\"noted\"}\n"), "{\"noted\":true}");
    let cut = Client::new(UnixStream::connect(site.path("state/control.sock")).unwrap());
    drop(cut);
    site.done(&["status"]);
    let late = silent.line();
    assert!(late.contains("no whole line in time"), "{late}");
}

#[test]
fn many_ask_at_once() {
    let site = Site::new();
    let _daemon = site.ready();
    std::thread::scope(|scope| {
        for _ in 0..50 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let answer = site.control(b"{\"ask\":\"noted\"}\n");
                    assert_eq!(answer, "{\"noted\":true}");
                }
            });
        }
    });
}
