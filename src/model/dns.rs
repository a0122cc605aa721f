//! The domain name system as data: names, questions and answers, without a resolver.
//!
//! What judges what DNS says (`spf`, `standing`) is a pure function of [`Known`]. If an answer is
//! not there yet, it returns [`Unknown`]; whoever can ask does so, and calls it again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use super::domain::Domain;

/// A name that can be asked about: lower case, without the trailing dot. Unlike a [`Domain`] it
/// may have labels that no sender domain has, such as `_dmarc`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DnsName(Arc<str>);

/// Why a text is not a name that can be asked about (RFC 1035 2.3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DnsNameError {
    /// Nothing, or two dots in a row.
    #[error("a label is empty")]
    EmptyLabel,
    /// A label of more than 63 bytes, or a name of more than 253.
    #[error("a label or the name is too long")]
    TooLong,
    /// Something else than printable ASCII. A backslash counts too: it would begin an escape.
    #[error("a character that no name has")]
    Character,
}

impl DnsName {
    /// Reads a name in its textual form: one trailing dot off, lower case. No escapes, no mapping
    /// of international names: what a record says in plain ASCII.
    pub fn parse(text: &str) -> Result<DnsName, DnsNameError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.len() > 253 {
            return Err(DnsNameError::TooLong);
        }
        for label in text.split('.') {
            if label.is_empty() {
                return Err(DnsNameError::EmptyLabel);
            }
            if label.len() > 63 {
                return Err(DnsNameError::TooLong);
            }
        }
        if !text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') {
            return Err(DnsNameError::Character);
        }
        Ok(DnsName(Arc::from(text.to_ascii_lowercase())))
    }

    /// The name of every host for itself.
    pub fn localhost() -> DnsName {
        DnsName(Arc::from("localhost"))
    }

    /// A label in front of a domain, as in `_dmarc.example.com`.
    pub fn below(label: &str, domain: &Domain) -> Result<DnsName, DnsNameError> {
        DnsName::parse(&format!("{label}.{domain}"))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part of it that somebody registered: one label and its public suffix. A name that has no
    /// such part stands for itself.
    pub fn registered(&self) -> &str {
        let registered = psl::domain(self.0.as_bytes());
        let length = registered.map_or(self.0.len(), |domain| domain.as_bytes().len());
        let start = self.0.len().saturating_sub(length);
        self.0.get(start..).unwrap_or(&self.0)
    }
}

impl From<&Domain> for DnsName {
    fn from(domain: &Domain) -> DnsName {
        DnsName(Arc::from(domain.as_str()))
    }
}

impl FromStr for DnsName {
    type Err = DnsNameError;

    fn from_str(text: &str) -> Result<DnsName, DnsNameError> {
        DnsName::parse(text)
    }
}

impl Borrow<str> for DnsName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DnsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What kind of record is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// Text (RFC 1035 3.3.14).
    Txt,
    /// Mail exchangers.
    Mx,
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Txt => "TXT",
            Kind::Mx => "MX",
            Kind::A => "A",
            Kind::Aaaa => "AAAA",
        })
    }
}

/// One question.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Query {
    /// About this name.
    pub name: DnsName,
    /// For records of this kind.
    pub kind: Kind,
}

impl Query {
    /// For the text records of a name.
    pub fn txt(name: DnsName) -> Query {
        Query {
            name,
            kind: Kind::Txt,
        }
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}

/// The records of one kind at one name, CNAMEs followed; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Records {
    /// The strings of each record joined without a space (RFC 7208 3.3).
    Txt(Vec<Arc<[u8]>>),
    /// Mail exchangers.
    Mx(Exchangers),
    /// IPv4 addresses.
    A(Vec<Ipv4Addr>),
    /// IPv6 addresses.
    Aaaa(Vec<Ipv6Addr>),
}

/// Where a domain's MX records send its mail.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Exchangers {
    /// Preference and host.
    Hosts(Vec<(u16, DnsName)>),
    /// Nowhere: a null MX (RFC 7505) says that the domain takes no mail.
    None,
}

