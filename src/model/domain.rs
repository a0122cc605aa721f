//! A mail domain in the one form in which outgate compares domains.
//!
//! Everything that names a domain (envelope senders, header From, grants, the operator's
//! commands) goes through [`Domain::parse`], so that two spellings of one name are equal and what
//! is no domain never gets past the door. Does no look-ups.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};
use psl::Type;
use thiserror::Error;

/// A syntactically valid domain name: lower case, A-labels, without the trailing dot.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

/// Why a text is not a domain that mail can come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DomainError {
    /// Nothing, or nothing but a dot.
    #[error("the domain is empty")]
    Empty,
    /// Not letters, digits and hyphens after IDNA mapping, or a label or the name is too long.
    #[error("not a valid domain name")]
    Invalid,
    /// The last label is a number, as in an address without its brackets.
    #[error("an address, not a domain name")]
    Address,
}

impl Domain {
    /// Parses and normalises: one trailing dot off, lower case, U-labels to A-labels
    /// (UTS 46 non-transitional, STD3 rules, DNS lengths as in RFC 1035 2.3.4).
    ///
    /// Hyphens in the third and fourth place are allowed outside `xn--`: such names are
    /// registered and send mail, although UTS 46 would rather not have them.
    pub fn parse(text: &str) -> Result<Domain, DomainError> {
        let text = text.strip_suffix('.').unwrap_or(text);
        if text.is_empty() {
            return Err(DomainError::Empty);
        }
        let domain = match plain(text) {
            Some(lower) => Domain(lower),
            None => {
                let ascii = Uts46::new()
                    .to_ascii(
                        text.as_bytes(),
                        AsciiDenyList::STD3,
                        Hyphens::CheckFirstLast,
                        DnsLength::Verify,
                    )
                    .map_err(|_| DomainError::Invalid)?;
                Domain(Arc::from(ascii.as_ref()))
            }
        };
        let last = domain.0.rsplit('.').next().unwrap_or_default();
        if last.bytes().all(|b| b.is_ascii_digit()) {
            return Err(DomainError::Address);
        }
        Ok(domain)
    }

    /// The name as it is stored and compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with its U-labels, for people, where whoever reads them can write the same name with them.
    /// Compare [`Domain`]s, never this.
    pub fn unicode(&self) -> String {
        let (text, result) = idna::domain_to_unicode(&self.0);
        match result {
            Ok(()) if Domain::parse(&text).as_ref() == Ok(self) => text,
            // An A-label may hold another one, or signs that no host name has.
            Ok(()) | Err(_) => self.0.to_string(),
        }
    }

    /// Whether this name lies below `other` at any depth (a name is not below itself).
    pub fn is_below(&self, other: &Domain) -> bool {
        self.0
            .strip_suffix(other.as_str())
            .is_some_and(|rest| rest.ends_with('.'))
    }

    /// The names above this one, nearest first, the top-level domain last.
    pub fn ancestors(&self) -> impl Iterator<Item = Domain> + '_ {
        self.0
            .match_indices('.')
            .map(|(dot, _)| Domain(Arc::from(&self.0[dot + 1..])))
    }

    /// This name and the names above it as text, nearest first: for looking up without a copy.
    pub fn upwards(&self) -> impl Iterator<Item = &str> {
        let above = self.0.match_indices('.');
        std::iter::once(self.as_str()).chain(above.map(|(dot, _)| &self.0[dot + 1..]))
    }

    /// A public suffix in the ICANN section of the list; a single label counts as one.
    ///
    /// Names under which strangers register: nobody owns them, so nobody may be granted them.
    pub fn is_public_suffix(&self) -> bool {
        !self.0.contains('.') || self.is_suffix(|kind| kind == Type::Icann)
    }

    /// A suffix of either section of the list (`co.uk`, but also `github.io`).
    pub fn is_any_suffix(&self) -> bool {
        !self.0.contains('.') || self.is_suffix(|_| true)
    }

    /// Whether every name directly below is a suffix by a wildcard of the list (`*.kawasaki.jp`).
    pub fn has_suffixes_below(&self) -> bool {
        Domain(Arc::from(format!("x.{self}"))).is_any_suffix()
    }

    /// Whether strangers register names below it: it is a suffix of either section, or the names
    /// below it are. Then nobody can speak for all of them.
    pub fn has_strangers_below(&self) -> bool {
        self.is_any_suffix() || self.has_suffixes_below()
    }

    /// The name directly below its public suffix, if it is another one: whose policy stands in where
    /// a domain has none of its own (RFC 7489 3.2).
    pub fn organizational(&self) -> Option<Domain> {
        let top = psl::domain(self.0.as_bytes())?;
        let start = self.0.len().checked_sub(top.as_bytes().len())?;
        (start > 0).then(|| Domain(Arc::from(&self.0[start..])))
    }

    fn is_suffix(&self, wanted: impl Fn(Type) -> bool) -> bool {
        psl::suffix(self.0.as_bytes()).is_some_and(|suffix| {
            suffix.as_bytes() == self.0.as_bytes() && suffix.typ().is_some_and(&wanted)
        })
    }

    /// The labels from the top down, each followed by a dot: `com.example.`. All names below
    /// a domain share its key as a prefix, so an ordered index finds them as one range.
    pub fn tree_key(&self) -> String {
        let mut key = String::with_capacity(self.0.len() + 1);
        for label in self.0.rsplit('.') {
            key.push_str(label);
            key.push('.');
        }
        key
    }
}

