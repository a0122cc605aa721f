//! The SPF record that a domain should publish so that this relay may send for it, for
//! `domain check`. Nothing is advised that would not help: each record is judged, as if it were
//! there, by what judges those that are.

use std::net::IpAddr;
use std::sync::Arc;

use super::checkup::Relay;
use super::{Criteria, texts};
use crate::model::dns::{Answer, DnsName, Known, Query, Records, Unknown};
use crate::spf::record::{Mechanism, Record};
use crate::spf::tree::FaultKind;
use crate::spf::{self, Assessment, Identity, Requirement, Shortfall, publication};

/// What to do about a domain's SPF.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Advice {
    /// The text of the record that should stand there, alone.
    pub record: Option<String>,
    /// What to do beside that, or instead.
    pub words: Option<String>,
}

impl Advice {
    fn words(words: impl Into<String>) -> Advice {
        Advice {
            record: None,
            words: Some(words.into()),
        }
    }
}

/// What to do so that the domain fits what this site requires.
pub fn look(
    criteria: &Criteria,
    relay: &Relay,
    identity: &Identity<'_>,
    found: &Assessment,
    known: &Known,
) -> Result<Advice, Unknown> {
    let Err(shortfall) = &found.verdict else {
        return Ok(Advice::default());
    };
    let several = match shortfall {
        Shortfall::Unavailable { .. } | Shortfall::Undecided { .. } => {
            return Ok(Advice::default());
        }
        Shortfall::Invalid(fault) => match fault.kind {
            FaultKind::NeverSends => false,
            FaultKind::Several(_) => true,
            FaultKind::TooLong(_)
            | FaultKind::TooMuch
            | FaultKind::Syntax(_)
            | FaultKind::NothingThere(_)
            | FaultKind::NoName
            | FaultKind::Lookups
            | FaultKind::Voids
            | FaultKind::Exchangers(_) => return Ok(Advice::words("mend that first")),
        },
        Shortfall::Missing | Shortfall::NotIncluding { .. } | Shortfall::NotPassing { .. } => false,
    };
    let words = several.then_some("put what they say into one record, and take the others away");
    let Some(candidate) = candidate(criteria, relay, &published(identity.domain, known)) else {
        return Ok(Advice::words(words.unwrap_or(
            "set relay.spf-include or relay.egress: then the record to publish can be told",
        )));
    };
    let judged = spf::assess(
        &criteria.spf,
        identity,
        &with(known, identity.domain, &candidate),
        &spf::Shelf::default(),
    )?;
    Ok(match (judged.verdict, words) {
        // Where DNS does not say how it would be, nothing speaks against it.
        (Ok(()) | Err(Shortfall::Unavailable { .. } | Shortfall::Undecided { .. }), _) => Advice {
            record: Some(candidate),
            words: words.map(str::to_owned),
        },
        (Err(_), Some(words)) => Advice::words(words),
        (Err(reason), None) => Advice::words(format!("nor would {candidate:?} help: {reason}")),
    })
}

/// The SPF records that stand at a name.
fn published(name: &DnsName, known: &Known) -> Vec<String> {
    let Ok(Ok(texts)) = texts(Query::txt(name.clone()), known) else {
        return Vec::new();
    };
    publication::all(texts)
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .collect()
}

/// What would be known if this were the only text record at the name.
fn with(known: &Known, name: &DnsName, record: &str) -> Known {
    let mut known = known.clone();
    let texts = vec![Arc::from(record.as_bytes())];
    let answer = Arc::new(Answer::Records(Records::Txt(texts)));
    known.insert(Query::txt(name.clone()), answer);
    known
}