impl Exchangers {
    /// The hosts; none after a null MX.
    pub fn hosts(&self) -> &[(u16, DnsName)] {
        match self {
            Exchangers::Hosts(hosts) => hosts,
            Exchangers::None => &[],
        }
    }
}

/// What came of a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// There are such records.
    Records(Records),
    /// The name exists, and has no record of this kind.
    NoData,
    /// The name does not exist (NXDOMAIN).
    NoName,
    /// It cannot be known now.
    Trouble(Trouble),
}

/// Why a question has no answer now.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Error)]
pub enum Trouble {
    /// The name servers of the domain do not work, or DNSSEC says the answer is forged.
    #[error("SERVFAIL")]
    ServFail,
    /// Nobody answered in time.
    #[error("no answer in time")]
    TimedOut,
    /// The resolver does not want to answer us.
    #[error("refused")]
    Refused,
    /// The answer is none to this question: another name, neither records nor a denial, a loop of
    /// CNAMEs, or bytes that are no answer.
    #[error("the answer is of no use")]
    Lame,
    /// Too many questions are on their way already.
    #[error("too many questions at once")]
    Crowded,
}

/// The answers that have come so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Known {
    answers: HashMap<Query, Arc<Answer>>,
    /// What is said to every further question.
    otherwise: Option<Answer>,
}

impl Known {
    /// The answer to a question, or that it is still to be asked.
    pub fn get(&self, query: &Query) -> Result<&Answer, Unknown> {
        match (self.answers.get(query), &self.otherwise) {
            (Some(answer), _) => Ok(answer),
            (None, Some(trouble)) => Ok(trouble),
            (None, None) => Err(Unknown(vec![query.clone()])),
        }
    }

    /// Keeps an answer.
    pub fn insert(&mut self, query: Query, answer: Arc<Answer>) {
        self.answers.insert(query, answer);
    }

    /// Nothing more will be asked: from now on, what is not known is this trouble.
    pub fn close(&mut self, trouble: Trouble) {
        self.otherwise = Some(Answer::Trouble(trouble));
    }

    /// How many answers there are.
    pub fn len(&self) -> usize {
        self.answers.len()
    }

    /// Whether nothing has been answered yet.
    pub fn is_empty(&self) -> bool {
        self.answers.is_empty()
    }
}

/// Questions that have to be answered before anything can be said; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unknown(pub Vec<Query>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_bounded() {
        let name = DnsName::parse("_SPF.Example.COM.").unwrap();
        assert_eq!(name.as_str(), "_spf.example.com");
        assert!(DnsName::parse(&"a.".repeat(128)).is_err());
        assert!(DnsName::parse(&format!("{}a", "a.".repeat(126))).is_ok());
        for text in ["", ".", "a..b", "a b", "a\\b", "é.com", &"a".repeat(64)] {
            assert!(DnsName::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn names_belong_to_who_registered_them() {
        for (name, registered) in [
            ("_outgate.a.b.example.com", "example.com"),
            ("example.com", "example.com"),
            ("a.b.example.co.uk", "example.co.uk"),
            ("someone.github.io", "someone.github.io"),
            ("com", "com"),
            ("co.uk", "co.uk"),
            ("a@b.c.test", "c.test"),
            ("*.x.unknown-suffix", "x.unknown-suffix"),
        ] {
            assert_eq!(DnsName::parse(name).unwrap().registered(), registered);
        }
    }

    #[test]
    fn what_is_not_known_is_asked() {
        let query = Query::txt(DnsName::parse("example.com").unwrap());
        let mut known = Known::default();
        assert_eq!(known.get(&query), Err(Unknown(vec![query.clone()])));
        known.insert(query.clone(), Arc::new(Answer::NoName));
        assert_eq!(known.get(&query), Ok(&Answer::NoName));
        known.close(Trouble::TimedOut);
        assert_eq!(known.get(&query), Ok(&Answer::NoName));
        let other = Query::txt(DnsName::parse("example.org").unwrap());
        assert_eq!(known.get(&other), Ok(&Answer::Trouble(Trouble::TimedOut)));
    }
}
