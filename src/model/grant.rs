//! One entry of a user's own list of senders.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::domain::{Domain, DomainError};

/// What a user may send as.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Grant {
    /// `example.com`: every address of exactly this domain.
    Domain(Domain),
    /// `*.example.com`: every address of the names below it, at any depth, not of itself.
    Below(Domain),
    /// `boss@example.com`: one address; the local part is compared without case.
    Address {
        /// Lower case.
        local: Box<str>,
        /// Exactly this domain.
        domain: Domain,
    },
}

/// Why a grant is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GrantError {
    /// The domain does not parse.
    #[error("{0:?} is not a sender domain: {1}")]
    Domain(String, DomainError),
    /// Everybody's domain.
    #[error("{0:?} is a public suffix: nobody owns the names below it")]
    PublicSuffix(String),
    /// The local part is empty or has characters that no address to be granted needs.
    #[error("{0:?} is not an address: write local@domain without quotes and spaces")]
    Address(String),
}

impl Grant {
    /// Parses `example.com`, `*.example.com` or `boss@example.com`.
    ///
    /// Public suffixes are refused, wildcards also for suffixes of the private section
    /// (`*.github.io` would cover the sites of strangers).
    pub fn parse(text: &str) -> Result<Grant, GrantError> {
        let domain = |name: &str| {
            let domain = Domain::parse(name).map_err(|e| GrantError::Domain(text.to_owned(), e))?;
            if domain.is_public_suffix() {
                return Err(GrantError::PublicSuffix(text.to_owned()));
            }
            Ok(domain)
        };
        if let Some(base) = text.strip_prefix("*.") {
            let base = domain(base)?;
            if base.has_strangers_below() {
                return Err(GrantError::PublicSuffix(text.to_owned()));
            }
            return Ok(Grant::Below(base));
        }
        match text.rsplit_once('@') {
            None => Ok(Grant::Domain(domain(text)?)),
            Some((local, site)) => {
                let odd =
                    |c: char| c.is_control() || c.is_whitespace() || "\"\\()<>,;:@[]*".contains(c);
                if local.is_empty() || local.len() > 256 || local.chars().any(odd) {
                    return Err(GrantError::Address(text.to_owned()));
                }
                Ok(Grant::Address {
                    local: local.to_lowercase().into(),
                    domain: domain(site)?,
                })
            }
        }
    }

    /// The domain that the grant belongs to: it counts only while that one is verified.
    pub fn domain(&self) -> &Domain {
        match self {
            Grant::Domain(domain) | Grant::Below(domain) | Grant::Address { domain, .. } => domain,
        }
    }
}

impl FromStr for Grant {
    type Err = GrantError;

    fn from_str(text: &str) -> Result<Grant, GrantError> {
        Grant::parse(text)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Grant::Domain(domain) => domain.fmt(f),
            Grant::Below(domain) => write!(f, "*.{domain}"),
            Grant::Address { local, domain } => write!(f, "{local}@{domain}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grants_print_as_they_parse() {
        for (text, printed) in [
            ("Example.COM", "example.com"),
            ("*.Example.com.", "*.example.com"),
            ("Boss@Example.com", "boss@example.com"),
            ("пример.рф", "xn--e1afmkfd.xn--p1ai"),
            ("a+b@example.com", "a+b@example.com"),
        ] {
            assert_eq!(Grant::parse(text).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn what_is_too_wide_is_refused() {
        for text in [
            "",
            "*",
            "*.",
            "*.com",
            "com",
            "co.uk",
            "*.co.uk",
            "localhost",
            "*.github.io",
            "*.kawasaki.jp",
            "a@com",
            "[192.0.2.1]",
            "a@[192.0.2.1]",
            "@example.com",
            "*@example.com",
            "a@b@example.com",
            "*.*.example.com",
            "a*.example.com",
            ".example.com",
            "a b@example.com",
            "192.0.2.1",
            "\"a\"@example.com",
            "example.com/x",
            "http://example.com",
        ] {
            assert!(Grant::parse(text).is_err(), "{text:?}");
        }
        assert!(Grant::parse("github.io").is_ok());
        assert!(Grant::parse("*.me.github.io").is_ok());
    }
}
