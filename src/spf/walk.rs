//! The walk over SPF records: one for `check_host()` and for the search for an include.
//!
//! Strictly from left to right, within the limits of RFC 7208 4.6.4, which count over the whole
//! tree: ten terms that cost a look-up (so the recursion ends), two look-ups that find nothing,
//! ten mail exchangers a term. It reads answers that are known; it asks nobody.

use std::net::IpAddr;

use crate::model::dns::{Answer, DnsName, Kind, Known, Query, Records, Trouble, Unknown};

use super::Identity;
use super::macro_string::{Expansion, MacroString};
use super::publication;
use super::record::{Directive, Mechanism, Prefixes, Qualifier, Record};
use super::tree::{Fault, FaultKind, Outcome, Step, Visit, shown};

/// Terms that cost a look-up, over the whole tree.
const MAX_LOOKUPS: usize = 10;
/// Look-ups that find nothing, over the whole tree.
const MAX_VOIDS: usize = 2;
/// Mail exchangers of one term.
const MAX_EXCHANGERS: usize = 10;

/// What a walk is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim<'a> {
    /// What the records say about a client: a match ends the walk.
    Client(IpAddr),
    /// Whether the records include the relay: the include ends the walk, and no match does.
    Relay {
        name: &'a DnsName,
        address: Option<IpAddr>,
    },
}

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
enum Halt {
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
struct Met {
    outcome: Outcome,
    inside: Option<Box<Visit>>,
    /// `None`: the walk goes on with the next term.
    end: Option<End>,
}

impl Met {
    fn only(outcome: Outcome) -> Met {
        Met {
            outcome,
            inside: None,
            end: None,
        }
    }
}

/// A walk that has begun.
pub(super) struct Walk<'a> {
    aim: Aim<'a>,
    identity: &'a Identity<'a>,
    known: &'a Known,
    pub(super) lookups: usize,
    pub(super) voids: usize,
    pub(super) depends_on_sender: bool,
}

