//! What the world sees of a sender domain, for `domain check`: everything that mail from this relay
//! under its name depends on, and the records that are missing.

use super::advice::{self, Advice};
use super::challenge::{self, Found};
use super::dmarc::{self, Dmarc};
use super::lockdown::{self, Lockdown};
use super::{Criteria, Look, Outage, both, texts};
use crate::model::dns::{
    Answer, DnsName, Exchangers, Kind, Known, Query, Records, Trouble, Unknown,
};
use crate::model::domain::Domain;
use crate::spf::{self, Assessment, Evaluation, Identity, Requirement, Shelf};

/// What this relay is to other people's SPF records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relay {
    /// The name that customers include.
    pub include: Option<DnsName>,
    /// How to ask whether a record includes this relay, and whether it passes for it.
    pub requirements: Vec<Requirement>,
}

/// The findings.
#[derive(Clone, Debug)]
pub struct Checkup {
    /// Whether the record fits what this site requires.
    pub spf: Assessment,
    /// Whether it fits what else this relay could require, in the order of [`Relay::requirements`].
    pub others: Vec<Assessment>,
    /// What to do about it.
    pub advice: Advice,
    /// The whole tree of records.
    pub survey: Evaluation,
    /// The text of the SPF record, if there is one and no more.
    pub record: Option<String>,
    /// The DMARC record.
    pub dmarc: Result<Dmarc, Outage>,
    /// Where mail for the domain goes, bounces for example.
    pub mail: Result<Mail, Outage>,
    /// Who may send as the domain.
    pub lockdown: Result<Lockdown, Outage>,
    /// Whether the record is there that proves ownership; `None`: not asked for.
    pub challenge: Option<Result<Found, Outage>>,
}

/// Where mail for a domain goes (RFC 5321 5.1).
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mail {
    /// To these hosts, the most preferred first.
    Exchangers(Vec<(u16, DnsName)>),
    /// To the domain's own address: it has no MX record.
    Implicit,
    /// Nowhere: no bounce arrives, and many receivers refuse such a sender.
    Nowhere,
    /// Nowhere, and that is meant: a null MX (RFC 7505).
    Refused,
}

/// Looks at everything; `token` is that of the pending challenge.
pub fn look(
    criteria: &Criteria,
    relay: &Relay,
    domain: &Domain,
    token: Option<&str>,
    known: &Known,
) -> Result<Checkup, Unknown> {
    let name = DnsName::from(domain);
    let identity = Identity {
        domain: &name,
        local: "postmaster",
        helo: &criteria.helo,
    };
    let shelf = Shelf::default();
    let mut others = Ok(Vec::new());
    for requirement in &relay.requirements {
        let next = spf::assess(requirement, &identity, known, &shelf);
        others = both(others, next).map(|(mut all, next)| {
            all.push(next);
            all
        });
    }
    let spf = both(spf::assess(&criteria.spf, &identity, known, &shelf), others);
    let survey = spf::survey(&identity, known);
    let challenge = match token {
        Some(token) => challenge::look(domain, token, known).map(Some),
        None => Ok(None),
    };
    let beside = both(
        both(dmarc::look(domain, known), mail(&name, known)),
        both(
            lockdown::look(&criteria.lockdown_label, domain, known),
            challenge,
        ),
    );
    let (((spf, others), survey), ((dmarc, mail), (lockdown, challenge))) =
        both(both(spf, survey), beside)?;
    Ok(Checkup {
        advice: advice::look(criteria, relay, &identity, &spf, known)?,
        spf,
        others,
        survey,
        record: record(&name, known),
        dmarc,
        mail,
        lockdown,
        challenge,
    })
}

/// The SPF record as it stands there.
fn record(name: &DnsName, known: &Known) -> Option<String> {
    let texts = texts(Query::txt(name.clone()), known).ok()?.ok()?;
    let text = spf::publication::select(texts).ok().flatten()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

fn mail(name: &DnsName, known: &Known) -> Look<Mail> {
    let query = |kind| Query {
        name: name.clone(),
        kind,
    };
    let trouble = |kind, trouble: &Trouble| {
        Err(Outage {
            query: query(kind),
            trouble: *trouble,
        })
    };
    match known.get(&query(Kind::Mx))? {
        Answer::Records(Records::Mx(Exchangers::None)) => return Ok(Ok(Mail::Refused)),
        Answer::Records(Records::Mx(Exchangers::Hosts(hosts))) => {
            let mut hosts = hosts.clone();
            hosts.sort();
            return Ok(Ok(Mail::Exchangers(hosts)));
        }
        Answer::Trouble(why) => return Ok(trouble(Kind::Mx, why)),
        Answer::NoName => return Ok(Ok(Mail::Nowhere)),
        Answer::NoData => {}
        Answer::Records(Records::Txt(_) | Records::A(_) | Records::Aaaa(_)) => {
            return Ok(Err(Outage::useless(query(Kind::Mx))));
        }
    }
    for kind in [Kind::A, Kind::Aaaa] {
        match known.get(&query(kind))? {
            Answer::Records(_) => return Ok(Ok(Mail::Implicit)),
            Answer::NoData | Answer::NoName => {}
            Answer::Trouble(why) => return Ok(trouble(kind, why)),
        }
    }
    Ok(Ok(Mail::Nowhere))
}
