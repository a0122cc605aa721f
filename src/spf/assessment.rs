//! The three requirements, and `check_host()`, on top of the walk.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use crate::model::dns::{DnsName, Query, Unknown};

use super::end::{End, Stop};
use super::library::Library;
use super::record::{Qualifier, Record, Redirect};
use super::second_opinion::{self, Opinion};
use super::tree::{Fault, FaultKind, Outcome, Visit};
use super::walk::{Aim, Walk};
use super::{
    Assessment, Checked, Evaluation, Identity, Judge, MOST_EVALUATIONS, Shortfall, SpfResult,
};

/// Exactly one record, valid as a whole, and not just `-all`.
pub(super) fn published(
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Assessment, Unknown> {
    let aim = Aim::Relay {
        name: None,
        address: None,
    };
    let walk = Walk::new(aim, identity, library);
    let (mut visit, found) = walk.read(identity.domain)?;
    let verdict = match found {
        Ok(Some(record)) => {
            list(&record, &mut visit);
            counts(&record, identity.domain, &mut visit)
        }
        Ok(None) => Err(Shortfall::Missing),
        Err(stop) => Err(stop.into()),
    };
    Ok(concluded(verdict, visit, &walk))
}

/// Reaches the relay. The relay's own name is a name like any other: only an account that has
/// verified it may send as it.
pub(super) fn include(
    relay: &DnsName,
    address: Option<IpAddr>,
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Assessment, Unknown> {
    let aim = Aim::Relay {
        name: Some(relay),
        address: address.map(|address| address.to_canonical()),
    };
    let mut walk = Walk::new(aim, identity, library);
    let (mut visit, found) = walk.read(identity.domain)?;
    if let Ok(Some(record)) = found
        && let Err(shortfall) = counts(&record, identity.domain, &mut visit)
    {
        list(&record, &mut visit);
        return Ok(concluded(Err(shortfall), visit, &walk));
    }
    let (visit, end) = walk.visit(identity.domain, true)?;
    let verdict = match end {
        End::Hit => Ok(()),
        // Nothing matches on this walk.
        End::Through | End::Match(_) => Err(Shortfall::NotIncluding {
            relay: relay.clone(),
        }),
        End::NoRecord => Err(Shortfall::Missing),
        End::Stop(stop) => Err(stop.into()),
    };
    Ok(concluded(verdict, visit, &walk))
}

/// A walk on which nothing is hit. IPv4 stands for the client wherever a family matters.
pub(super) fn survey(
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Evaluation, Unknown> {
    let aim = Aim::Relay {
        name: None,
        address: None,
    };
    let mut walk = Walk::new(aim, identity, library);
    let (tree, _) = walk.visit(identity.domain, false)?;
    Ok(walk.evaluation(tree))
}

/// Passes for at least one egress entry, by both judges. The first entry mostly says it all, so it is
/// tried by itself; what the others want to know is asked side by side.
pub(super) fn pass(
    egress: &[IpNet],
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Assessment, Unknown> {
    let mut tried = Tried::default();
    for (number, entry) in egress.iter().enumerate() {
        let shortfall = match tried.entry(entry, identity, library) {
            Some(None) => return Ok(tried.concluded(Ok(()))),
            Some(Some(shortfall)) => shortfall,
            None if number == 0 => break,
            None => continue,
        };
        let too_much = matches!(
            &shortfall,
            Shortfall::Invalid(fault) if fault.kind == FaultKind::TooMuch
        );
        tried.fails(shortfall);
        if too_much {
            break;
        }
    }
    if !tried.open.is_empty() {
        return Err(Unknown(tried.open.into_iter().collect()));
    }
    // A configuration without any egress address does not get here; nothing could pass.
    let worst = tried.worst.take().unwrap_or(Shortfall::Undecided {
        address: Ipv4Addr::UNSPECIFIED.into(),
    });
    Ok(tried.concluded(Err(worst)))
}

/// What came of the egress entries that have been tried.
#[derive(Default)]
struct Tried {
    evaluations: Vec<Evaluation>,
    depends_on_sender: bool,
    worst: Option<Shortfall>,
    open: BTreeSet<Query>,
}

impl Tried {
    /// Tries an entry: what is in the way of *pass*, or `None` if something has to be asked first.
    fn entry(
        &mut self,
        entry: &IpNet,
        identity: &Identity<'_>,
        library: &Library<'_>,
    ) -> Option<Option<Shortfall>> {
        let mut known = true;
        for address in ends(entry) {
            match self.address(address, identity, library) {
                Ok(None) => {}
                Ok(Some(shortfall)) => return Some(Some(shortfall)),
                Err(Unknown(queries)) => {
                    self.open.extend(queries);
                    known = false;
                }
            }
        }
        known.then_some(None)
    }

    fn address(
        &mut self,
        address: IpAddr,
        identity: &Identity<'_>,
        library: &Library<'_>,
    ) -> Result<Option<Shortfall>, Unknown> {
        let checked = check_host(address, identity, library)?;
        self.depends_on_sender |= checked.depends_on_sender;
        self.evaluations.truncate(MOST_EVALUATIONS - 1);
        self.evaluations.push(checked.evaluation);
        match checked.shortfall {
            Some(shortfall) => Ok(Some(shortfall)),
            None => confirm(address, checked.result, identity, library),
        }
    }

    fn fails(&mut self, shortfall: Shortfall) {
        self.worst = Some(match self.worst.take() {
            Some(before) if before.weight() >= shortfall.weight() => before,
            _ => shortfall,
        });
    }

    fn concluded(self, verdict: Result<(), Shortfall>) -> Assessment {
        Assessment {
            verdict,
            evaluations: self.evaluations,
            depends_on_sender: self.depends_on_sender,
        }
    }
}

/// The first and the last address of a network; one if they are the same.
fn ends(entry: &IpNet) -> Vec<IpAddr> {
    let mut ends = vec![entry.network(), entry.broadcast()];
    ends.dedup();
    ends.iter().map(IpAddr::to_canonical).collect()
}

/// What is in the way of *pass* when our own walk has said `result`.
fn confirm(
    address: IpAddr,
    result: SpfResult,
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Option<Shortfall>, Unknown> {
    if result == SpfResult::None {
        return Ok(Some(Shortfall::Missing));
    }
    if result != SpfResult::Pass {
        return Ok(Some(Shortfall::NotPassing {
            address,
            result,
            by: Judge::Own,
        }));
    }
    Ok(
        match second_opinion::ask(address, identity, library.known())? {
            Opinion::Pass => None,
            Opinion::Other(result) => Some(Shortfall::NotPassing {
                address,
                result,
                by: Judge::MailAuth,
            }),
            Opinion::Unavailable(query, trouble) => Some(Shortfall::Unavailable { query, trouble }),
            Opinion::Undecided => Some(Shortfall::Undecided { address }),
        },
    )
}

/// `check_host()`.
pub(super) fn check_host(
    ip: IpAddr,
    identity: &Identity<'_>,
    library: &Library<'_>,
) -> Result<Checked, Unknown> {
    let ip = ip.to_canonical();
    let mut walk = Walk::new(Aim::Client(ip), identity, library);
    // A single label is no domain that sends mail (RFC 7208 4.3).
    let (tree, end) = match identity.domain.as_str().contains('.') {
        true => walk.visit(identity.domain, false)?,
        false => (Visit::new(identity.domain), End::NoRecord),
    };
    let (result, shortfall) = match end {
        End::Match(Qualifier::Pass) => (SpfResult::Pass, None),
        End::Match(Qualifier::Fail) => (SpfResult::Fail, None),
        End::Match(Qualifier::SoftFail) => (SpfResult::SoftFail, None),
        End::Match(Qualifier::Neutral) => (SpfResult::Neutral, None),
        // Nothing is hit on this walk.
        End::Through | End::Hit => (SpfResult::Neutral, None),
        End::NoRecord => (SpfResult::None, None),
        End::Stop(stop @ Stop::Fault(_)) => (SpfResult::PermError, Some(stop.into())),
        End::Stop(stop @ Stop::Unavailable(..)) => (SpfResult::TempError, Some(stop.into())),
    };
    Ok(Checked {
        result,
        shortfall,
        depends_on_sender: walk.depends_on_sender,
        evaluation: Evaluation {
            address: Some(ip),
            result: Some(result),
            ..walk.evaluation(tree)
        },
    })
}

/// Whether a record counts as published at all.
fn counts(record: &Record, domain: &DnsName, visit: &mut Visit) -> Result<(), Shortfall> {
    if !record.never_sends() {
        return Ok(());
    }
    let fault = Fault {
        record: domain.clone(),
        term: None,
        kind: FaultKind::NeverSends,
    };
    visit.fault = Some(fault.clone());
    Err(Shortfall::Invalid(fault))
}

/// Shows the terms of a record that was read and not walked.
fn list(record: &Record, visit: &mut Visit) {
    for directive in &record.directives {
        visit.push(directive, Outcome::NotReached, None);
    }
    if let Some(redirect) = &record.redirect {
        visit.push(&Redirect(redirect), Outcome::NotReached, None);
    }
}

fn concluded(verdict: Result<(), Shortfall>, tree: Visit, walk: &Walk<'_>) -> Assessment {
    Assessment {
        verdict,
        depends_on_sender: walk.depends_on_sender,
        evaluations: vec![walk.evaluation(tree)],
    }
}

impl Shortfall {
    /// Which of two is told: what may be over in a moment before what somebody has to mend, and
    /// that before what the records really say.
    fn weight(&self) -> u8 {
        match self {
            Shortfall::Unavailable { .. } => 4,
            Shortfall::Undecided { .. } => 3,
            Shortfall::Invalid(_) => 2,
            Shortfall::NotPassing { .. } => 1,
            Shortfall::Missing | Shortfall::NotIncluding { .. } => 0,
        }
    }
}

impl From<Stop> for Shortfall {
    fn from(stop: Stop) -> Shortfall {
        match stop {
            Stop::Fault(fault) => Shortfall::Invalid(fault),
            Stop::Unavailable(query, trouble) => Shortfall::Unavailable { query, trouble },
        }
    }
}
