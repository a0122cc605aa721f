//! The cases of the RFC 7208 test suite, against `check_host()`.

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use outgate::model::dns::DnsName;
use outgate::spf::{Identity, check_host};

use crate::zone::{Zone, words};

/// One question of the suite.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub ip: IpAddr,
    pub helo: String,
    /// Local part and domain, as `check_host()` has them.
    pub local: String,
    pub domain: String,
    /// The results that are right.
    pub expected: Vec<String>,
}

/// Where we mean to say something else than the suite, what we say, and why.
const DEPARTURES: &[(&str, &str, &str)] = &[
    ("bytes-bug", "fail", NO_PTR),
    ("ptr-match-target", "fail", NO_PTR),
    ("ptr-match-implicit", "fail", NO_PTR),
    ("ptr-match-ip6", "fail", NO_PTR),
    ("ptr-case-change", "fail", NO_PTR),
    ("p-macro-multiple", "neutral", "`%{p}` is `unknown`"),
    (
        "macro-mania-in-domain",
        "fail",
        "a name with a space in it is looked up by nobody",
    ),
];

const NO_PTR: &str = "`ptr` is not followed: it never matches";

/// Every zone with its cases.
pub fn suite() -> Vec<(Zone, Vec<Case>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/spf/rfc7208");
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "cases") {
            found.push(read(&fs::read_to_string(path).unwrap()));
        }
    }
    assert_eq!(found.len(), 16, "files of the suite");
    found
}

fn read(text: &str) -> (Zone, Vec<Case>) {
    let mut zone = Zone::default();
    let mut cases = Vec::new();
    for line in text.lines() {
        let words = words(line);
        match words.first().map(String::as_str) {
            None => {}
            Some("check") => cases.push(case(&words)),
            Some(_) => zone.add(&words),
        }
    }
    (zone, cases)
}

fn case(words: &[String]) -> Case {
    let arrow = words.iter().position(|word| word == "=>").unwrap();
    let given: BTreeMap<&str, &str> = words[2..arrow]
        .iter()
        .map(|word| word.split_once('=').unwrap())
        .collect();
    let helo = given["helo"];
    let (local, domain) = given["from"].rsplit_once('@').unwrap_or(("", helo));
    Case {
        name: words[1].clone(),
        ip: given["ip"].parse().unwrap(),
        helo: helo.to_owned(),
        local: match local {
            "" => "postmaster".to_owned(),
            local => local.to_owned(),
        },
        domain: domain.to_owned(),
        expected: words[arrow + 1..].to_vec(),
    }
}

/// What our `check_host()` says. What is no name has no record, and never gets as far.
pub fn ours(zone: &Zone, case: &Case) -> String {
    let Ok(domain) = DnsName::parse(&case.domain) else {
        return "none".to_owned();
    };
    let helo =
        DnsName::parse(&case.helo).unwrap_or_else(|_| DnsName::parse("no-name.invalid").unwrap());
    let identity = Identity {
        domain: &domain,
        local: &case.local,
        helo: &helo,
    };
    let (checked, _) = zone.gather(|known| check_host(case.ip, &identity, known));
    checked.result.to_string()
}

#[test]
fn check_host_says_what_the_suite_says() {
    let mut faults = Vec::new();
    let mut seen = 0;
    let mut departed = Vec::new();
    for (zone, cases) in suite() {
        for case in cases {
            seen += 1;
            let said = ours(&zone, &case);
            match DEPARTURES.iter().find(|(name, _, _)| *name == case.name) {
                Some((name, meant, _)) => {
                    departed.push(*name);
                    if said != *meant || case.expected.contains(&said) {
                        faults.push(format!("{name}: {said}, and not {meant} as meant"));
                    }
                }
                None if !case.expected.contains(&said) => {
                    faults.push(format!("{}: {said}, not {:?}", case.name, case.expected));
                }
                None => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(seen, 203);
    assert_eq!(departed.len(), DEPARTURES.len());
}
