//! Macro strings (RFC 7208 section 7): read strictly, printed back, expanded to names.
//!
//! Expansion is for names alone: the texts behind `exp=` are never fetched, so `%{c}`, `%{r}` and
//! `%{t}` have nothing to expand to.

use std::fmt;
use std::net::IpAddr;

use crate::model::dns::DnsName;

use super::Identity;

/// A sequence of literals and macros.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MacroString(Vec<Part>);

/// Where a macro string stands: what may be in it depends on that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// A `domain-spec`: it ends like a name, and has no macro that is for texts alone.
    Target,
    /// The value of a modifier that nobody knows: any macro string, also an empty one.
    Foreign,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    /// Visible ASCII without `%`.
    Literal(String),
    /// `%%`, `%_` and `%-`, by their second character.
    Escape(char),
    Macro(Macro),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Macro {
    letter: Letter,
    /// Written in upper case: escaped as in URLs.
    escaped: bool,
    /// How many parts are kept, counted from the right; never 0.
    keep: Option<u32>,
    reverse: bool,
    /// Where the value is split; empty means at dots.
    delimiters: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Letter {
    Sender,
    Local,
    SenderDomain,
    Domain,
    Address,
    Validated,
    Helo,
    AddressText,
    Receiver,
    Time,
    Version,
}

const LETTERS: &[(char, Letter)] = &[
    ('s', Letter::Sender),
    ('l', Letter::Local),
    ('o', Letter::SenderDomain),
    ('d', Letter::Domain),
    ('i', Letter::Address),
    ('p', Letter::Validated),
    ('h', Letter::Helo),
    ('c', Letter::AddressText),
    ('r', Letter::Receiver),
    ('t', Letter::Time),
    ('v', Letter::Version),
];

/// What a macro string becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Expansion {
    /// A name that can be looked up.
    Name(DnsName),
    /// Something that is no name.
    NoName,
    /// It needs the client's address, and there is none.
    NeedsAddress,
}

impl MacroString {
    /// Reads a macro string of visible ASCII. `None` if the grammar does not allow it there.
    pub fn parse(text: &str, place: Place) -> Option<MacroString> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first != '%' {
                let end = rest.find('%').unwrap_or(rest.len());
                let literal = &rest[..end];
                if !literal.bytes().all(|b| b.is_ascii_graphic()) {
                    return None;
                }
                parts.push(Part::Literal(literal.to_owned()));
                rest = &rest[end..];
                continue;
            }
            match rest.chars().nth(1)? {
                escape @ ('%' | '_' | '-') => {
                    parts.push(Part::Escape(escape));
                    rest = &rest[2..];
                }
                '{' => {
                    let end = rest.find('}')?;
                    parts.push(Part::Macro(Macro::parse(&rest[2..end], place)?));
                    rest = &rest[end + 1..];
                }
                _ => return None,
            }
        }
        let string = MacroString(parts);
        match place {
            Place::Target => string.ends_as_a_name().then_some(string),
            Place::Foreign => Some(string),
        }
    }

    /// `domain-end`: a macro, or a dot and a top label, which may have a dot behind it.
    fn ends_as_a_name(&self) -> bool {
        match self.0.last() {
            // `%%`, `%_` and `%-` are macro-expand too, so the grammar lets them end a name.
            Some(Part::Macro(_) | Part::Escape(_)) => true,
            Some(Part::Literal(literal)) => {
                let literal = literal.strip_suffix('.').unwrap_or(literal);
                literal
                    .rsplit_once('.')
                    .is_some_and(|(_, label)| is_top_label(label))
            }
            None => false,
        }
    }

    /// Whether the local part of the sender goes into it.
    pub fn asks_for_sender(&self) -> bool {
        self.0.iter().any(|part| match part {
            Part::Macro(macro_) => matches!(macro_.letter, Letter::Sender | Letter::Local),
            Part::Literal(_) | Part::Escape(_) => false,
        })
    }

    /// Whether the address of the client goes into it.
    fn needs_address(&self) -> bool {
        self.0.iter().any(|part| match part {
            Part::Macro(macro_) => matches!(
                macro_.letter,
                Letter::Address | Letter::AddressText | Letter::Version
            ),
            Part::Literal(_) | Part::Escape(_) => false,
        })
    }

    /// The name that it stands for, in the record of `domain`, for a client at `address`. What is
    /// longer than 253 bytes loses labels on the left (RFC 7208 7.3).
    pub fn expand(
        &self,
        domain: &DnsName,
        address: Option<IpAddr>,
        identity: &Identity<'_>,
    ) -> Expansion {
        if address.is_none() && self.needs_address() {
            return Expansion::NeedsAddress;
        }
        // From the right, and no further than matters, so that a record full of macros does not
        // grow into megabytes.
        let mut values = Vec::new();
        let mut length = 0;
        for part in self.0.iter().rev() {
            let value = part.value(domain, address, identity);
            length += value.len();
            values.push(value);
            if length > ENOUGH {
                break;
            }
        }
        values.reverse();
        let text = values.concat();
        match DnsName::parse(fit(&text)) {
            Ok(name) => Expansion::Name(name),
            Err(_) => Expansion::NoName,
        }
    }
}

