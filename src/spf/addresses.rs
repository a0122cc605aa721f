//! The terms that ask for addresses: `a`, `mx` and `exists`. Part of the walk.

use std::net::IpAddr;

use crate::model::dns::{DnsName, Kind, Query, Records, Unknown};

use super::end::{Halt, Met};
use super::macro_string::{Expansion, MacroString};
use super::record::Prefixes;
use super::tree::{FaultKind, Outcome};
use super::walk::{Aim, Walk};

/// Mail exchangers of one term (RFC 7208 4.6.4).
const MAX_EXCHANGERS: usize = 10;

impl Walk<'_> {
    pub(super) fn addresses(
        &mut self,
        target: Option<&MacroString>,
        prefixes: Prefixes,
        domain: &DnsName,
    ) -> Result<Met, Halt> {
        let name = match self.target(target, domain)? {
            Ok(name) => name,
            Err(met) => return Ok(met),
        };
        match self.library.ask(&name, self.family())? {
            Some(records) => Ok(Met::only(self.any_within(records, prefixes))),
            None => self.void(),
        }
    }

    pub(super) fn exchangers(
        &mut self,
        target: Option<&MacroString>,
        prefixes: Prefixes,
        domain: &DnsName,
    ) -> Result<Met, Halt> {
        let name = match self.target(target, domain)? {
            Ok(name) => name,
            Err(met) => return Ok(met),
        };
        let Some(Records::Mx(exchangers)) = self.library.ask(&name, Kind::Mx)? else {
            return self.void();
        };
        let exchangers = exchangers.hosts();
        if exchangers.len() > MAX_EXCHANGERS {
            return Err(FaultKind::Exchangers(exchangers.len()).into());
        }
        let mut exchangers: Vec<&(u16, DnsName)> = exchangers.iter().collect();
        exchangers.sort();
        self.all_known(&exchangers)?;
        let mut somewhere = false;
        for (_, host) in exchangers {
            if let Some(records) = self.library.ask(host, self.family())? {
                somewhere = true;
                if self.any_within(records, prefixes) == Outcome::Match {
                    return Ok(Met::only(Outcome::Match));
                }
            }
        }
        // The limit is on terms (4.6.4), and hosts without IPv6 are no fault of the record.
        if somewhere {
            Ok(Met::only(self.matched(false)))
        } else {
            self.void()
        }
    }

    /// Whether every exchanger's addresses are known; what is not is asked together.
    fn all_known(&self, exchangers: &[&(u16, DnsName)]) -> Result<(), Unknown> {
        let mut missing = Vec::new();
        for (_, host) in exchangers {
            let query = Query {
                name: host.clone(),
                kind: self.family(),
            };
            if self.library.known().get(&query).is_err() && !missing.contains(&query) {
                missing.push(query);
            }
        }
        match missing.is_empty() {
            true => Ok(()),
            false => Err(Unknown(missing)),
        }
    }

    /// `exists` asks for IPv4 addresses, also for a client with IPv6 (5.7).
    pub(super) fn exists(&mut self, target: &MacroString, domain: &DnsName) -> Result<Met, Halt> {
        let name = match self.target(Some(target), domain)? {
            Ok(name) => name,
            Err(met) => return Ok(met),
        };
        match self.library.ask(&name, Kind::A)? {
            Some(_) => Ok(Met::only(self.matched(true))),
            None => self.void(),
        }
    }

    /// Counts a term, and says which name it asks about; `Err`: none, and what comes of that.
    fn target(
        &mut self,
        target: Option<&MacroString>,
        domain: &DnsName,
    ) -> Result<Result<DnsName, Met>, Halt> {
        self.count()?;
        Ok(match self.expand(target, domain) {
            Expansion::Name(name) => Ok(name),
            Expansion::NoName => Err(no_name()),
            Expansion::NeedsAddress => Err(needs_address()),
        })
    }

    /// Only addresses of the client's family are asked for. Where addresses do not matter, IPv4
    /// stands for them: it is what most hosts have.
    fn family(&self) -> Kind {
        match self.aim {
            Aim::Client(IpAddr::V6(_)) => Kind::Aaaa,
            Aim::Client(IpAddr::V4(_)) | Aim::Relay { .. } => Kind::A,
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
}

/// A term whose name cannot be looked up does not match (RFC 7208 4.8), and finds nothing out.
fn no_name() -> Met {
    Met::only(Outcome::NotFollowed("this gives no valid name"))
}

pub(super) fn needs_address() -> Met {
    Met::only(Outcome::NotFollowed("needs an egress address"))
}
