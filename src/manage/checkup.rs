//! `domain check` as scripts see it: what the world sees of a domain, and what is to be published.

use serde::Serialize;

use super::view::ChallengeView;
use crate::model::domain::Domain;
use crate::model::user::DomainRecord;
use crate::spf::tree::Visit;
use crate::spf::{Assessment, Requirement, Shortfall};
use crate::standing::advice::Advice;
use crate::standing::challenge::Found;
use crate::standing::checkup::{Checkup, Mail, Relay};
use crate::standing::dmarc::{self, Dmarc};
use crate::standing::lockdown::Lockdown;
use crate::standing::{Criteria, Outage};

/// All of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CheckupView {
    /// A-labels.
    pub domain: String,
    /// U-labels, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unicode: Option<String>,
    /// The account that has it; `None`: it was never added.
    pub account: Option<String>,
    /// Nothing is missing.
    pub ok: bool,
    /// What was looked at, in order.
    pub checks: Vec<Check>,
    /// The SPF records.
    pub spf: SpfView,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// `challenge`, `spf`, `dmarc`, `mx` or `lockdown`.
    pub check: &'static str,
    /// How it came out.
    pub outcome: Health,
    /// What was found.
    pub detail: String,
    /// The record that is to be published, where that would mend it.
    pub publish: Option<ChallengeView>,
}

/// How a check came out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// As it should be.
    Ok,
    /// Not there.
    Missing,
    /// There, and not as it should be.
    Wrong,
    /// DNS does not answer.
    Unknown,
}

/// The SPF records.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct SpfView {
    /// What this site requires: `published`, `include` or `pass`.
    pub required: &'static str,
    /// The record, if there is one and no more.
    pub record: Option<String>,
    /// Terms that need look-ups, of the ten that are allowed, over the whole tree.
    pub lookups: usize,
    /// Look-ups that found nothing, of the two that are allowed.
    pub voids: usize,
    /// Whether the record leads to `relay.spf-include`; `None`: that is not set, or DNS does not say.
    pub include: Option<bool>,
    /// Whether it passes for `relay.egress`; `None`: that is not set, or DNS does not say.
    pub pass: Option<bool>,
    /// How it leads to this relay, or where that fails.
    pub chain: String,
    /// The records in the order in which a receiver reads them.
    pub tree: VisitView,
}

/// One record of the tree.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct VisitView {
    /// Where it stands.
    pub name: String,
    /// Its text; `None`: there is none, or more than one, or it is not known.
    pub record: Option<String>,
    /// What is wrong with it as a whole, or why it is not known.
    pub fault: Option<String>,
    /// Its terms.
    pub terms: Vec<TermView>,
}

/// One term of a record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TermView {
    /// As it is understood.
    pub term: String,
    /// What came of it.
    pub outcome: String,
    /// The record that it leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inside: Option<Box<VisitView>>,
}

impl CheckupView {
    /// Puts the findings into words; `record`: the domain as it was added, if it was.
    pub fn new(
        domain: &Domain,
        record: Option<&DomainRecord>,
        checkup: &Checkup,
        criteria: &Criteria,
        relay: &Relay,
    ) -> CheckupView {
        let mut checks = Vec::new();
        if let (Some(record), Some(found)) = (record, &checkup.challenge) {
            checks.push(challenge(record, found));
        }
        checks.push(spf(domain, checkup, criteria));
        checks.push(dmarc(domain, &checkup.dmarc));
        checks.push(mail(&checkup.mail));
        checks.push(lockdown(&checkup.lockdown));
        CheckupView {
            domain: domain.to_string(),
            unicode: Some(domain.unicode()).filter(|name| name != domain.as_str()),
            account: record.map(|record| record.account.to_string()),
            ok: checks.iter().all(|check| check.outcome == Health::Ok),
            checks,
            spf: SpfView::new(checkup, criteria, relay),
        }
    }

    /// The worst that was found.
    pub fn health(&self) -> Health {
        let has = |health| self.checks.iter().any(|check| check.outcome == health);
        [Health::Missing, Health::Wrong, Health::Unknown]
            .into_iter()
            .find(|health| has(*health))
            .unwrap_or(Health::Ok)
    }
}

impl SpfView {
    fn new(checkup: &Checkup, criteria: &Criteria, relay: &Relay) -> SpfView {
        let met = |wanted: &str| {
            let place = relay
                .requirements
                .iter()
                .position(|requirement| word(requirement) == wanted)?;
            match &checkup.others.get(place)?.verdict {
                Ok(()) => Some(true),
                Err(Shortfall::Unavailable { .. } | Shortfall::Undecided { .. }) => None,
                Err(
                    Shortfall::Missing
                    | Shortfall::Invalid(_)
                    | Shortfall::NotIncluding { .. }
                    | Shortfall::NotPassing { .. },
                ) => Some(false),
            }
        };
        let chain = |assessment: &Assessment| {
            let decisive = assessment.evaluations.last();
            decisive.map_or_else(String::new, |evaluation| evaluation.tree.chain())
        };
        SpfView {
            required: word(&criteria.spf),
            record: checkup.record.clone(),
            lookups: checkup.survey.lookups,
            voids: checkup.survey.voids,
            include: met("include"),
            pass: met("pass"),
            chain: chain(&checkup.spf),
            tree: VisitView::from(&checkup.survey.tree),
        }
    }
}