/// Of an expansion, the bytes on the right that can matter: a name's 253 and the dot before.
const ENOUGH: usize = 256;

impl Part {
    fn value(&self, domain: &DnsName, address: Option<IpAddr>, identity: &Identity<'_>) -> String {
        match self {
            Part::Literal(literal) => literal.clone(),
            Part::Escape('_') => " ".to_owned(),
            Part::Escape('-') => "%20".to_owned(),
            Part::Escape(_) => "%".to_owned(),
            Part::Macro(macro_) => macro_.value(domain, address, identity),
        }
    }
}

/// The longest right-hand part of a name, in whole labels, that is at most 253 bytes long.
pub(super) fn fit(name: &str) -> &str {
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut rest = name;
    while rest.len() > 253 {
        match rest.split_once('.') {
            Some((_, right)) => rest = right,
            None => return rest,
        }
    }
    rest
}

/// `toplabel`: letters, digits and inner hyphens, and not digits alone.
fn is_top_label(label: &str) -> bool {
    !label.is_empty()
        && label
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !label.bytes().all(|b| b.is_ascii_digit())
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl Macro {
    /// Reads what stands between the braces.
    fn parse(text: &str, place: Place) -> Option<Macro> {
        let first = text.chars().next()?;
        let (_, letter) = LETTERS
            .iter()
            .find(|(c, _)| *c == first.to_ascii_lowercase())?;
        let for_texts = matches!(
            letter,
            Letter::AddressText | Letter::Receiver | Letter::Time
        );
        if for_texts && place == Place::Target {
            return None;
        }
        let rest = &text[1..];
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, rest) = rest.split_at(digits);
        let keep = match number.trim_start_matches('0') {
            "" if number.is_empty() => None,
            "" => return None,
            // No value has as many parts as do not fit into 32 bits.
            number => Some(number.parse().unwrap_or(u32::MAX)),
        };
        let delimiters = rest.strip_prefix(['r', 'R']);
        let reverse = delimiters.is_some();
        let delimiters = delimiters.unwrap_or(rest);
        if !delimiters.chars().all(|c| ".-+,/_=".contains(c)) {
            return None;
        }
        Some(Macro {
            letter: *letter,
            escaped: first.is_ascii_uppercase(),
            keep,
            reverse,
            delimiters: delimiters.to_owned(),
        })
    }

    /// What it stands for. Without an address, what needs one stands for nothing.
    fn value(&self, domain: &DnsName, address: Option<IpAddr>, identity: &Identity<'_>) -> String {
        let value = match self.letter {
            Letter::Sender => format!("{}@{}", identity.local, identity.domain),
            Letter::Local => identity.local.to_owned(),
            Letter::SenderDomain => identity.domain.to_string(),
            Letter::Domain => domain.to_string(),
            Letter::Address => address.map(dotted).unwrap_or_default(),
            Letter::Helo => identity.helo.to_string(),
            Letter::Version => match address {
                Some(IpAddr::V4(_)) => "in-addr".to_owned(),
                Some(IpAddr::V6(_)) => "ip6".to_owned(),
                None => String::new(),
            },
            Letter::AddressText => address.map(|a| a.to_string()).unwrap_or_default(),
            // Validated names are not looked for; the others are for texts, never for names.
            Letter::Validated | Letter::Receiver | Letter::Time => "unknown".to_owned(),
        };
        let value = self.transform(value);
        match self.escaped {
            true => url_escape(&value),
            false => value,
        }
    }

    fn transform(&self, value: String) -> String {
        if self.keep.is_none() && !self.reverse && self.delimiters.is_empty() {
            return value;
        }
        let is_delimiter = |c: char| {
            if self.delimiters.is_empty() {
                c == '.'
            } else {
                self.delimiters.contains(c)
            }
        };
        let split: Vec<&str> = value.split(is_delimiter).collect();
        let last = split.len() - 1;
        // "Separated by one or more of the specified delimiter characters": a row is one.
        let mut parts: Vec<&str> = split
            .into_iter()
            .enumerate()
            .filter(|(i, part)| !part.is_empty() || *i == 0 || *i == last)
            .map(|(_, part)| part)
            .collect();
        if self.reverse {
            parts.reverse();
        }
        let keep = self.keep.map_or(parts.len(), |keep| {
            usize::try_from(keep).unwrap_or(usize::MAX).min(parts.len())
        });
        parts[parts.len() - keep..].join(".")
    }
}