/// One record that says what these say, with this relay in front. `None` where they cannot be put
/// together, or where nothing is known that could stand for this relay.
fn candidate(criteria: &Criteria, relay: &Relay, existing: &[String]) -> Option<String> {
    let mut terms = terms_of(criteria, relay)?;
    let own: Vec<Mechanism> = terms.iter().filter_map(|term| mechanism(term)).collect();
    let mut last: Vec<&str> = Vec::new();
    for text in existing {
        let record = publication::read(text.as_bytes()).ok()?;
        if existing.len() > 1 && (record.redirect.is_some() || record.exp.is_some()) {
            return None;
        }
        for term in text.split(' ').skip(1).filter(|term| !term.is_empty()) {
            match mechanism(term) {
                Some(Mechanism::All) if existing.len() > 1 => last.push(term),
                Some(mechanism) if own.contains(&mechanism) => {}
                Some(_) | None if terms.iter().any(|there| there == term) => {}
                Some(_) | None => terms.push(term.to_owned()),
            }
        }
    }
    match last.as_slice() {
        [] if existing
            .iter()
            .all(|text| text.trim().len() == "v=spf1".len()) =>
        {
            terms.push("~all".to_owned());
        }
        [] => {}
        [first, rest @ ..] if rest.iter().all(|other| other == first) => {
            terms.push((*first).to_owned());
        }
        // The records disagree about everybody else: to say "suspicious" breaks nobody's mail.
        [..] => terms.push("~all".to_owned()),
    }
    Some(format!("v=spf1 {}", terms.join(" ")))
}

/// A term as a mechanism, if it is one.
fn mechanism(term: &str) -> Option<Mechanism> {
    let record = Record::parse(&format!("v=spf1 {term}").to_ascii_lowercase()).ok()?;
    let [directive] = <[_; 1]>::try_from(record.directives).ok()?;
    Some(directive.mechanism)
}

