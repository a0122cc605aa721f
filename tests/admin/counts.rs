//! Figures go up exactly as things happen, and nobody outside can make them more.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::exposition::Exposition;
use crate::site::{LONG, Site, until};
use crate::submission::{Milter, Policy};
use crate::web::{ready, site};

/// The decisions since then, each as `front_end stage verdict reason`.
fn decisions(now: &Exposition, since: &Exposition) -> BTreeMap<String, f64> {
    let grown = now.grown(since, "outgate_decisions_total{");
    let short = grown.into_iter().map(|(series, by)| {
        let values: Vec<&str> = series.split('"').skip(1).step_by(2).collect();
        (values.join(" "), by)
    });
    short.collect()
}

fn expected<const N: usize>(kinds: [(&str, f64); N]) -> BTreeMap<String, f64> {
    kinds.map(|(kind, by)| (kind.to_owned(), by)).into()
}

/// Logs in; what is said.
fn log_in(site: &Site, login: &str, password: &str) -> String {
    let mut client = site.connect("auth");
    client.handshake();
    let response = STANDARD.encode(format!("\0{login}\0{password}"));
    let request =
        format!("AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.7\tsecured\tresp={response}\n");
    client.send(request.as_bytes());
    client.line()
}

fn users(site: &Site) -> String {
    site.done(&["domain", "add", "example.com", "--trusted"]);
    let shop = ["user", "add", "shop", "--allow", "example.com"];
    site.done(&[&shop[..], &["--quota", "10/total"]].concat());
    let added = site.done(&["--json", "user", "add", "web", "--ip", "198.51.100.1"]);
    let added: serde_json::Value = serde_json::from_str(&added).unwrap();
    added["password"].as_str().unwrap().to_owned()
}

#[test]
fn decisions_by_policy() {
    let site = site();
    let (_daemon, web) = ready(&site);
    users(&site);
    let start = web.scrape();
    let mut policy = Policy::connect(&site).unwrap();
    for _ in 0..3 {
        assert_eq!(policy.rcpt("shop", "1.1").unwrap(), "DUNNO");
    }
    let asked = web.scrape();
    assert_eq!(decisions(&asked, &start), BTreeMap::new());
    let count = "outgate_answer_seconds_count{front_end=\"policy\"}";
    assert_eq!(asked.value(count) - start.value(count), 3.0);
    for _ in 0..2 {
        assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
        assert!(policy.rcpt("nobody", "1.2").unwrap().starts_with("550 "));
    }
    let told = web.scrape();
    let once = expected([
        ("policy data allow allowed false", 1.0),
        ("policy rcpt refuse unknown-user false", 1.0),
    ]);
    assert_eq!(decisions(&told, &asked), once, "asked twice, told once");
    assert_eq!(told.value(count) - start.value(count), 7.0);
    assert_eq!(
        told.grown(&asked, "outgate_charges_total{"),
        expected([
            ("outgate_charges_total{outcome=\"charged\"}", 1.0),
            ("outgate_charges_total{outcome=\"repeated\"}", 1.0),
        ])
    );
    assert!(told.value("outgate_store_commit_jobs_sum") >= 1.0);
}

#[test]
fn decisions_by_milter_until_a_quota_is_used_up() {
    let site = site();
    let (_daemon, web) = ready(&site);
    users(&site);
    let start = web.scrape();
    let mut milter = Milter::connect(&site).unwrap();
    for number in 1..=10 {
        milter.begin("shop").unwrap();
        assert_eq!(milter.end().unwrap(), None, "{number}");
    }
    let full = web.scrape();
    let accepted = expected([("milter eom allow allowed false", 10.0)]);
    assert_eq!(decisions(&full, &start), accepted);
    let near = full.grown(&start, "outgate_messages_near_quota_total");
    assert_eq!(near.into_values().collect::<Vec<_>>(), [2.0]);
    // MAIL, RCPT, DATA and the end of each message.
    let count = "outgate_answer_seconds_count{front_end=\"milter\"}";
    assert_eq!(full.value(count) - start.value(count), 40.0);
    let mut policy = Policy::connect(&site).unwrap();
    let refused = policy.rcpt("shop", "1.1").unwrap();
    assert!(refused.starts_with("450 4.7.1 [QUOTA]"), "{refused}");
    let over = expected([("policy rcpt defer quota-exceeded false", 1.0)]);
    assert_eq!(decisions(&web.scrape(), &full), over);
}

