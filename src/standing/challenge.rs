//! Proof that an account controls a domain's DNS: a text record that only it was told.

use super::{Look, texts};
use crate::model::dns::{DnsName, Known, Query};
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
pub fn look(domain: &Domain, token: &str, known: &Known) -> Look<Found> {
    let Ok(name) = DnsName::below(LABEL, domain) else {
        // Too long to exist.
        return Ok(Ok(Found::Nothing));
    };
    let texts = match texts(Query::txt(name), known)? {
        Ok([]) => return Ok(Ok(Found::Nothing)),
        Ok(texts) => texts,
        Err(outage) => return Ok(Err(outage)),
    };
    let wanted = value(token);
    let mut challenges = 0;
    for text in texts {
        if text.trim_ascii() == wanted.as_bytes() {
            return Ok(Ok(Found::Right));
        }
        challenges += usize::from(text.trim_ascii().starts_with(PREFIX.as_bytes()));
    }
    Ok(Ok(Found::Others {
        records: texts.len(),
        challenges,
    }))
}
