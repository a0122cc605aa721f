//! Alive and ready are two things.

use std::time::Duration;

use outgate::clock::Clock;
use rusqlite::Connection;
use rustix::process::Signal;

use crate::exposition::Exposition;
use crate::site::{Client, Daemon, LONG, until};
use crate::submission::{Milter, Policy};
use crate::web::{Answer, Web, ready, site};

fn is_degraded(answer: &Answer) -> bool {
    answer.status == 503 && answer.body.starts_with("degraded: ")
}

fn is_ready(answer: &Answer) -> bool {
    answer.status == 200 && answer.body == "ready\n"
}

#[test]
fn before_the_store_is_open_it_lives_and_is_not_ready() {
    let site = site();
    std::fs::create_dir(site.path("state")).unwrap();
    let lock = Connection::open(site.database()).unwrap();
    lock.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let daemon = site.start();
    let web = Web::of(&daemon);
    assert_eq!(web.get("/healthz").status, 200);
    let answer = web.get("/readyz");
    assert!(is_degraded(&answer), "{answer:?}");
    assert_eq!(web.scrape().value("outgate_ready"), 0.0);
    assert!(!daemon.out.text().contains("ready\n"));
    drop(lock);
    until(LONG, || web.get("/readyz"), is_ready);
    assert_eq!(web.scrape().value("outgate_ready"), 1.0);
    daemon.stop();
}

#[test]
fn a_store_that_is_gone_degrades_until_it_is_back() {
    let site = site();
    let (daemon, web) = ready(&site);
    assert!(is_ready(&web.get("/readyz")));
    let away = site.path("away.db");
    std::fs::rename(site.database(), &away).unwrap();
    let answer = until(LONG, || web.get("/readyz"), is_degraded);
    assert!(answer.body.contains("was removed"), "{answer:?}");
    assert_eq!(web.get("/healthz").status, 200);
    std::fs::rename(&away, site.database()).unwrap();
    until(LONG, || web.get("/readyz"), is_ready);
    daemon.stop();
}

#[test]
fn charges_that_cannot_be_written_degrade_until_one_can() {
    let site = site();
    let (daemon, web) = ready(&site);
    site.done(&["domain", "add", "example.com", "--trusted"]);
    let user = ["user", "add", "shop", "--allow", "example.com"];
    site.done(&[&user[..], &["--quota", "1000/total"]].concat());
    let mut policy = Policy::connect(&site).unwrap();
    let writer = Connection::open(site.database()).unwrap();
    writer.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(is_ready(&web.get("/readyz")), "nothing has failed yet");
    let refused = policy.data("shop", "1.1").unwrap();
    assert!(refused.starts_with("451 4.3.0"), "{refused}");
    let answer = web.get("/readyz");
    assert!(is_degraded(&answer), "{answer:?}");
    let failed = web.scrape();
    assert!(failed.value("outgate_store_commits_failed_total") >= 1.0);
    assert_eq!(
        failed.value("outgate_charges_total{outcome=\"failed\"}"),
        1.0
    );
    drop(writer);
    let accepted = |answer: &String| answer == "DUNNO";
    until(LONG, || policy.data("shop", "1.1").unwrap(), accepted);
    until(LONG, || web.get("/readyz"), is_ready);
    daemon.stop();
}

#[test]
fn while_it_drains_it_answers_and_is_not_ready() {
    let site = site();
    let (mut daemon, web) = ready(&site);
    let _session = Milter::connect(&site).unwrap();
    daemon.signal(Signal::TERM);
    let answer = until(LONG, || web.get("/readyz"), is_degraded);
    assert!(answer.body.contains("stopping"), "{answer:?}");
    assert_eq!(web.get("/healthz").status, 200);
    // A second signal ends it now.
    daemon.signal(Signal::TERM);
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_scrape_that_is_idle_does_not_hold_up_the_end() {
    let site = site();
    let (daemon, web) = ready(&site);
    let idle = web.connect();
    assert!(is_ready(&web.get("/readyz")));
    let took = daemon.stop();
    assert!(took < Duration::from_secs(5), "{took:?}");
    drop(idle);
}

#[test]
fn pages_are_what_they_say() {
    let site = site();
    let (_daemon, web) = ready(&site);
    let page = web.get("/metrics");
    assert!(page.has_header("content-type: text/plain; version=0.0.4; charset=utf-8"));
    let prometheus =
        "Accept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n";
    let page = web.ask("GET", "/metrics", prometheus);
    let content = "content-type: application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert!(page.has_header(content), "{}", page.head);
    assert!(page.body.ends_with("\n# EOF\n"));
    let head = web.ask("HEAD", "/metrics", "");
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(web.get("/").status, 404);
    assert_eq!(web.get("/metrics/../readyz").status, 404);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(web.ask("POST", path, "Content-Length: 0\r\n").status, 405);
    }
}

#[test]
fn a_unix_socket_and_an_inherited_one_will_do() {
    let get = b"GET /readyz HTTP/1.0\r\n\r\n";
    let site = crate::site::Site::new();
    let path = site.socket("admin");
    let admin = format!("{}admin = \"unix:{}\"\n", site.listen(), path.display());
    site.configure(&admin, "");
    let daemon = site.ready();
    let mut client = site.connect("admin");
    client.send(get);
    assert_eq!(client.line(), "HTTP/1.0 200 OK");
    daemon.stop();

    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let script =
        "exec 3<&0 </dev/null; export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=admin; exec \"$@\"";
    let mut shell = site.shell(script);
    shell.stdin(std::os::fd::OwnedFd::from(socket));
    let daemon = Daemon::spawn(shell);
    let line = format!("listening front_end=admin address=inet:{address}");
    daemon.out.wait("admin", |found| found == line);
    daemon.out.wait("ready", |found| found == "ready");
    let mut client = Client::tcp(&address.to_string());
    client.send(get);
    assert_eq!(client.line(), "HTTP/1.0 200 OK");
}

#[test]
fn a_scrape_is_quick() {
    let site = site();
    let (_daemon, web) = ready(&site);
    let clock = Clock::system();
    let began = clock.instant();
    let page: Exposition = web.scrape();
    let took = clock.instant() - began;
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(page.samples.len() > 300);
}
