//! What a domain's SPF says, for whoever lets a user send as that domain (RFC 7208).
//!
//! Pure functions of the DNS answers that are [`Known`]: what is missing comes back as
//! [`Unknown`], and the caller asks and calls again. Three questions share one walk: does the
//! domain publish SPF at all, does it include this relay, does `check_host()` pass for this
//! relay's addresses. No network, no clock, no log.

mod addresses;
mod assessment;
mod end;
mod library;
pub mod macro_string;
pub mod publication;
pub mod record;
mod second_opinion;
pub mod tree;
mod walk;
mod words;

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::dns::{DnsName, Known, Query, Trouble, Unknown};

use library::Library;
pub use library::Shelf;
use tree::{Fault, Visit};

/// For whom a message would be sent: what the macros of a record can ask for.
#[derive(Clone, Copy, Debug)]
pub struct Identity<'a> {
    /// The sender domain whose SPF is judged.
    pub domain: &'a DnsName,
    /// The local part, `postmaster` if there is none (RFC 7208 4.3).
    pub local: &'a str,
    /// What this relay says in its EHLO.
    pub helo: &'a DnsName,
}

/// What a domain's SPF has to say; `any-domain.require-spf` with `auto` already resolved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Requirement {
    /// Exactly one record, valid as a whole, that does not say "never".
    Published,
    /// The record reaches the relay through `+include` or `redirect`.
    Include {
        /// The name that customers include.
        relay: DnsName,
        /// The address that `%{i}` stands for. Without one, a name that needs it is not followed,
        /// and `a` and `mx` are looked up as for IPv4.
        address: Option<IpAddr>,
    },
    /// `check_host()` passes for at least one of these; a network stands for its first and its
    /// last address, and both must pass.
    Pass {
        /// Where this relay sends from.
        egress: Vec<IpNet>,
    },
}

/// What came of a requirement, and the way there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Assessment {
    /// Whether the requirement is met.
    pub verdict: Result<(), Shortfall>,
    /// What was walked: one for `published` and `include`, one an address for `pass`, of which the
    /// first [`MOST_EVALUATIONS`] are kept, less one, and the last.
    pub evaluations: Vec<Evaluation>,
    /// Whether a macro on the way asked for the local part of the sender (`%{l}`, `%{s}`): then
    /// the verdict holds for this sender alone. What only `%{o}` went into holds for the domain.
    pub depends_on_sender: bool,
}

/// How many evaluations are kept to be shown.
pub const MOST_EVALUATIONS: usize = 8;

/// One walk over the records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evaluation {
    /// The client address that `check_host()` was asked about; `None` for the other two.
    pub address: Option<IpAddr>,
    /// What `check_host()` said; `None` for the other two.
    pub result: Option<SpfResult>,
    /// The records that were read, and what became of each term.
    pub tree: Visit,
    /// Terms that cost a look-up, of ten (RFC 7208 4.6.4).
    pub lookups: usize,
    /// Look-ups that found nothing, of two.
    pub voids: usize,
}

/// Why a requirement is not met.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shortfall {
    /// The domain publishes no SPF record.
    Missing,
    /// A record is wrong, a limit is passed, or the domain says that it never sends.
    Invalid(Fault),
    /// The record is in order, and does not include the relay.
    NotIncluding {
        /// The name that it should lead to.
        relay: DnsName,
    },
    /// `check_host()` says something else than *pass* for every egress address.
    NotPassing {
        /// The last address that was tried.
        address: IpAddr,
        /// What was said about it.
        result: SpfResult,
        /// Who said it: our own walk, or mail-auth after our own walk had said *pass*.
        by: Judge,
    },
    /// DNS does not answer now: this may be over in a moment.
    Unavailable {
        /// What was asked.
        query: Query,
        /// What came instead of an answer.
        trouble: Trouble,
    },
    /// mail-auth did not come to an end, which it always should: refuse for now.
    Undecided {
        /// The address that it was asked about.
        address: IpAddr,
    },
}

/// Whose `check_host()`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Judge {
    /// The walk of this module.
    Own,
    /// mail-auth.
    MailAuth,
}

/// The results of `check_host()` (RFC 7208 2.6).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum SpfResult {
    /// No record, or no domain that could have one.
    None,
    /// The domain says nothing about this address.
    Neutral,
    /// The address may send.
    Pass,
    /// The address may not send.
    Fail,
    /// The address probably may not send.
    SoftFail,
    /// DNS does not answer now.
    TempError,
    /// The domain's records are wrong.
    PermError,
}

impl fmt::Display for SpfResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SpfResult::None => "none",
            SpfResult::Neutral => "neutral",
            SpfResult::Pass => "pass",
            SpfResult::Fail => "fail",
            SpfResult::SoftFail => "softfail",
            SpfResult::TempError => "temperror",
            SpfResult::PermError => "permerror",
        })
    }
}

/// What [`check_host`] says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Checked {
    /// The result.
    pub result: SpfResult,
    /// What led there.
    pub evaluation: Evaluation,
    /// Why the result is *temperror* or *permerror*.
    pub shortfall: Option<Shortfall>,
    /// As in [`Assessment`].
    pub depends_on_sender: bool,
}

/// Whether a domain's SPF meets a requirement.
///
/// Terms are looked at strictly from left to right, and nothing behind the first that decides is
/// asked. One evaluation asks at most 111 different questions: the domain's record, and ten terms
/// of which each may ask for ten mail exchangers and their addresses. For `pass` the first egress
/// entry is tried by itself, and the others side by side.
///
/// Whoever asks again with more answers brings the same shelf; what is said does not depend on it.
pub fn assess(
    requirement: &Requirement,
    identity: &Identity<'_>,
    known: &Known,
    shelf: &Shelf,
) -> Result<Assessment, Unknown> {
    let library = Library::new(known, shelf);
    match requirement {
        Requirement::Published => assessment::published(identity, &library),
        Requirement::Include { relay, address } => {
            assessment::include(relay, *address, identity, &library)
        }
        Requirement::Pass { egress } => assessment::pass(egress, identity, &library),
    }
}

/// The whole tree of a domain's records, as far as a receiver whom nothing in it matches would go:
/// for people who want to see it and its count of look-ups.
pub fn survey(identity: &Identity<'_>, known: &Known) -> Result<Evaluation, Unknown> {
    assessment::survey(identity, &Library::new(known, &Shelf::default()))
}

/// `check_host()` of RFC 7208 section 4. Where it departs on purpose:
///
/// * `ptr` costs its look-up, asks nothing and never matches (5.5: "SHOULD NOT be published"), and
///   `%{p}` is `unknown`;
/// * the text behind `exp=` is never fetched;
/// * more than ten mail exchangers are a *permerror* also if one of the first ten would match:
///   those of equal preference come in any order;
/// * an `include` of what is no name is a *permerror* (4.8 leaves it open), other terms with such
///   a name do not match; a name with a space in it is none.
pub fn check_host(ip: IpAddr, identity: &Identity<'_>, known: &Known) -> Result<Checked, Unknown> {
    assessment::check_host(ip, identity, &Library::new(known, &Shelf::default()))
}
