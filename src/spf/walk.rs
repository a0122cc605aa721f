//! The walk over SPF records: one for `check_host()` and for the search for an include.
//!
//! Strictly from left to right, within the limits of RFC 7208 4.6.4, which count over the whole
//! tree: ten terms that cost a look-up (so the recursion ends), two look-ups that find nothing,
//! ten mail exchangers a term. It reads answers that are known; it asks nobody.

use std::net::IpAddr;
use std::sync::Arc;

use crate::model::dns::{DnsName, Unknown};

use super::addresses::needs_address;
use super::end::{End, Halt, Met, Stop, settle};
use super::library::Library;
use super::macro_string::{Expansion, MacroString};
use super::record::{Directive, Mechanism, Prefixes, Qualifier, Record, Redirect};
use super::tree::{Fault, FaultKind, Outcome, Visit, shown};
use super::{Evaluation, Identity};

/// Terms that cost a look-up, over the whole tree.
const MAX_LOOKUPS: usize = 10;
/// Look-ups that find nothing, over the whole tree.
const MAX_VOIDS: usize = 2;

/// What a walk is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim<'a> {
    /// What the records say about a client: a match ends the walk.
    Client(IpAddr),
    /// Whether the records include the relay: the include ends the walk, and no match does.
    Relay {
        /// What is to be included; `None` to see everything there is.
        name: Option<&'a DnsName>,
        /// What `%{i}` stands for.
        address: Option<IpAddr>,
    },
}

/// The record at a name, if there is one that can be read.
pub(super) type Found = Result<Option<Arc<Record>>, Stop>;

/// A walk that has begun.
pub(super) struct Walk<'a> {
    pub(super) aim: Aim<'a>,
    identity: &'a Identity<'a>,
    pub(super) library: &'a Library<'a>,
    pub(super) lookups: usize,
    pub(super) voids: usize,
    pub(super) depends_on_sender: bool,
}