#[test]
fn logins_and_what_they_cost() {
    let site = site();
    let (_daemon, web) = ready(&site);
    let password = users(&site);
    let start = web.scrape();
    assert!(log_in(&site, "web", "wrong").starts_with("FAIL"));
    assert!(log_in(&site, "web", &password).contains("IP not authorized"));
    assert!(log_in(&site, "web", &password).contains("IP not authorized"));
    let end = web.scrape();
    let kinds = expected([
        ("auth auth refuse bad-password false", 1.0),
        ("auth auth refuse ip-not-authorized false", 2.0),
    ]);
    assert_eq!(decisions(&end, &start), kinds);
    assert_eq!(
        end.grown(&start, "outgate_password_hashes_total"),
        expected([("outgate_password_hashes_total", 2.0)])
    );
    let logins =
        |outcome| format!("outgate_cache_lookups_total{{cache=\"logins\",outcome=\"{outcome}\"}}");
    assert_eq!(end.value(&logins("hit")), 1.0);
    assert_eq!(end.value(&logins("miss")), 2.0);
}

#[test]
fn what_an_audit_would_have_done() {
    let site = site();
    let (_daemon, web) = ready(&site);
    site.done(&["user", "add", "shop", "--enforce", "audit"]);
    let start = web.scrape();
    let mut policy = Policy::connect(&site).unwrap();
    assert_eq!(policy.data("shop", "1.1").unwrap(), "DUNNO");
    let kinds = expected([
        ("policy data allow allowed true", 1.0),
        ("policy data refuse sender-not-allowed true", 1.0),
    ]);
    assert_eq!(decisions(&web.scrape(), &start), kinds);
}

#[test]
fn memory_is_counted_by_the_look_up() {
    let site = site();
    let (_daemon, web) = ready(&site);
    users(&site);
    let mut policy = Policy::connect(&site).unwrap();
    let start = web.scrape();
    assert_eq!(policy.rcpt("shop", "1.1").unwrap(), "DUNNO");
    let first = web.scrape();
    let of = |cache, outcome| {
        format!("outgate_cache_lookups_total{{cache=\"{cache}\",outcome=\"{outcome}\"}}")
    };
    let caches = "outgate_cache_lookups_total{";
    let misses = ["users", "domains", "accounts"].map(|cache| (of(cache, "miss"), 1.0));
    assert_eq!(first.grown(&start, caches), misses.into());
    assert_eq!(policy.rcpt("shop", "1.1").unwrap(), "DUNNO");
    let hits = ["users", "domains", "accounts"].map(|cache| (of(cache, "hit"), 1.0));
    assert_eq!(web.scrape().grown(&first, caches), hits.into());
}

#[test]
fn connections_and_their_limits() {
    let site = site();
    let (_daemon, web) = ready(&site);
    let held = ["policy", "policy", "auth", "milter"].map(|door| site.connect(door));
    let open = |door| format!("outgate_connections{{front_end=\"{door}\"}}");
    let wanted = [
        ("policy", 2.0),
        ("auth", 1.0),
        ("milter", 1.0),
        ("admin", 1.0),
    ];
    until(
        LONG,
        || {
            let now = web.scrape();
            wanted.map(|(door, _)| now.value(&open(door)))
        },
        |found| *found == wanted.map(|(_, many)| many),
    );
    let limit = |door| format!("outgate_connections_limit{{front_end=\"{door}\"}}");
    let now = web.scrape();
    assert_eq!(now.value(&limit("milter")), 4096.0);
    assert_eq!(now.value(&limit("admin")), 64.0);
    drop(held);
}