/// `%{i}`: an IPv4 address as it is, an IPv6 address as 32 digits with dots between.
fn dotted(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string(),
        IpAddr::V6(v6) => {
            let digits = format!("{:032x}", u128::from(v6));
            let mut dotted = String::with_capacity(63);
            for digit in digits.chars() {
                if !dotted.is_empty() {
                    dotted.push('.');
                }
                dotted.push(digit);
            }
            dotted
        }
    }
}

/// Everything outside RFC 3986's "unreserved" as `%XX`.
fn url_escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

impl fmt::Display for MacroString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Literal(literal) => f.write_str(literal)?,
                Part::Escape(c) => write!(f, "%{c}")?,
                Part::Macro(macro_) => macro_.fmt(f)?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Macro {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = LETTERS
            .iter()
            .find(|(_, letter)| *letter == self.letter)
            .map_or('d', |(c, _)| *c);
        let letter = if self.escaped {
            letter.to_ascii_uppercase()
        } else {
            letter
        };
        write!(f, "%{{{letter}")?;
        if let Some(keep) = self.keep {
            write!(f, "{keep}")?;
        }
        write!(
            f,
            "{}{}}}",
            if self.reverse { "r" } else { "" },
            self.delimiters
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(text: &str, local: &str, address: &str) -> Expansion {
        let domain = DnsName::parse("email.example.com").unwrap();
        let identity = Identity {
            domain: &domain,
            local,
            helo: &DnsName::parse("mx.example.net").unwrap(),
        };
        MacroString::parse(text, Place::Target).unwrap().expand(
            &domain,
            address.parse().ok(),
            &identity,
        )
    }

    /// The table of RFC 7208 7.4.
    #[test]
    fn expands_as_the_rfc_says() {
        for (text, expected) in [
            ("%{s}", "strong-bad@email.example.com"),
            ("%{o}", "email.example.com"),
            ("%{d}", "email.example.com"),
            ("%{d4}", "email.example.com"),
            ("%{d3}", "email.example.com"),
            ("%{d2}", "example.com"),
            ("%{d1}", "com"),
            ("%{dr}", "com.example.email"),
            ("%{d2r}", "example.email"),
            ("%{l}", "strong-bad"),
            ("%{l-}", "strong.bad"),
            ("%{lr}", "strong-bad"),
            ("%{lr-}", "bad.strong"),
            ("%{l1r-}", "strong"),
            ("%{h}", "mx.example.net"),
            ("%{p}.x.example", "unknown.x.example"),
            (
                "%{ir}.%{v}._spf.%{d2}",
                "3.2.0.192.in-addr._spf.example.com",
            ),
            ("%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"),
            (
                "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}",
                "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
            ),
            (
                "%{d2}.trusted-domains.example.net",
                "example.com.trusted-domains.example.net",
            ),
        ] {
            let name = DnsName::parse(expected).unwrap();
            assert_eq!(
                expand(text, "strong-bad", "192.0.2.3"),
                Expansion::Name(name),
                "{text}"
            );
        }
        assert_eq!(
            expand("%{ir}.%{v}._spf.%{d2}", "strong-bad", "2001:db8::cb01"),
            Expansion::Name(
                DnsName::parse(
                    "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com"
                )
                .unwrap()
            )
        );
    }

    #[test]
    fn upper_case_escapes_as_in_urls() {
        assert_eq!(
            expand("%{L}.x.example", "a+b/c~d", ""),
            Expansion::Name(DnsName::parse("a%2Bb%2Fc~d.x.example").unwrap())
        );
    }

    #[test]
    fn long_names_lose_labels_on_the_left() {
        let label = "a23456789".repeat(4);
        let text = format!("%{{l}}{}.x.example", format!(".{label}").repeat(8));
        let Expansion::Name(name) = expand(&text, "jane", "") else {
            panic!("{text}");
        };
        let kept = format!("{label}.").repeat(6) + "x.example";
        assert_eq!(name.as_str(), kept);
        // With one label less on the left it would not be longer than 253.
        assert!(kept.len() <= 253 && kept.len() + 37 > 253);
        let exact = format!(
            "{}.b.example",
            [
                "c".repeat(60),
                "d".repeat(60),
                "e".repeat(60),
                "f".repeat(60)
            ]
            .join(".")
        );
        assert_eq!(exact.len(), 253);
        assert_eq!(
            expand(&format!("%{{l}}.{exact}"), "jane", ""),
            Expansion::Name(DnsName::parse(&exact).unwrap())
        );
        assert_eq!(fit(&"g".repeat(300)).len(), 300);
    }

    #[test]
    fn what_is_no_name_and_what_needs_an_address() {
        assert_eq!(expand("%{l}.x.example", "a b", ""), Expansion::NoName);
        assert_eq!(expand("%{l}.x.example", "a..b", ""), Expansion::NoName);
        assert_eq!(expand("a%_b.x.example", "jane", ""), Expansion::NoName);
        assert_eq!(
            expand("%{i}.x.example", "jane", ""),
            Expansion::NeedsAddress
        );
        assert_eq!(
            expand("%{v}.x.example", "jane", ""),
            Expansion::NeedsAddress
        );
    }

    #[test]
    fn wrong_macros_are_not_read() {
        for text in [
            "", "example", "example.", ".123", "x.-com", "x.com-", "x.c_m", "%", "%{", "%{}",
            "%{d", "%{x}", "%{d0}", "%{d00}", "%{d2s}", "%{rd}", "%{d!}", "%(d)", "%a.x.com",
            "%{c}", "%{r}", "%{t}", "a b.com", "x.com..",
        ] {
            assert_eq!(MacroString::parse(text, Place::Target), None, "{text:?}");
        }
        for text in [
            "x.com",
            "x.com.",
            "%{d}",
            "%%",
            "a.x--y",
            "%{d99999999999}",
            "%{dr.-+,/_=}",
        ] {
            let read = MacroString::parse(text, Place::Target);
            assert!(read.is_some(), "{text:?}");
        }
    }
}
