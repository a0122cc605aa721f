//! Addresses as they stand in an envelope or a header, after parsing.

use std::fmt;

use super::domain::Domain;

/// What stands behind the last `@` of an address.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub enum Site {
    /// A domain name, normalised.
    Domain(Domain),
    /// An address literal (`[192.0.2.1]`, RFC 5321 4.1.3). Nobody can be granted one.
    Literal(Box<str>),
}

/// One address: who, at which site.
#[derive(Clone, PartialEq, Eq, Debug, Hash)]
pub struct Address {
    /// The local part without its quotes, in the case in which it came.
    pub local: Box<str>,
    /// The domain or literal behind the last `@`.
    pub site: Site,
}

impl Address {
    /// The domain, unless the address has a literal.
    pub fn domain(&self) -> Option<&Domain> {
        match &self.site {
            Site::Domain(domain) => Some(domain),
            Site::Literal(_) => None,
        }
    }

    /// Splits at the last `@`, as Postfix does with an envelope address whose quotes it has
    /// taken off: what looks like an address in the local part is no address.
    pub fn split(text: &str) -> Result<Address, AddressError> {
        let (local, site) = text.rsplit_once('@').ok_or(AddressError::NoDomain)?;
        let site = if site.starts_with('[') && site.ends_with(']') {
            Site::Literal(site.into())
        } else {
            Site::Domain(Domain::parse(site).map_err(|_| AddressError::BadDomain)?)
        };
        Ok(Address {
            local: local.into(),
            site,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.site {
            Site::Domain(domain) => write!(f, "{}@{domain}", self.local),
            Site::Literal(literal) => write!(f, "{}@{literal}", self.local),
        }
    }
}

/// Why a text is not an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// There is no `@`. Postfix would complete it, or turn `a%b` and `b!a` into an address of `b`.
    #[error("it has no domain")]
    NoDomain,
    /// What follows the last `@` is no domain.
    #[error("its domain is not a valid name")]
    BadDomain,
    /// Bytes that are not UTF-8, or a form that Postfix would not take as an address.
    #[error("it is not an address")]
    Unreadable,
}
