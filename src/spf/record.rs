//! One SPF record, read strictly and as a whole (RFC 7208 sections 4.6.1, 5, 6 and 12).
//!
//! A record with an error anywhere is no record at all: what a lenient reader would skip could be
//! what the domain meant. It looks nothing up.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use thiserror::Error;

use super::macro_string::{MacroString, Place};
use super::tree::shown;

/// The longest record that is read, in bytes. RFC 7208 3.4 wants records below 450; what large
/// sites really publish is below 4,000.
pub const MAX_RECORD: usize = 8 * 1024;

/// A record without errors.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// The mechanisms, in order, also those behind `all`.
    pub directives: Vec<Directive>,
    /// The `redirect=` modifier.
    pub redirect: Option<MacroString>,
    /// The `exp=` modifier, which is never fetched.
    pub exp: Option<MacroString>,
    /// Modifiers that RFC 7208 does not know, which mean nothing.
    pub foreign: Vec<(String, MacroString)>,
}

/// A mechanism, and what it says about whom it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Directive {
    /// What a match means.
    pub qualifier: Qualifier,
    /// Whom it matches.
    pub mechanism: Mechanism,
}

/// What a match means (RFC 7208 4.6.2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Qualifier {
    /// `+`, or nothing.
    Pass,
    /// `-`
    Fail,
    /// `~`
    SoftFail,
    /// `?`
    Neutral,
}

/// The mechanisms of RFC 7208 section 5.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// Everybody.
    All,
    /// Whom another record passes.
    Include(MacroString),
    /// The addresses of a name, of the record's own if none is given.
    A(Option<MacroString>, Prefixes),
    /// The addresses of a name's mail exchangers.
    Mx(Option<MacroString>, Prefixes),
    /// Names that the client's address points back to.
    Ptr(Option<MacroString>),
    /// An IPv4 network.
    Ip4(Ipv4Addr, u8),
    /// An IPv6 network.
    Ip6(Ipv6Addr, u8),
    /// Everybody, if the name has an address.
    Exists(MacroString),
}

/// `/24//64`: how many leading bits have to agree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prefixes {
    /// Of an IPv4 address, at most 32.
    pub v4: u8,
    /// Of an IPv6 address, at most 128.
    pub v6: u8,
}

/// Why a text is no SPF record. The terms in it are escaped and cut.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum SyntaxError {
    /// It does not begin with `v=spf1`.
    #[error("does not begin with v=spf1")]
    Version,
    /// Only visible ASCII and spaces may be there.
    #[error("holds a character that is neither visible ASCII nor a space")]
    Character,
    /// A mechanism that RFC 7208 does not know.
    #[error("unknown mechanism {0}")]
    Unknown(String),
    /// A mechanism or modifier whose value is not allowed.
    #[error("wrong value in {0}")]
    Value(String),
    /// `redirect=` or `exp=` twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
}

impl Prefixes {
    /// Whole addresses.
    pub const WHOLE: Prefixes = Prefixes { v4: 32, v6: 128 };

