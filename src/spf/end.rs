//! How a term, a record and a walk end.

use std::fmt;

use crate::model::dns::{DnsName, Query, Trouble, Unknown};

use super::record::Qualifier;
use super::tree::{Fault, FaultKind, Outcome, Visit, shown};

/// How a record ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// A mechanism matched.
    Match(Qualifier),
    /// Everything was looked at, and nothing decided.
    Through,
    /// The relay is included.
    Hit,
    /// There is no record.
    NoRecord,
    /// The whole walk ends.
    Stop(Stop),
}

/// Why a walk ends before its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Stop {
    Fault(Fault),
    Unavailable(Query, Trouble),
}

/// Why a look-up has no answer to go on with.
pub(super) enum Halt {
    Unknown(Unknown),
    Unavailable(Query, Trouble),
    Fault(FaultKind),
}

impl From<Unknown> for Halt {
    fn from(unknown: Unknown) -> Halt {
        Halt::Unknown(unknown)
    }
}

impl From<FaultKind> for Halt {
    fn from(kind: FaultKind) -> Halt {
        Halt::Fault(kind)
    }
}

/// What a term came to, and the record that it led to.
pub(super) struct Met {
    pub(super) outcome: Outcome,
    pub(super) inside: Option<Box<Visit>>,
    /// `None`: the walk goes on with the next term.
    pub(super) end: Option<End>,
}

impl Met {
    pub(super) fn only(outcome: Outcome) -> Met {
        Met {
            outcome,
            inside: None,
            end: None,
        }
    }
}

/// Says where a fault is, and lets what is unknown through.
pub(super) fn settle(
    met: Result<Met, Halt>,
    domain: &DnsName,
    term: &dyn fmt::Display,
) -> Result<Met, Unknown> {
    let fault = |kind| {
        Stop::Fault(Fault {
            record: domain.clone(),
            term: Some(shown(&term.to_string())),
            kind,
        })
    };
    let (stop, inside) = match met {
        Ok(Met {
            outcome: Outcome::Fault(kind),
            inside,
            end: None,
        }) => (fault(kind), inside),
        Ok(met) => return Ok(met),
        Err(Halt::Unknown(unknown)) => return Err(unknown),
        Err(Halt::Unavailable(query, trouble)) => (Stop::Unavailable(query, trouble), None),
        Err(Halt::Fault(kind)) => (fault(kind), None),
    };
    Ok(Met {
        outcome: stop.outcome(),
        inside,
        end: Some(End::Stop(stop)),
    })
}

impl Stop {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Stop::Fault(fault) => Outcome::Fault(fault.kind.clone()),
            Stop::Unavailable(query, trouble) => Outcome::Unavailable(query.clone(), *trouble),
        }
    }
}