impl<'a> Walk<'a> {
    /// Begins one.
    pub(super) fn new(aim: Aim<'a>, identity: &'a Identity<'a>, known: &'a Known) -> Walk<'a> {
        Walk {
            aim,
            identity,
            known,
            lookups: 0,
            voids: 0,
            depends_on_sender: false,
        }
    }

    /// Looks for the record of a name and reads it, without looking at its terms.
    pub(super) fn read(
        &self,
        name: &DnsName,
    ) -> Result<(Visit, Result<Option<Record>, Stop>), Unknown> {
        let mut visit = Visit::new(name);
        let found = match self.text(name, &mut visit) {
            Ok(found) => Ok(found),
            Err(Halt::Unknown(unknown)) => return Err(unknown),
            Err(Halt::Unavailable(query, trouble)) => Err(Stop::Unavailable(query, trouble)),
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

    fn text(&self, name: &DnsName, visit: &mut Visit) -> Result<Option<Record>, Halt> {
        let Some(Records::Txt(strings)) = self.ask(name, Kind::Txt)? else {
            return Ok(None);
        };
        let Some(text) = publication::select(strings)? else {
            return Ok(None);
        };
        visit.record = Some(shown(&String::from_utf8_lossy(text)));
        Ok(Some(publication::read(text)?))
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
            let term = shown(&directive.to_string());
            if end.is_some() || number >= reachable {
                visit.push(Step::not_reached(term));
                continue;
            }
            let met = self.directive(directive, name, reach, &term)?;
            end = met.end;
            visit.push(Step {
                term,
                outcome: met.outcome,
                inside: met.inside,
            });
        }
        if let Some(redirect) = &record.redirect {
            let term = shown(&format!("redirect={redirect}"));
            match record.effective_redirect() {
                Some(target) if end.is_none() => {
                    let met = self.redirect(target, name, reach, &term)?;
                    end = met.end;
                    visit.push(Step {
                        term,
                        outcome: met.outcome,
                        inside: met.inside,
                    });
                }
                _ => visit.push(Step::not_reached(term)),
            }
        }
        Ok(end.unwrap_or(End::Through))
    }

    /// One mechanism; what goes wrong in it is told with the record and the term.
    fn directive(
        &mut self,
        directive: &Directive,
        domain: &DnsName,
        reach: bool,
        term: &str,
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
        let mut met = settle(met, domain, term)?;
        if met.end.is_none() && met.outcome == Outcome::Match {
            met.end = Some(End::Match(qualifier));
        }
        Ok(met)
    }

    fn redirect(
        &mut self,
        target: &MacroString,
        domain: &DnsName,
        reach: bool,
        term: &str,
    ) -> Result<Met, Unknown> {
        let met = self.follow(target, domain, reach, Link::Redirect);
        settle(met, domain, term)
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
            && name == *relay
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

    fn addresses(
        &mut self,
        target: Option<&MacroString>,
        prefixes: Prefixes,
        domain: &DnsName,
    ) -> Result<Met, Halt> {
        self.count()?;
        let name = match self.expand(target, domain) {
            Expansion::Name(name) => name,
            Expansion::NoName => return Ok(no_name()),
            Expansion::NeedsAddress => return Ok(needs_address()),
        };
        match self.ask(&name, self.family())? {
            Some(records) => Ok(Met::only(self.any_within(records, prefixes))),
            None => self.void(),
        }
    }

    fn exchangers(
        &mut self,
        target: Option<&MacroString>,
        prefixes: Prefixes,
        domain: &DnsName,
    ) -> Result<Met, Halt> {
        self.count()?;
        let name = match self.expand(target, domain) {
            Expansion::Name(name) => name,
            Expansion::NoName => return Ok(no_name()),
            Expansion::NeedsAddress => return Ok(needs_address()),
        };
        let Some(Records::Mx(exchangers)) = self.ask(&name, Kind::Mx)? else {
            return self.void();
        };
        if exchangers.len() > MAX_EXCHANGERS {
            return Err(FaultKind::Exchangers(exchangers.len()).into());
        }
        let mut exchangers: Vec<&(u16, DnsName)> = exchangers.iter().collect();
        exchangers.sort();
        self.all_known(&exchangers)?;
        let mut outcome = self.matched(false);
        for (_, host) in exchangers {
            match self.ask(host, self.family())? {
                Some(records) => {
                    if self.any_within(records, prefixes) == Outcome::Match {
                        outcome = Outcome::Match;
                        break;
                    }
                }
                None => {
                    self.void()?;
                }
            }
        }
        Ok(Met::only(outcome))
    }

    /// Whether every exchanger's addresses are known; what is not is asked together.
    fn all_known(&self, exchangers: &[&(u16, DnsName)]) -> Result<(), Unknown> {
        let mut missing = Vec::new();
        for (_, host) in exchangers {
            let query = Query {
                name: host.clone(),
                kind: self.family(),
            };
            if self.known.get(&query).is_err() && !missing.contains(&query) {
                missing.push(query);
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Unknown(missing)),
        }
    }

    /// `exists` asks for IPv4 addresses, also for a client with IPv6 (5.7).
    fn exists(&mut self, target: &MacroString, domain: &DnsName) -> Result<Met, Halt> {
        self.count()?;
        let name = match self.expand(Some(target), domain) {
            Expansion::Name(name) => name,
            Expansion::NoName => return Ok(no_name()),
            Expansion::NeedsAddress => return Ok(needs_address()),
        };
        match self.ask(&name, Kind::A)? {
            Some(_) => Ok(Met::only(self.matched(true))),
            None => self.void(),
        }
    }

    fn expand(&mut self, target: Option<&MacroString>, domain: &DnsName) -> Expansion {
        let Some(target) = target else {
            return Expansion::Name(domain.clone());
        };
        if target.asks_for_sender() {
            self.depends_on_sender = true;
        }
        target.expand(domain, self.address(), self.identity)
    }

    fn address(&self) -> Option<IpAddr> {
        match self.aim {
            Aim::Client(address) => Some(address),
            Aim::Relay { address, .. } => address,
        }
    }

    /// Only addresses of the client's family are asked for.
    fn family(&self) -> Kind {
        match self.address() {
            Some(IpAddr::V6(_)) => Kind::Aaaa,
            Some(IpAddr::V4(_)) | None => Kind::A,
        }
    }

    /// What a term that applies, or does not, means for the aim.
    fn matched(&self, applies: bool) -> Outcome {
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

    fn any_within(&self, records: &Records, prefixes: Prefixes) -> Outcome {
        let Aim::Client(client) = self.aim else {
            return self.matched(false);
        };
        self.matched(match records {
            Records::A(found) => found
                .iter()
                .any(|address| prefixes.agree(IpAddr::V4(*address), client)),
            Records::Aaaa(found) => found
                .iter()
                .any(|address| prefixes.agree(IpAddr::V6(*address), client)),
            Records::Txt(_) | Records::Mx(_) => false,
        })
    }

    /// The records of a kind at a name; `None` if there are none.
    fn ask(&self, name: &DnsName, kind: Kind) -> Result<Option<&'a Records>, Halt> {
        let query = Query {
            name: name.clone(),
            kind,
        };
        match self.known.get(&query)? {
            Answer::Records(records) => Ok(Some(records)),
            Answer::NoData | Answer::NoName => Ok(None),
            Answer::Trouble(trouble) => Err(Halt::Unavailable(query, *trouble)),
        }
    }

    /// Counts a term that costs a look-up.
    fn count(&mut self) -> Result<(), Halt> {
        if self.lookups == MAX_LOOKUPS {
            return Err(FaultKind::Lookups.into());
        }
        self.lookups += 1;
        Ok(())
    }

    /// Counts a look-up that found nothing.
    fn void(&mut self) -> Result<Met, Halt> {
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

/// A term whose name cannot be looked up does not match (RFC 7208 4.8), and finds nothing out.
fn no_name() -> Met {
    Met::only(Outcome::NotFollowed("this gives no valid name"))
}

fn needs_address() -> Met {
    Met::only(Outcome::NotFollowed("needs an egress address"))
}

/// Says where a fault is, and lets what is unknown through.
fn settle(met: Result<Met, Halt>, domain: &DnsName, term: &str) -> Result<Met, Unknown> {
    let fault = |kind| {
        Stop::Fault(Fault {
            record: domain.clone(),
            term: Some(term.to_owned()),
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
    fn outcome(&self) -> Outcome {
        match self {
            Stop::Fault(fault) => Outcome::Fault(fault.kind.clone()),
            Stop::Unavailable(query, trouble) => Outcome::Unavailable(query.clone(), *trouble),
        }
    }
}

impl Step {
    fn not_reached(term: String) -> Step {
        Step {
            term,
            outcome: Outcome::NotReached,
            inside: None,
        }
    }
}