    /// Whether two addresses agree in their leading bits. Addresses of two families never do.
    pub fn agree(self, one: IpAddr, other: IpAddr) -> bool {
        match (one, other) {
            (IpAddr::V4(one), IpAddr::V4(other)) => {
                let differ = u32::from(one) ^ u32::from(other);
                differ.leading_zeros() >= u32::from(self.v4)
            }
            (IpAddr::V6(one), IpAddr::V6(other)) => {
                let differ = u128::from(one) ^ u128::from(other);
                differ.leading_zeros() >= u32::from(self.v6)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl Record {
    /// Reads a whole record, `v=spf1` included. Takes time linear in its length.
    pub fn parse(text: &str) -> Result<Record, SyntaxError> {
        if !text.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
            return Err(SyntaxError::Character);
        }
        let mut terms = text.split(' ');
        match terms.next() {
            Some(version) if version.eq_ignore_ascii_case("v=spf1") => {}
            _ => return Err(SyntaxError::Version),
        }
        let mut record = Record::default();
        for term in terms.filter(|term| !term.is_empty()) {
            match modifier(term) {
                Some((name, value)) => record.add_modifier(term, name, value)?,
                None => record.directives.push(Directive::parse(term)?),
            }
        }
        Ok(record)
    }

    fn add_modifier(&mut self, term: &str, name: &str, value: &str) -> Result<(), SyntaxError> {
        let wrong = || SyntaxError::Value(shown(term));
        if name.eq_ignore_ascii_case("redirect") {
            let value = MacroString::parse(value, Place::Target).ok_or_else(wrong)?;
            match self.redirect.replace(value) {
                Some(_) => Err(SyntaxError::Twice("redirect=")),
                None => Ok(()),
            }
        } else if name.eq_ignore_ascii_case("exp") {
            let value = MacroString::parse(value, Place::Target).ok_or_else(wrong)?;
            match self.exp.replace(value) {
                Some(_) => Err(SyntaxError::Twice("exp=")),
                None => Ok(()),
            }
        } else {
            let value = MacroString::parse(value, Place::Foreign).ok_or_else(wrong)?;
            self.foreign.push((name.to_owned(), value));
            Ok(())
        }
    }

    /// The mechanisms that can be reached: up to the first `all`, which is among them
    /// (RFC 7208 5.1: what stands behind it "MUST be ignored").
    pub fn reachable(&self) -> &[Directive] {
        let end = self
            .directives
            .iter()
            .position(|directive| directive.mechanism == Mechanism::All)
            .map_or(self.directives.len(), |all| all + 1);
        &self.directives[..end]
    }

    /// The `redirect=` modifier, if it counts: an `all` anywhere in the record switches it off
    /// (RFC 7208 6.1).
    pub fn effective_redirect(&self) -> Option<&MacroString> {
        let all = |directive: &Directive| directive.mechanism == Mechanism::All;
        match self.directives.iter().any(all) {
            true => None,
            false => self.redirect.as_ref(),
        }
    }

    /// Whether `-all` is the only mechanism that can be reached: the domain never sends.
    pub fn never_sends(&self) -> bool {
        matches!(
            self.reachable(),
            [Directive {
                qualifier: Qualifier::Fail,
                mechanism: Mechanism::All
            }]
        )
    }
}

/// The terms of a valid record that are evaluated, as they are written: without `exp=`, which is
/// never fetched, and without modifiers that nobody knows, which "MUST be ignored" (section 6).
pub(super) fn evaluated(text: &str) -> String {
    let counts = |term: &&str| {
        modifier(term).is_none_or(|(name, _)| {
            name.eq_ignore_ascii_case("redirect") || term.eq_ignore_ascii_case("v=spf1")
        })
    };
    text.split(' ').filter(counts).collect::<Vec<_>>().join(" ")
}

/// Splits `name=value`, if the term is a modifier: its name begins with a letter and goes on with
/// letters, digits, `-`, `_` and `.`.
fn modifier(term: &str) -> Option<(&str, &str)> {
    let (name, value) = term.split_once('=')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    is_name.then_some((name, value))
}

impl Directive {
    fn parse(term: &str) -> Result<Directive, SyntaxError> {
        let (qualifier, rest) = match term.as_bytes().first() {
            Some(b'+') => (Qualifier::Pass, &term[1..]),
            Some(b'-') => (Qualifier::Fail, &term[1..]),
            Some(b'~') => (Qualifier::SoftFail, &term[1..]),
            Some(b'?') => (Qualifier::Neutral, &term[1..]),
            _ => (Qualifier::Pass, term),
        };
        let end = rest.find([':', '/']).unwrap_or(rest.len());
        let (name, value) = rest.split_at(end);
        let wrong = || SyntaxError::Value(shown(term));
        let mechanism = match name.to_ascii_lowercase().as_str() {
            "all" => value.is_empty().then_some(Mechanism::All),
            "include" => target(value).map(Mechanism::Include),
            "exists" => target(value).map(Mechanism::Exists),
            "a" => with_prefixes(value).map(|(target, p)| Mechanism::A(target, p)),
            "mx" => with_prefixes(value).map(|(target, p)| Mechanism::Mx(target, p)),
            "ptr" if value.is_empty() => Some(Mechanism::Ptr(None)),
            "ptr" => target(value).map(|target| Mechanism::Ptr(Some(target))),
            "ip4" => network(value, 32).map(|(address, bits)| Mechanism::Ip4(address, bits)),
            "ip6" => network(value, 128).map(|(address, bits)| Mechanism::Ip6(address, bits)),
            _ => return Err(SyntaxError::Unknown(shown(term))),
        };
        Ok(Directive {
            qualifier,
            mechanism: mechanism.ok_or_else(wrong)?,
        })
    }
}

/// `:domain-spec`
fn target(value: &str) -> Option<MacroString> {
    MacroString::parse(value.strip_prefix(':')?, Place::Target)
}

/// `[ ":" domain-spec ] [ dual-cidr-length ]`. A domain-spec may hold slashes itself, but it ends
/// with a label or a macro, which do not: the lengths are what is behind.
fn with_prefixes(value: &str) -> Option<(Option<MacroString>, Prefixes)> {
    let (value, v6) = match cut_length(value, "//", 128)? {
        (value, Some(v6)) => (value, v6),
        (value, None) => (value, Prefixes::WHOLE.v6),
    };
    let (value, v4) = match cut_length(value, "/", 32)? {
        (value, Some(v4)) => (value, v4),
        (value, None) => (value, Prefixes::WHOLE.v4),
    };
    let prefixes = Prefixes { v4, v6 };
    match value {
        "" => Some((None, prefixes)),
        value => Some((Some(target(value)?), prefixes)),
    }
}

/// Cuts `/NUMBER` or `//NUMBER` off the end; `None` if there is one that is not allowed.
fn cut_length<'a>(value: &'a str, slash: &str, most: u8) -> Option<(&'a str, Option<u8>)> {
    let rest = value.trim_end_matches(|c: char| c.is_ascii_digit());
    match rest.strip_suffix(slash) {
        Some(before) => Some((before, Some(length(&value[rest.len()..], most)?))),
        None => Some((value, None)),
    }
}

/// `:network[/length]`
fn network<A: std::str::FromStr>(value: &str, most: u8) -> Option<(A, u8)> {
    let value = value.strip_prefix(':')?;
    let (address, bits) = match value.split_once('/') {
        Some((address, digits)) => (address, length(digits, most)?),
        None => (value, most),
    };
    Some((address.parse().ok()?, bits))
}

/// A number without leading zeros, at most `most`.
fn length(digits: &str, most: u8) -> Option<u8> {
    let plain =
        digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    plain
        .then(|| digits.parse().ok())
        .flatten()
        .filter(|number| *number <= most)
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("v=spf1")?;
        for directive in &self.directives {
            write!(f, " {directive}")?;
        }
        if let Some(redirect) = &self.redirect {
            write!(f, " {}", Redirect(redirect))?;
        }
        if let Some(exp) = &self.exp {
            write!(f, " exp={exp}")?;
        }
        for (name, value) in &self.foreign {
            write!(f, " {name}={value}")?;
        }
        Ok(())
    }
}

/// A `redirect=` as a term.
pub(super) struct Redirect<'a>(pub(super) &'a MacroString);