impl From<&Visit> for VisitView {
    fn from(visit: &Visit) -> VisitView {
        VisitView {
            name: visit.name.to_string(),
            record: visit.record.clone(),
            fault: match (&visit.fault, visit.trouble) {
                (Some(fault), _) => Some(fault.kind.to_string()),
                (None, Some(trouble)) => Some(format!("cannot be looked up: {trouble}")),
                (None, None) => None,
            },
            terms: visit
                .steps
                .iter()
                .map(|step| TermView {
                    term: step.term.clone(),
                    outcome: step.outcome.to_string(),
                    inside: step
                        .inside
                        .as_deref()
                        .map(|inside| Box::new(VisitView::from(inside))),
                })
                .collect(),
        }
    }
}

/// The word for a requirement in the configuration.
pub fn word(requirement: &Requirement) -> &'static str {
    match requirement {
        Requirement::Published => "published",
        Requirement::Include { .. } => "include",
        Requirement::Pass { .. } => "pass",
    }
}

fn txt(name: String, value: String) -> Option<ChallengeView> {
    Some(ChallengeView {
        name,
        kind: "TXT",
        value,
    })
}

fn unknown(check: &'static str, outage: &Outage) -> Check {
    Check {
        check,
        outcome: Health::Unknown,
        detail: outage.to_string(),
        publish: None,
    }
}

fn challenge(record: &DomainRecord, found: &Result<Found, Outage>) -> Check {
    let (outcome, detail) = match found {
        Err(outage) => return unknown("challenge", outage),
        Ok(Found::Right) => (Health::Ok, "published; now: outgate domain verify"),
        Ok(Found::Others { .. }) => (Health::Wrong, "the records there say something else"),
        Ok(Found::Nothing) => (Health::Missing, "not published"),
    };
    Check {
        check: "challenge",
        outcome,
        detail: detail.to_owned(),
        publish: (outcome != Health::Ok).then(|| ChallengeView::from(record)),
    }
}

fn spf(domain: &Domain, checkup: &Checkup, criteria: &Criteria) -> Check {
    let (outcome, detail) = match &checkup.spf.verdict {
        Ok(()) => (Health::Ok, format!("{}: as required", word(&criteria.spf))),
        Err(Shortfall::Unavailable { query, trouble }) => {
            let (query, trouble) = (query.clone(), *trouble);
            return unknown("spf", &Outage { query, trouble });
        }
        Err(shortfall @ Shortfall::Missing) => (Health::Missing, shortfall.to_string()),
        Err(
            shortfall @ (Shortfall::Invalid(_)
            | Shortfall::NotIncluding { .. }
            | Shortfall::NotPassing { .. }
            | Shortfall::Undecided { .. }),
        ) => (Health::Wrong, shortfall.to_string()),
    };
    let Advice { record, words } = &checkup.advice;
    Check {
        check: "spf",
        outcome,
        detail: match words {
            Some(words) => format!("{detail}; {words}"),
            None => detail,
        },
        publish: record
            .clone()
            .and_then(|value| txt(domain.to_string(), value)),
    }
}

fn dmarc(domain: &Domain, found: &Result<Dmarc, Outage>) -> Check {
    let (outcome, detail) = match found {
        Err(outage) => return unknown("dmarc", outage),
        Ok(dmarc) => {
            let outcome = match dmarc {
                Dmarc::Published(_) => Health::Ok,
                Dmarc::Missing => Health::Missing,
                Dmarc::Several(_) => Health::Wrong,
            };
            (outcome, dmarc.words(domain))
        }
    };
    let name = || Some(dmarc::name(domain)?.to_string());
    Check {
        check: "dmarc",
        outcome,
        detail,
        // Where there are two already, a third is not what is missing.
        publish: if outcome == Health::Missing {
            name().and_then(|name| txt(name, "v=DMARC1; p=none".to_owned()))
        } else {
            None
        },
    }
}

fn mail(found: &Result<Mail, Outage>) -> Check {
    let (outcome, detail) = match found {
        Err(outage) => return unknown("mx", outage),
        Ok(Mail::Exchangers(hosts)) => {
            let hosts: Vec<_> = hosts
                .iter()
                .map(|(at, host)| format!("{at} {host}"))
                .collect();
            (Health::Ok, hosts.join(", "))
        }
        Ok(Mail::Implicit) => (
            Health::Ok,
            "no MX record: mail goes to the domain's own address".to_owned(),
        ),
        Ok(Mail::Refused) => (
            Health::Wrong,
            "a null MX record: the domain takes no mail, so bounces go nowhere, and receivers may \
             refuse it as a sender"
                .to_owned(),
        ),
        Ok(Mail::Nowhere) => (
            Health::Missing,
            "neither MX record nor address: bounces go nowhere, and receivers may refuse the \
             domain as a sender"
                .to_owned(),
        ),
    };
    Check {
        check: "mx",
        outcome,
        detail,
        publish: None,
    }
}

/// No lockdown is a choice; one that cannot be read was meant otherwise.
fn lockdown(found: &Result<Lockdown, Outage>) -> Check {
    let outcome = match found {
        Err(outage) => return unknown("lockdown", outage),
        Ok(Lockdown::Open | Lockdown::Listed(_)) => Health::Ok,
        Ok(Lockdown::Unreadable(_) | Lockdown::TooMuch) => Health::Wrong,
    };
    Check {
        check: "lockdown",
        outcome,
        detail: found.as_ref().map(ToString::to_string).unwrap_or_default(),
        publish: None,
    }
}
