//! What DNS says about a sender domain, as facts that decisions are made from. Pure: what is not
//! known yet is asked for (`model::dns::Unknown`), by whoever can.

pub mod advice;
pub mod challenge;
pub mod checkup;
pub mod dmarc;
pub mod lockdown;

use std::fmt;
use std::sync::Arc;

use dmarc::Dmarc;
use lockdown::Lockdown;

use crate::model::dns::{Answer, DnsName, Known, Query, Records, Trouble, Unknown};
use crate::model::domain::Domain;
use crate::spf::{self, Assessment, Identity, Requirement, Shelf};

/// A question that has no answer now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outage {
    /// What was asked.
    pub query: Query,
    /// Why there is no answer.
    pub trouble: Trouble,
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot look up {}: {}", self.query, self.trouble)
    }
}

impl Outage {
    fn size(&self) -> usize {
        self.query.name.as_str().len()
    }

    /// Records of another kind than was asked for.
    fn useless(query: Query) -> Outage {
        Outage {
            query,
            trouble: Trouble::Lame,
        }
    }
}

/// What a look at DNS comes to, once everything is known: a finding, or that there is none now.
pub type Look<T> = Result<Result<T, Outage>, Unknown>;

/// What a site asks of strangers' domains.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Criteria {
    /// The label of lockdown records.
    pub lockdown_label: String,
    /// How strict SPF is read.
    pub spf: Requirement,
    /// Whether a DMARC record must exist.
    pub dmarc: bool,
    /// The relay by the name with which it greets.
    pub helo: DnsName,
}

/// How much of a domain's standing a decision needs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scope {
    /// Its lockdown record: the account has verified the domain itself.
    Lockdown,
    /// Everything.
    Whole,
}

/// A standing that a decision needs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Need {
    /// The sender's domain.
    pub domain: Domain,
    /// The sender's local part: a few SPF records look at it.
    pub local: Box<str>,
    /// How much.
    pub scope: Scope,
}

/// The standing of one sender.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Who may send as the domain.
    pub lockdown: Result<Lockdown, Outage>,
    /// What was asked beyond that.
    pub stranger: Option<Stranger>,
}

/// The standing of a sender whose domain nobody here has verified.
#[derive(Clone, Debug)]
pub struct Stranger {
    /// What its SPF record says about this relay.
    pub spf: Assessment,
    /// Its DMARC record; `None`: not asked for.
    pub dmarc: Option<Result<Dmarc, Outage>>,
}

impl Standing {
    /// Whether it says the same for every local part of the domain.
    pub fn is_of_domain(&self) -> bool {
        self.stranger
            .as_ref()
            .is_none_or(|stranger| !stranger.spf.depends_on_sender)
    }

    /// About how many bytes it takes in memory, all of what strangers publish counted.
    pub fn size(&self) -> usize {
        let lockdown = match &self.lockdown {
            Ok(lockdown) => lockdown.size(),
            Err(outage) => outage.size(),
        };
        let stranger = self.stranger.as_ref().map_or(0, |stranger| {
            let dmarc = match &stranger.dmarc {
                None | Some(Ok(Dmarc::Missing)) => 0,
                Some(Ok(Dmarc::Published(name) | Dmarc::Several(name))) => name.as_str().len(),
                Some(Err(outage)) => outage.size(),
            };
            stranger.spf.size() + dmarc
        });
        size_of::<Standing>() + lockdown + stranger
    }
}

/// Everything about a sender that is needed; the questions that are still open come all at once, so
/// that they can be asked side by side. Whoever asks again brings the same shelf.
pub fn look(
    criteria: &Criteria,
    need: &Need,
    known: &Known,
    shelf: &Shelf,
) -> Result<Standing, Unknown> {
    let lockdown = lockdown::look(&criteria.lockdown_label, &need.domain, known);
    let stranger = match need.scope {
        Scope::Lockdown => Ok(None),
        Scope::Whole => look_at_stranger(criteria, need, known, shelf).map(Some),
    };
    let (lockdown, stranger) = both(lockdown, stranger)?;
    Ok(Standing { lockdown, stranger })
}

fn look_at_stranger(
    criteria: &Criteria,
    need: &Need,
    known: &Known,
    shelf: &Shelf,
) -> Result<Stranger, Unknown> {
    let identity = Identity {
        domain: &DnsName::from(&need.domain),
        local: &need.local,
        helo: &criteria.helo,
    };
    let spf = spf::assess(&criteria.spf, &identity, known, shelf);
    let dmarc = if criteria.dmarc {
        dmarc::look(&need.domain, known).map(Some)
    } else {
        Ok(None)
    };
    let (spf, dmarc) = both(spf, dmarc)?;
    Ok(Stranger { spf, dmarc })
}

/// The text records that a question finds; none where there is nothing.
fn texts(query: Query, known: &Known) -> Look<&[Arc<[u8]>]> {
    Ok(match known.get(&query)? {
        Answer::Records(Records::Txt(texts)) => Ok(texts),
        Answer::NoName | Answer::NoData => Ok(&[]),
        Answer::Trouble(trouble) => Err(Outage {
            trouble: *trouble,
            query,
        }),
        Answer::Records(Records::Mx(_) | Records::A(_) | Records::Aaaa(_)) => {
            Err(Outage::useless(query))
        }
    })
}

/// Two findings, or what at least one of them still has to ask.
fn both<A, B>(a: Result<A, Unknown>, b: Result<B, Unknown>) -> Result<(A, B), Unknown> {
    match (a, b) {
        (Ok(a), Ok(b)) => Ok((a, b)),
        (Err(Unknown(mut open)), Err(Unknown(more))) => {
            open.extend(more);
            Err(Unknown(open))
        }
        (Err(unknown), Ok(_)) | (Ok(_), Err(unknown)) => Err(unknown),
    }
}
