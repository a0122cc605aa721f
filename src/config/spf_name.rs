//! The name that customers include in their SPF records: a DNS name, which is more than a mail
//! domain may be (`_spf.example.com`), and less than anything that DNS could carry.

use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::model::dns::DnsName;
use crate::model::domain::Domain;

/// A name of letters, digits, hyphens and underscores, with a dot in it; or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SpfName(Option<DnsName>);

impl SpfName {
    /// The name, if one is set.
    pub fn name(&self) -> Option<&DnsName> {
        self.0.as_ref()
    }
}

impl<'de> Deserialize<'de> for SpfName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

impl FromStr for SpfName {
    type Err = String;

    fn from_str(text: &str) -> Result<SpfName, String> {
        if text.is_empty() {
            return Ok(SpfName(None));
        }
        let wrong = || {
            format!(
                "{text:?} is not a name that an SPF record can include: write e.g. \"_spf.example.com\""
            )
        };
        // Up to its last underscore the name is plain ASCII; behind that it is a domain.
        let split = text
            .rfind('_')
            .and_then(|at| Some(at + text.get(at..)?.find('.')? + 1));
        let (labels, domain) = text.split_at(split.unwrap_or(0));
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let domain = Domain::parse(domain).map_err(|_| wrong())?;
        let name = DnsName::parse(&format!("{labels}{domain}")).map_err(|_| wrong())?;
        // A name without a dot is none in a record (RFC 7208 7.1).
        if !labels.bytes().all(plain) || !name.as_str().contains('.') {
            return Err(wrong());
        }
        Ok(SpfName(Some(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_a_record_can_include() {
        for (text, name) in [
            ("_spf.relay.test", "_spf.relay.test"),
            ("_SPF.Relay.TEST.", "_spf.relay.test"),
            ("spf.relay.test", "spf.relay.test"),
            ("a-1._b_c.spf.relay.test", "a-1._b_c.spf.relay.test"),
            ("_spf.bücher.example", "_spf.xn--bcher-kva.example"),
            ("bücher.example", "xn--bcher-kva.example"),
            ("_spf.test", "_spf.test"),
        ] {
            let parsed: SpfName = text.parse().unwrap();
            assert_eq!(parsed.name().unwrap().as_str(), name);
        }
        assert_eq!("".parse(), Ok(SpfName::default()));
        for text in [
            "vm",
            "_spf",
            "a._spf",
            "_spf.",
            ".example.com",
            "_spf..example.com",
            "ü._spf.example.com",
            "a b._spf.example.com",
            "include:spf.example.com",
            "%{d}.example.com",
            "192.0.2.1",
            "_a.192.0.2.1",
            "-a.example.com",
        ] {
            assert!(text.parse::<SpfName>().is_err(), "{text}");
        }
    }
}
