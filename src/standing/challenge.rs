//! Proof that an account controls a domain's DNS: a text record that only it was told.

use super::Outage;
use crate::model::dns::{Answer, DnsName, Known, Query, Records, Unknown};
use crate::model::domain::Domain;

/// The label in front of the domain.
const LABEL: &str = "_outgate-challenge";
/// What the record begins with.
pub const PREFIX: &str = "og1-verify=";

/// What stands at the challenge's name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Found {
    /// The record that was asked for.
    Right,
    /// Records, and not that one: how many, and whether one is a challenge of somebody else.
    Others {
        /// All text records.
        records: usize,
        /// Those that look like a challenge.
        challenges: usize,
    },
    /// Nothing.
    Nothing,
}

/// The name under which the record is published.
pub fn name(domain: &Domain) -> String {
    format!("{LABEL}.{domain}")
}

/// What the record says.
pub fn value(token: &str) -> String {
    format!("{PREFIX}{token}")
}

/// Looks for the record of this token. White space around it does no harm.
pub fn look(domain: &Domain, token: &str, known: &Known) -> Result<Result<Found, Outage>, Unknown> {
    let Ok(name) = DnsName::below(LABEL, domain) else {
        // Too long to exist.
        return Ok(Ok(Found::Nothing));
    };
    let query = Query::txt(name);
    Ok(match known.get(&query)? {
        Answer::Trouble(trouble) => Err(Outage {
            trouble: *trouble,
            query,
        }),
        Answer::NoName | Answer::NoData => Ok(Found::Nothing),
        Answer::Records(Records::Txt(texts)) => {
            let wanted = value(token);
            let mut challenges = 0;
            for text in texts {
                if text.trim_ascii() == wanted.as_bytes() {
                    return Ok(Ok(Found::Right));
                }
                challenges += usize::from(text.trim_ascii().starts_with(PREFIX.as_bytes()));
            }
            Ok(Found::Others {
                records: texts.len(),
                challenges,
            })
        }
        Answer::Records(Records::Mx(_) | Records::A(_) | Records::Aaaa(_)) => {
            Err(Outage::useless(query))
        }
    })
}