impl<'a> Walk<'a> {
    /// Begins one.
    pub(super) fn new(
        aim: Aim<'a>,
        identity: &'a Identity<'a>,
        library: &'a Library<'a>,
    ) -> Walk<'a> {
        Walk {
            aim,
            identity,
            library,
            lookups: 0,
            voids: 0,
            depends_on_sender: false,
        }
    }

    /// What the walk has seen and cost.
    pub(super) fn evaluation(&self, tree: Visit) -> Evaluation {
        Evaluation {
            address: None,
            result: None,
            tree,
            lookups: self.lookups,
            voids: self.voids,
        }
    }

    /// Looks for the record of a name and reads it, without looking at its terms.
    pub(super) fn read(&self, name: &DnsName) -> Result<(Visit, Found), Unknown> {
        let mut visit = Visit::new(name);
        let found = match self.record_at(name, &mut visit) {
            Ok(found) => Ok(found),
            Err(Halt::Unknown(unknown)) => return Err(unknown),
            Err(Halt::Unavailable(query, trouble)) => {
                visit.trouble = Some(trouble);
                Err(Stop::Unavailable(query, trouble))
            }
            Err(Halt::Fault(kind)) => {
                let fault = Fault {
                    record: name.clone(),
                    term: None,
                    kind,
                };
                visit.fault = Some(fault.clone());
                Err(Stop::Fault(fault))
            }
        };
        Ok((visit, found))
    }

    fn record_at(&self, name: &DnsName, visit: &mut Visit) -> Result<Option<Arc<Record>>, Halt> {
        let Some(text) = self.library.text(name)? else {
            return Ok(None);
        };
        visit.record = Some(shown(&String::from_utf8_lossy(text)));
        Ok(Some(self.library.record(name, text)?))
    }

    /// Walks the record of a name. `reach` is whether an include of the relay would count here.
    pub(super) fn visit(&mut self, name: &DnsName, reach: bool) -> Result<(Visit, End), Unknown> {
        let (mut visit, found) = self.read(name)?;
        let record = match found {
            Ok(Some(record)) => record,
            Ok(None) => return Ok((visit, End::NoRecord)),
            Err(stop) => return Ok((visit, End::Stop(stop))),
        };
        let end = self.record(&record, name, reach, &mut visit)?;
        Ok((visit, end))
    }

    fn record(
        &mut self,
        record: &Record,
        name: &DnsName,
        reach: bool,
        visit: &mut Visit,
    ) -> Result<End, Unknown> {
        let mut end = None;
        let reachable = record.reachable().len();
        for (number, directive) in record.directives.iter().enumerate() {
            let met = match end.is_some() || number >= reachable {
                true => Met::only(Outcome::NotReached),
                false => self.directive(directive, name, reach)?,
            };
            visit.push(directive, met.outcome, met.inside);
            end = end.or(met.end);
        }
        if let Some(redirect) = &record.redirect {
            let term = Redirect(redirect);
            let met = match record.effective_redirect() {
                Some(target) if end.is_none() => {
                    let met = self.follow(target, name, reach, Link::Redirect);
                    settle(met, name, &term)?
                }
                _ => Met::only(Outcome::NotReached),
            };
            visit.push(&term, met.outcome, met.inside);
            end = end.or(met.end);
        }
        Ok(end.unwrap_or(End::Through))
    }

    /// One mechanism; what goes wrong in it is told with the record and the term.
    fn directive(
        &mut self,
        directive: &Directive,
        domain: &DnsName,
        reach: bool,
    ) -> Result<Met, Unknown> {
        let qualifier = directive.qualifier;
        let met = match &directive.mechanism {
            Mechanism::All => Ok(Met::only(self.matched(true))),
            Mechanism::Include(target) => {
                let reach = reach && qualifier == Qualifier::Pass;
                self.follow(target, domain, reach, Link::Include)
            }
            Mechanism::A(target, prefixes) => self.addresses(target.as_ref(), *prefixes, domain),
            Mechanism::Mx(target, prefixes) => self.exchangers(target.as_ref(), *prefixes, domain),
            Mechanism::Ptr(_) => self
                .count()
                .map(|()| Met::only(Outcome::NotFollowed("names of addresses prove nothing"))),
            Mechanism::Ip4(network, bits) => {
                let prefixes = Prefixes {
                    v4: *bits,
                    ..Prefixes::WHOLE
                };
                Ok(Met::only(self.within(IpAddr::V4(*network), prefixes)))
            }
            Mechanism::Ip6(network, bits) => {
                let prefixes = Prefixes {
                    v6: *bits,
                    ..Prefixes::WHOLE
                };
                Ok(Met::only(self.within(IpAddr::V6(*network), prefixes)))
            }
            Mechanism::Exists(target) => self.exists(target, domain),
        };
        let mut met = settle(met, domain, directive)?;
        if met.end.is_none() && met.outcome == Outcome::Match {
            met.end = Some(End::Match(qualifier));
        }
        Ok(met)
    }

    /// `include` and `redirect`: another record.
    fn follow(
        &mut self,
        target: &MacroString,
        domain: &DnsName,
        reach: bool,
        link: Link,
    ) -> Result<Met, Halt> {
        self.count()?;
        let name = match self.expand(Some(target), domain) {
            Expansion::Name(name) => name,
            // An include of what is no domain gives "none", which is an error there (5.2), and so
            // is such a redirect (6.1).
            Expansion::NoName => return Err(FaultKind::NoName.into()),
            Expansion::NeedsAddress => return Ok(needs_address()),
        };
        if let Aim::Relay { name: relay, .. } = self.aim
            && reach
            && relay == Some(&name)
        {
            return Ok(Met {
                outcome: Outcome::Hit,
                inside: None,
                end: Some(End::Hit),
            });
        }
        let (visit, end) = self.visit(&name, reach)?;
        let inside = Some(Box::new(visit));
        let (outcome, end) = match (end, link) {
            (End::Hit, _) => (Outcome::Hit, Some(End::Hit)),
            (End::Stop(stop), _) => (stop.outcome(), Some(End::Stop(stop))),
            (End::NoRecord, _) => {
                return Ok(Met {
                    outcome: Outcome::Fault(FaultKind::NothingThere(name)),
                    inside,
                    end: None,
                });
            }
            (End::Match(Qualifier::Pass), Link::Include) => (Outcome::Match, None),
            (End::Match(_), Link::Include) => (Outcome::NoMatch, None),
            (End::Match(qualifier), Link::Redirect) => {
                (Outcome::Match, Some(End::Match(qualifier)))
            }
            (End::Through, _) => (self.matched(false), None),
        };
        Ok(Met {
            outcome,
            inside,
            end,
        })
    }

    pub(super) fn expand(&mut self, target: Option<&MacroString>, domain: &DnsName) -> Expansion {
        let Some(target) = target else {
            return Expansion::Name(domain.clone());
        };
        if target.asks_for_sender() {
            self.depends_on_sender = true;
        }
        target.expand(domain, self.address(), self.identity)
    }

    pub(super) fn address(&self) -> Option<IpAddr> {
        match self.aim {
            Aim::Client(address) => Some(address),
            Aim::Relay { address, .. } => address,
        }
    }

    /// What a term that applies, or does not, means for the aim.
    pub(super) fn matched(&self, applies: bool) -> Outcome {
        match (self.aim, applies) {
            (Aim::Client(_), true) => Outcome::Match,
            (Aim::Client(_), false) => Outcome::NoMatch,
            (Aim::Relay { .. }, _) => Outcome::LookedUp,
        }
    }

    fn within(&self, network: IpAddr, prefixes: Prefixes) -> Outcome {
        match self.aim {
            Aim::Client(address) => self.matched(prefixes.agree(network, address)),
            Aim::Relay { .. } => self.matched(false),
        }
    }

    /// Counts a term that costs a look-up.
    pub(super) fn count(&mut self) -> Result<(), Halt> {
        if self.lookups == MAX_LOOKUPS {
            return Err(FaultKind::Lookups.into());
        }
        self.lookups += 1;
        Ok(())
    }

    /// Counts a look-up that found nothing.
    pub(super) fn void(&mut self) -> Result<Met, Halt> {
        self.voids += 1;
        if self.voids > MAX_VOIDS {
            return Err(FaultKind::Voids.into());
        }
        Ok(Met::only(Outcome::Void))
    }
}

/// Which term leads to another record: their results differ (RFC 7208 5.2 and 6.1).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    Include,
    Redirect,
}