#[test]
fn no_client_makes_a_series() {
    let site = site();
    let (_daemon, web) = ready(&site);
    users(&site);
    let names = |exposition: &Exposition| -> BTreeSet<String> {
        exposition.samples.keys().cloned().collect()
    };
    let start = web.scrape();
    let mut policy = Policy::connect(&site).unwrap();
    for number in 0..300 {
        let login = format!("evil{number}\"}} 1\\u{{202e}}<b>");
        assert!(policy.rcpt(&login, "1.1").unwrap().starts_with("550 "));
        assert!(policy.data(&login, "1.2").unwrap().starts_with("550 "));
    }
    for number in 0..20 {
        let mut client = site.connect("policy");
        client.policy(&format!("evil{number}@evil{number}.example"));
        assert!(log_in(&site, &format!("evil{number}"), "x").starts_with("FAIL"));
    }
    let end = web.scrape();
    assert_eq!(names(&start), names(&end));
    assert!(names(&end).len() < 600, "{}", names(&end).len());
    assert!(!web.get("/metrics").body.contains("evil"));
}

#[test]
fn the_process_shows_itself() {
    let site = site();
    let (_daemon, web) = ready(&site);
    let now = web.scrape();
    let build = now
        .samples
        .keys()
        .find(|s| s.starts_with("outgate_build_info{"));
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(build.unwrap().contains(&version), "{build:?}");
    assert!(now.value("outgate_process_start_time_seconds") > 1.7e9);
    let resident = now.value("outgate_process_resident_memory_bytes");
    assert!((1e6..1e9).contains(&resident), "{resident}");
    let files = now.value("outgate_process_open_files");
    let limit = now.value("outgate_process_open_files_limit");
    assert!(files > 5.0 && files < limit, "{files} of {limit}");
    for nothing in [
        "outgate_panics_total",
        "outgate_log_lines_lost_total{log=\"stderr\"}",
    ] {
        assert_eq!(now.value(nothing), 0.0);
    }
}

#[test]
fn name_servers_that_do_not_answer_and_a_reload() {
    let site = Site::new();
    let listen = format!("{}admin = \"inet:127.0.0.1:0\"\n", site.listen());
    // Nobody is there.
    site.configure(
        &listen,
        "[dns]\nservers = [\"127.0.0.1:1\"]\ntimeout = \"1s\"\n",
    );
    let (daemon, web) = ready(&site);
    site.done(&["user", "add", "lists", "--mode", "any-domain"]);
    let start = web.scrape();
    let mut policy = Policy::connect(&site).unwrap();
    let refused = policy.rcpt("lists", "1.1").unwrap();
    assert!(refused.starts_with("451 4.4.3 [DNS]"), "{refused}");
    let end = web.scrape();
    let deferred = expected([("policy rcpt defer dns-unavailable false", 1.0)]);
    assert_eq!(decisions(&end, &start), deferred);
    let missed = "outgate_cache_lookups_total{cache=\"standings\",outcome=\"miss\"}";
    assert_eq!(end.value(missed), 1.0);
    let looked_up = |exposition: &Exposition| -> f64 {
        let of_dns = exposition.grown(&Exposition::default(), "outgate_dns_lookups_total{");
        of_dns.into_values().sum()
    };
    let after = until(LONG, || web.scrape(), |now| looked_up(now) >= 1.0);
    let so_far = looked_up(&after);
    daemon.signal(rustix::process::Signal::HUP);
    daemon
        .err
        .wait("reload", |line| line.contains("configuration reloaded"));
    let reloaded = web.scrape();
    assert!(looked_up(&reloaded) >= so_far, "counters never go back");
    assert_eq!(reloaded.value(missed), 1.0);
}
