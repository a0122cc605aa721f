//! Our own cases, as lines: a zone, and what is said of domains in it for each requirement.
//!
//! ```text
//! NAME KIND DATA…
//! published|include|pass CASE DOMAIN [relay=…] [address=…] [egress=…,…] [local=…] => WANTED…
//! ```
//! Wanted is `ok`, `missing`, `invalid RECORD "words of the reason"`, `not-including`,
//! `not-passing RESULT own|mail-auth ADDRESS`, or `unavailable KIND NAME`; then, if it matters,
//! `lookups=`, `voids=` (of the last evaluation), `asked=`, `chain=` and `sender=`.

use std::collections::BTreeMap;

use outgate::model::dns::DnsName;
use outgate::spf::{Assessment, Identity, Judge, Requirement, Shortfall};

use crate::zone::{Zone, words};

struct Case {
    name: String,
    domain: DnsName,
    local: String,
    requirement: Requirement,
    verdict: String,
    more: BTreeMap<String, String>,
}

fn read(text: &str) -> (Zone, Vec<Case>) {
    let mut zone = Zone::default();
    let mut cases = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let words = words(line);
        match words.first().map(String::as_str) {
            None => {}
            Some("published" | "include" | "pass") => cases.push(case(&words)),
            Some(_) => zone.add(&words),
        }
    }
    (zone, cases)
}

fn pairs(words: &[String]) -> BTreeMap<String, String> {
    words
        .iter()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn case(words: &[String]) -> Case {
    let arrow = words.iter().position(|word| word == "=>").unwrap();
    let given = pairs(&words[3..arrow]);
    let get = |key: &str, default: &str| given.get(key).map_or(default, String::as_str).to_owned();
    let requirement = match words[0].as_str() {
        "published" => Requirement::Published,
        "include" => Requirement::Include {
            relay: DnsName::parse(&get("relay", "spf.relay.example")).unwrap(),
            address: match get("address", "none").as_str() {
                "none" => None,
                address => Some(address.parse().unwrap()),
            },
        },
        _ => Requirement::Pass {
            egress: get("egress", "192.0.2.1")
                .split(',')
                .map(|entry| {
                    entry
                        .parse()
                        .unwrap_or_else(|_| entry.parse::<std::net::IpAddr>().unwrap().into())
                })
                .collect(),
        },
    };
    let wanted = &words[arrow + 1..];
    let end = wanted
        .iter()
        .position(|word| {
            ["lookups=", "voids=", "asked=", "chain=", "sender="]
                .iter()
                .any(|key| word.starts_with(key))
        })
        .unwrap_or(wanted.len());
    Case {
        name: words[1].clone(),
        domain: DnsName::parse(&words[2]).unwrap(),
        local: get("local", "jane"),
        requirement,
        verdict: wanted[..end].join(" "),
        more: pairs(&wanted[end..]),
    }
}

fn told(assessment: &Assessment) -> String {
    match &assessment.verdict {
        Ok(()) => "ok".to_owned(),
        Err(Shortfall::Missing) => "missing".to_owned(),
        Err(Shortfall::NotIncluding { .. }) => "not-including".to_owned(),
        Err(Shortfall::Invalid(fault)) => format!("invalid {} {}", fault.record, fault.kind),
        Err(Shortfall::NotPassing {
            address,
            result,
            by,
        }) => {
            let by = match by {
                Judge::Own => "own",
                Judge::MailAuth => "mail-auth",
            };
            format!("not-passing {result} {by} {address}")
        }
        Err(Shortfall::Unavailable { query, .. }) => format!("unavailable {query}"),
        Err(Shortfall::Undecided { .. }) => "undecided".to_owned(),
    }
}

fn check(zone: &Zone, case: &Case) -> Vec<String> {
    let helo = DnsName::parse("mail.relay.example").unwrap();
    let identity = Identity {
        domain: &case.domain,
        local: &case.local,
        helo: &helo,
    };
    let (assessment, asked) = zone.assess(&case.requirement, &identity);
    let last = assessment.evaluations.last().unwrap();
    let said = told(&assessment);
    let right = match case.verdict.starts_with("invalid") {
        true => said.starts_with(&case.verdict),
        false => said == case.verdict,
    };
    let mut faults = Vec::new();
    if !right {
        faults.push(format!(
            "{}: {said}, and not {}\n{}",
            case.name, case.verdict, last.tree
        ));
    }
    for (key, wanted) in &case.more {
        let said = match key.as_str() {
            "lookups" => last.lookups.to_string(),
            "voids" => last.voids.to_string(),
            "asked" => asked.len().to_string(),
            "chain" => last.tree.chain(),
            "sender" => assessment.depends_on_sender.to_string(),
            key => panic!("{key}"),
        };
        if said != *wanted {
            faults.push(format!(
                "{}: {key} {said}, and not {wanted}\n{}",
                case.name, last.tree
            ));
        }
    }
    faults
}

fn run(text: &str, at_least: usize) {
    let (zone, cases) = read(text);
    assert!(cases.len() >= at_least, "{} cases", cases.len());
    let faults: Vec<String> = cases.iter().flat_map(|case| check(&zone, case)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn published() {
    run(include_str!("own/published.cases"), 30);
}

#[test]
fn include() {
    run(include_str!("own/include.cases"), 60);
}

#[test]
fn pass() {
    run(include_str!("own/pass.cases"), 30);
}