/// The lower-case name if it needs no IDNA: letters, digits, inner hyphens, no `xn--`.
fn plain(text: &str) -> Option<Arc<str>> {
    if text.len() > 253 {
        return None;
    }
    let mut upper = false;
    for label in text.split('.') {
        let bytes = label.as_bytes();
        let fits = (1..=63).contains(&bytes.len())
            && bytes.first() != Some(&b'-')
            && bytes.last() != Some(&b'-')
            && !bytes
                .get(..4)
                .is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--"));
        if !fits {
            return None;
        }
        for byte in bytes {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' => {}
                b'A'..=b'Z' => upper = true,
                _ => return None,
            }
        }
    }
    Some(if upper {
        Arc::from(text.to_ascii_lowercase())
    } else {
        Arc::from(text)
    })
}

impl Borrow<str> for Domain {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for Domain {
    type Err = DomainError;

    fn from_str(text: &str) -> Result<Domain, DomainError> {
        Domain::parse(text)
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_equal() {
        for (text, stored) in [
            ("Example.COM", "example.com"),
            ("example.com.", "example.com"),
            ("ПРИМЕР.рф", "xn--e1afmkfd.xn--p1ai"),
            ("xn--E1AFMKFD.xn--p1ai", "xn--e1afmkfd.xn--p1ai"),
            ("faß.de", "xn--fa-hia.de"),
            ("ｅｘａｍｐｌｅ.com", "example.com"),
            ("r3---sn.example.com", "r3---sn.example.com"),
        ] {
            assert_eq!(Domain::parse(text).unwrap().as_str(), stored, "{text}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        let long = format!("{}.com", "a".repeat(64));
        for text in [
            "",
            ".",
            "a..b",
            "-a.com",
            "a-.com",
            "a_b.com",
            "a b.com",
            "a.com..",
            "[192.0.2.1]",
            "192.0.2.1",
            "a\0b.com",
            "xn--a.com",
            "a@b.com",
            "*.com",
            &long,
        ] {
            assert!(Domain::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn public_suffixes_are_known() {
        for name in ["com", "co.uk", "localhost", "xn--p1ai"] {
            assert!(Domain::parse(name).unwrap().is_public_suffix(), "{name}");
        }
        for name in ["example.com", "github.io", "example.test"] {
            assert!(!Domain::parse(name).unwrap().is_public_suffix(), "{name}");
        }
        assert!(Domain::parse("github.io").unwrap().is_any_suffix());
        assert!(!Domain::parse("example.github.io").unwrap().is_any_suffix());
    }

    #[test]
    fn the_organisational_domain_lies_below_the_suffix() {
        for (name, top) in [
            ("a.b.example.com", Some("example.com")),
            ("x.example.co.uk", Some("example.co.uk")),
            ("example.com", None),
            ("com", None),
        ] {
            let found = Domain::parse(name).unwrap().organizational();
            assert_eq!(found.as_ref().map(Domain::as_str), top, "{name}");
        }
    }

    #[test]
    fn below_is_anchored_at_a_label() {
        let parent = Domain::parse("example.com").unwrap();
        assert!(Domain::parse("a.b.example.com").unwrap().is_below(&parent));
        assert!(!Domain::parse("notexample.com").unwrap().is_below(&parent));
        assert!(!parent.is_below(&parent));
        let above: Vec<_> = Domain::parse("a.b.example.com")
            .unwrap()
            .ancestors()
            .map(|d| d.to_string())
            .collect();
        assert_eq!(above, ["b.example.com", "example.com", "com"]);
        let name = Domain::parse("a.b.com").unwrap();
        assert_eq!(Vec::from_iter(name.upwards()), ["a.b.com", "b.com", "com"]);
        assert_eq!(parent.tree_key(), "com.example.");
    }
}