/// What stands for this relay in a record. A name without a dot stands for nothing out there.
fn terms_of(criteria: &Criteria, relay: &Relay) -> Option<Vec<String>> {
    if let Some(name) = &relay.include {
        return Some(vec![format!("include:{name}")]);
    }
    let egress = relay.requirements.iter().find_map(|requirement| {
        if let Requirement::Pass { egress } = requirement {
            Some(egress)
        } else {
            None
        }
    });
    match egress {
        Some(networks) => Some(
            networks
                .iter()
                .map(|network| {
                    let family = match network.addr() {
                        IpAddr::V4(_) => "ip4",
                        IpAddr::V6(_) => "ip6",
                    };
                    let single = network.prefix_len() == network.max_prefix_len();
                    if single {
                        format!("{family}:{}", network.addr())
                    } else {
                        format!("{family}:{network}")
                    }
                })
                .collect(),
        ),
        None if criteria.helo.as_str().contains('.') => Some(vec![format!("a:{}", criteria.helo)]),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EGRESS: &str = "192.0.2.1/32";

    fn name(text: &str) -> DnsName {
        DnsName::parse(text).unwrap()
    }

    fn relay(include: Option<&str>, egress: bool) -> Relay {
        let include = include.map(name);
        let reach = include.clone().map(|relay| Requirement::Include {
            relay,
            address: None,
        });
        let pass = egress.then(|| Requirement::Pass {
            egress: vec![EGRESS.parse().unwrap()],
        });
        Relay {
            include,
            requirements: reach.into_iter().chain(pass).collect(),
        }
    }

    fn texts(records: &[&str]) -> Arc<Answer> {
        let texts = records.iter().map(|text| Arc::from(text.as_bytes()));
        Arc::new(match records {
            [] => Answer::NoData,
            _ => Answer::Records(Records::Txt(texts.collect())),
        })
    }

    /// The advice for a domain with these records, by the strictest requirement there is.
    fn advice(relay: &Relay, helo: &str, records: &[&str]) -> Advice {
        let spf = relay.requirements.last().cloned();
        let criteria = Criteria {
            lockdown_label: "_outgate".to_owned(),
            spf: spf.unwrap_or(Requirement::Published),
            dmarc: false,
            helo: name(helo),
        };
        let mut known = Known::default();
        for (owner, records) in [
            ("example.com", records),
            ("spf.relay.test", &["v=spf1 ip4:192.0.2.1 -all"]),
            ("empty.test", &["v=spf1 ip4:198.51.100.1 -all"]),
            ("dead.test", &[]),
        ] {
            known.insert(Query::txt(name(owner)), texts(records));
        }
        let identity = Identity {
            domain: &name("example.com"),
            local: "postmaster",
            helo: &criteria.helo,
        };
        let found = spf::assess(&criteria.spf, &identity, &known, &spf::Shelf::default()).unwrap();
        look(&criteria, relay, &identity, &found, &known).unwrap()
    }

    #[test]
    fn this_relay_comes_in_front_and_once() {
        let both = relay(Some("spf.relay.test"), true);
        for (records, record) in [
            (&[] as &[&str], "v=spf1 include:spf.relay.test ~all"),
            (&["v=spf1"], "v=spf1 include:spf.relay.test ~all"),
            (&["v=spf1 -all"], "v=spf1 include:spf.relay.test -all"),
            (
                &["v=spf1  ip4:198.51.100.1  ~all "],
                "v=spf1 include:spf.relay.test ip4:198.51.100.1 ~all",
            ),
            (
                &["v=spf1 ?ip4:192.0.2.0/24 +all INCLUDE:SPF.relay.test"],
                "v=spf1 include:spf.relay.test ?ip4:192.0.2.0/24 +all",
            ),
            (
                &["v=spf1 -include:spf.relay.test redirect=empty.test"],
                "v=spf1 include:spf.relay.test redirect=empty.test",
            ),
        ] {
            let advice = advice(&both, "mail.relay.test", records);
            assert_eq!(advice.record.as_deref(), Some(record), "{records:?}");
            assert_eq!(advice.words, None, "{records:?}");
        }
        let addresses = advice(&relay(None, true), "vm", &[]);
        assert_eq!(
            addresses.record.as_deref(),
            Some("v=spf1 ip4:192.0.2.1 ~all")
        );
    }

    #[test]
    fn several_records_become_one() {
        let both = relay(Some("spf.relay.test"), true);
        for (records, record) in [
            (
                [
                    "v=spf1 ip4:198.51.100.1 -all",
                    "v=spf1 ip4:198.51.100.2 -all",
                ],
                Some("v=spf1 include:spf.relay.test ip4:198.51.100.1 ip4:198.51.100.2 -all"),
            ),
            (
                [
                    "v=spf1 ip4:198.51.100.1 ?all",
                    "v=spf1 ip4:198.51.100.1 -all",
                ],
                Some("v=spf1 include:spf.relay.test ip4:198.51.100.1 ~all"),
            ),
            (
                ["v=spf1 include:spf.relay.test ~all", "v=spf1 -all"],
                Some("v=spf1 include:spf.relay.test ~all"),
            ),
            (["v=spf1 redirect=empty.test", "v=spf1 -all"], None),
            (["v=spf1 ipv4:192.0.2.1 -all", "v=spf1 -all"], None),
        ] {
            let advice = advice(&both, "mail.relay.test", &records);
            assert_eq!(advice.record.as_deref(), record, "{records:?}");
            let words = advice.words.unwrap();
            assert!(words.contains("into one record"), "{records:?}: {words}");
        }
    }

    #[test]
    fn what_would_not_help_is_not_advised() {
        let both = relay(Some("spf.relay.test"), true);
        for record in [
            "v=spf1 ipv4:192.0.2.1 -all",
            "v=spf1 include:dead.test include:spf.relay.test -all",
            "v=spf1 include:spf.relay.test include:spf.relay.test/24 -all",
        ] {
            let advice = advice(&both, "mail.relay.test", &[record]);
            assert_eq!(advice, Advice::words("mend that first"), "{record}");
        }
        // The relay's own record does not have its address.
        let wrong = relay(Some("empty.test"), true);
        let advice_for = advice(&wrong, "mail.relay.test", &[]);
        assert_eq!(advice_for.record, None);
        let words = advice_for.words.unwrap();
        assert!(
            words.contains("include:empty.test") && words.contains("192.0.2.1"),
            "{words}"
        );
    }

    #[test]
    fn a_host_name_without_a_dot_stands_for_nothing() {
        let nothing = relay(None, false);
        let unset = advice(&nothing, "vm", &[]);
        assert_eq!(unset.record, None);
        assert!(unset.words.unwrap().contains("set relay.spf-include"));
        let record = advice(&nothing, "mail.relay.test", &[]).record;
        assert_eq!(record.as_deref(), Some("v=spf1 a:mail.relay.test ~all"));
    }
}