impl fmt::Display for Redirect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "redirect={}", self.0)
    }
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.qualifier {
            Qualifier::Pass => "",
            Qualifier::Fail => "-",
            Qualifier::SoftFail => "~",
            Qualifier::Neutral => "?",
        })?;
        self.mechanism.fmt(f)
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let with = |f: &mut fmt::Formatter<'_>, name, target: &Option<MacroString>| match target {
            Some(target) => write!(f, "{name}:{target}"),
            None => f.write_str(name),
        };
        match self {
            Mechanism::All => f.write_str("all"),
            Mechanism::Include(target) => write!(f, "include:{target}"),
            Mechanism::Exists(target) => write!(f, "exists:{target}"),
            Mechanism::A(target, prefixes) => {
                with(f, "a", target)?;
                prefixes.fmt(f)
            }
            Mechanism::Mx(target, prefixes) => {
                with(f, "mx", target)?;
                prefixes.fmt(f)
            }
            Mechanism::Ptr(target) => with(f, "ptr", target),
            Mechanism::Ip4(address, 32) => write!(f, "ip4:{address}"),
            Mechanism::Ip4(address, bits) => write!(f, "ip4:{address}/{bits}"),
            Mechanism::Ip6(address, 128) => write!(f, "ip6:{address}"),
            Mechanism::Ip6(address, bits) => write!(f, "ip6:{address}/{bits}"),
        }
    }
}

impl fmt::Display for Prefixes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.v4 != Prefixes::WHOLE.v4 {
            write!(f, "/{}", self.v4)?;
        }
        if self.v6 != Prefixes::WHOLE.v6 {
            write!(f, "//{}", self.v6)?;
        }
        Ok(())
    }
}
