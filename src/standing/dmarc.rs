//! Whether a domain publishes a DMARC policy (RFC 7489 6.6.3). Only that, not what it asks for.

use super::{Look, texts};
use crate::model::dns::{DnsName, Known, Query};
use crate::model::domain::Domain;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dmarc {
    /// A record, at this name: the domain's own, or its organisational domain's.
    Published(DnsName),
    /// None.
    Missing,
    /// More than one at this name, which receivers take for none (RFC 7489 6.6.3).
    Several(DnsName),
}

impl Dmarc {
    /// What was found, as the end of a sentence.
    pub fn words(&self, domain: &Domain) -> String {
        match self {
            Dmarc::Published(name) => format!("published at {name}"),
            Dmarc::Missing => format!("{domain} publishes no DMARC record"),
            Dmarc::Several(name) => {
                format!("there is more than one DMARC record at {name}, which counts as none")
            }
        }
    }
}

/// The name under which a domain publishes its policy.
pub fn name(domain: &Domain) -> Option<DnsName> {
    DnsName::below("_dmarc", domain).ok()
}

/// Looks at the domain, and if it says nothing, at its organisational domain.
pub fn look(domain: &Domain, known: &Known) -> Look<Dmarc> {
    for domain in [Some(domain.clone()), domain.organizational()]
        .into_iter()
        .flatten()
    {
        let Some(name) = name(&domain) else {
            continue;
        };
        let texts = match texts(Query::txt(name.clone()), known)? {
            Ok(texts) => texts,
            Err(outage) => return Ok(Err(outage)),
        };
        match texts.iter().filter(|text| is_policy(text)).count() {
            0 => {}
            1 => return Ok(Ok(Dmarc::Published(name))),
            _ => return Ok(Ok(Dmarc::Several(name))),
        }
    }
    Ok(Ok(Dmarc::Missing))
}

/// `v=DMARC1` comes first, in this case, and white space may surround the sign (RFC 7489 6.4).
fn is_policy(text: &[u8]) -> bool {
    let version = text.split(|b| *b == b';').next().unwrap_or_default();
    let mut sides = version.splitn(2, |b| *b == b'=');
    let tag = sides.next().unwrap_or_default().trim_ascii_end();
    let value = sides.next().unwrap_or_default().trim_ascii();
    tag.eq_ignore_ascii_case(b"v") && value == b"DMARC1"
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::dns::{Answer, Records, Trouble};

    fn domain(text: &str) -> Domain {
        Domain::parse(text).unwrap()
    }

    fn txt(texts: &[&str]) -> Answer {
        let texts = texts.iter().map(|text| Arc::from(text.as_bytes()));
        Answer::Records(Records::Txt(texts.collect()))
    }

    fn known(answers: &[(&str, Answer)]) -> Known {
        let mut known = Known::default();
        for (name, answer) in answers {
            let query = Query::txt(DnsName::parse(name).unwrap());
            known.insert(query, Arc::new(answer.clone()));
        }
        known
    }

    #[test]
    fn the_organisational_domain_speaks_for_names_below_it() {
        let at = |name: &str| Ok(Ok(Dmarc::Published(DnsName::parse(name).unwrap())));
        let org = txt(&["v=DMARC1; p=none"]);
        let found = known(&[
            ("_dmarc.a.b.example.com", Answer::NoName),
            ("_dmarc.example.com", org.clone()),
        ]);
        assert_eq!(
            look(&domain("a.b.example.com"), &found),
            at("_dmarc.example.com")
        );
        let own = known(&[("_dmarc.b.example.com", org)]);
        assert_eq!(
            look(&domain("b.example.com"), &own),
            at("_dmarc.b.example.com")
        );
    }

    #[test]
    fn a_policy_is_known_by_its_version() {
        for (texts, missing) in [
            (&["v=DMARC1; p=none"] as &[&str], false),
            (&["v = DMARC1 ;p=reject"], false),
            (&["v=DMARC1"], false),
            (&["v=DMARC1; p=none", "unrelated"], false),
            (&["v=dmarc1; p=none"], true),
            (&["v=DMARC10; p=none"], true),
            (&["p=none; v=DMARC1"], true),
            (&["v=spf1 -all"], true),
        ] {
            let found = known(&[("_dmarc.example.com", txt(texts))]);
            let dmarc = look(&domain("example.com"), &found).unwrap().unwrap();
            assert_eq!(dmarc == Dmarc::Missing, missing, "{texts:?}");
        }
    }

    #[test]
    fn several_policies_are_not_missing() {
        let two = &["v=DMARC1; p=none", "v=DMARC1; p=reject"];
        let name = DnsName::parse("_dmarc.example.com").unwrap();
        let several = Ok(Ok(Dmarc::Several(name)));
        let own = known(&[("_dmarc.example.com", txt(two))]);
        assert_eq!(look(&domain("example.com"), &own), several);
        let above = known(&[
            ("_dmarc.a.example.com", Answer::NoData),
            ("_dmarc.example.com", txt(two)),
        ]);
        assert_eq!(look(&domain("a.example.com"), &above), several);
    }

    #[test]
    fn trouble_is_not_absence() {
        let found = known(&[("_dmarc.example.com", Answer::Trouble(Trouble::ServFail))]);
        let outage = look(&domain("example.com"), &found).unwrap().unwrap_err();
        assert_eq!(outage.query.name.as_str(), "_dmarc.example.com");
    }
}
