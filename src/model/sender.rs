//! The envelope sender (RFC 5321 reverse-path) as Postfix hands it to a policy server or a milter.
//!
//! Both forms are reduced to one value by the same rule, so that no door reads a sender
//! differently from the other: the text that Postfix itself will use, cut at its last `@`.

use std::fmt;

use super::address::{Address, AddressError};

/// The envelope sender of one message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EnvelopeSender {
    /// `<>`: bounces and receipts (RFC 5321 4.5.5).
    Null,
    /// An address; its site may still be a literal.
    Address(Address),
    /// No domain, or none that parses.
    Malformed {
        /// What came, lossily decoded.
        text: Box<str>,
        /// What is wrong with it.
        error: AddressError,
    },
}

impl EnvelopeSender {
    /// Reads policy's `sender` attribute: Postfix has taken off brackets, quotes, comments, route
    /// and display name, so quotes are never interpreted here.
    pub fn from_policy(value: &[u8]) -> EnvelopeSender {
        match std::str::from_utf8(value) {
            Ok("") => EnvelopeSender::Null,
            Ok(text) => EnvelopeSender::from_plain(text),
            Err(_) => EnvelopeSender::Malformed {
                text: String::from_utf8_lossy(value).into(),
                error: AddressError::Unreadable,
            },
        }
    }

    /// Reads the argument of MAIL as the milter protocol carries it, exactly as the client typed
    /// it, and takes off what Postfix takes off: `<"quoted local"@example.com>`,
    /// `<@relay:bob@example.com>`, `Bob <bob@example.com>`, `bob(comment)@example.com`.
    pub fn from_mail_argument(argument: &[u8]) -> EnvelopeSender {
        let unreadable = || EnvelopeSender::Malformed {
            text: String::from_utf8_lossy(argument).into(),
            error: AddressError::Unreadable,
        };
        let Ok(text) = std::str::from_utf8(argument) else {
            return unreadable();
        };
        if let Some(inner) = plain_path(text) {
            return if inner.is_empty() {
                EnvelopeSender::Null
            } else {
                EnvelopeSender::from_plain(inner)
            };
        }
        match unwrap_path(text) {
            Some(inner) if inner.is_empty() => EnvelopeSender::Null,
            Some(inner) => EnvelopeSender::from_plain(&inner),
            None => unreadable(),
        }
    }

    /// Whether both are of one domain or literal, or both are the null sender.
    pub fn is_at_the_site_of(&self, other: &EnvelopeSender) -> bool {
        match (self, other) {
            (EnvelopeSender::Null, EnvelopeSender::Null) => true,
            (EnvelopeSender::Address(one), EnvelopeSender::Address(two)) => one.site == two.site,
            (
                EnvelopeSender::Null
                | EnvelopeSender::Address(_)
                | EnvelopeSender::Malformed { .. },
                _,
            ) => false,
        }
    }

    /// The most bytes that the bare address may have had as the client wrote it: the domain in
    /// its U-labels may be longer than in A-labels, and may have ended with a dot.
    pub fn len_on_the_wire(&self) -> usize {
        let unicode = match self {
            EnvelopeSender::Null => 0,
            EnvelopeSender::Malformed { text, .. } => text.len(),
            EnvelopeSender::Address(address) => {
                let domain = address.domain().map_or(0, |domain| domain.unicode().len());
                address.local.len() + "@.".len() + domain
            }
        };
        unicode.max(self.to_string().len())
    }

    fn from_plain(text: &str) -> EnvelopeSender {
        // What no client sends in earnest: a quoted local part may carry a bare CR or an escape.
        let read = if text.chars().any(char::is_control) {
            Err(AddressError::Unreadable)
        } else {
            Address::split(text)
        };
        match read {
            Ok(address) => EnvelopeSender::Address(address),
            Err(error) => EnvelopeSender::Malformed {
                text: text.into(),
                error,
            },
        }
    }
}

impl fmt::Display for EnvelopeSender {
    /// The bare address; empty for the null sender.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvelopeSender::Null => Ok(()),
            EnvelopeSender::Address(address) => address.fmt(f),
            EnvelopeSender::Malformed { text, .. } => f.write_str(text),
        }
    }
}

/// The inside of `<…>` when nothing in it needs interpreting: what nearly every client sends.
fn plain_path(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('<')?.strip_suffix('>')?;
    let special = |b: u8| {
        matches!(
            b,
            b'"' | b'\\' | b'(' | b')' | b'<' | b'>' | b':' | b',' | b';'
        ) || b <= b' '
    };
    if inner.bytes().any(special) || inner.starts_with('@') {
        return None;
    }
    Some(inner)
}

/// Takes the address out of any other form. `None` where the text does not add up (open quote,
/// comment or bracket, several addresses): Postfix refuses those with 501 before asking.
fn unwrap_path(text: &str) -> Option<String> {
    let mut reader = PathReader::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        reader.read(c, &mut chars)?;
    }
    reader.finish()
}

/// State while the characters of a MAIL argument go by.
#[derive(Default)]
struct PathReader {
    /// The address so far; restarted by `<`, because what stood before was a display name.
    address: String,
    /// `<` seen and not closed.
    open: usize,
    /// A bracketed address has ended.
    closed: bool,
    /// White space since the last character of the address.
    gap: bool,
}

impl PathReader {
    fn read(&mut self, c: char, rest: &mut std::str::Chars<'_>) -> Option<()> {
        match c {
            '(' => skip_comment(rest)?,
            '"' => {
                let quoted = take_quoted(rest)?;
                self.append(&quoted)?;
            }
            '[' => {
                let literal = take_literal(rest)?;
                self.append(&literal)?;
            }
            '\\' => {
                let escaped = rest.next()?;
                self.append(escaped.encode_utf8(&mut [0; 4]))?;
            }
            '<' if self.closed || self.open == 2 => return None,
            '<' => {
                self.open += 1;
                self.address.clear();
                self.gap = false;
            }
            '>' => {
                self.open = self.open.checked_sub(1)?;
                self.closed = true;
            }
            // A source route (RFC 5321 appendix C) ends at its colon; Postfix drops it.
            ':' if self.address.starts_with('@') => self.address.clear(),
            ',' if self.address.starts_with('@') => self.append(",")?,
            ')' | ',' | ';' | ':' => return None,
            ' ' | '\t' => self.gap = !self.address.is_empty(),
            c if c.is_control() => return None,
            c => self.append(c.encode_utf8(&mut [0; 4]))?,
        }
        Some(())
    }

    /// Adds to the address. White space inside it is allowed only in a display name, that is,
    /// if a `<` follows and starts the address anew.
    fn append(&mut self, piece: &str) -> Option<()> {
        if self.closed {
            return None;
        }
        if std::mem::take(&mut self.gap) {
            self.address.push(' ');
        }
        self.address.push_str(piece);
        Some(())
    }

    fn finish(self) -> Option<String> {
        (self.open == 0).then_some(self.address)
    }
}

fn skip_comment(rest: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1;
    while depth > 0 {
        match rest.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => {
                rest.next()?;
            }
            _ => {}
        }
    }
    Some(())
}

/// An address literal, brackets included: the colons of IPv6 end no route in it.
fn take_literal(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = "[".to_owned();
    loop {
        let c = rest.next()?;
        text.push(c);
        if c == ']' {
            return Some(text);
        }
    }
}

fn take_quoted(rest: &mut std::str::Chars<'_>) -> Option<String> {
    let mut text = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(text),
            '\\' => text.push(rest.next()?),
            c => text.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the client typed, and what Postfix 3.7 makes of it for a policy server.
    const SAME: &[(&str, &str)] = &[
        ("<bob@OUTGATE.test>", "bob@OUTGATE.test"),
        ("<bob@outgate.test.>", "bob@outgate.test."),
        ("<\"quoted local\"@o.test>", "quoted local@o.test"),
        (
            "<\"evil@other.example\"@o.test>",
            "evil@other.example@o.test",
        ),
        ("<a@b@o.test>", "a@b@o.test"),
        ("<@relay:bob@o.test>", "bob@o.test"),
        ("<@a.test,@b.test:bob@o.test>", "bob@o.test"),
        ("bob@o.test", "bob@o.test"),
        ("<Bob <bob@o.test>>", "bob@o.test"),
        ("<bob(c)@o.test>", "bob@o.test"),
        ("< bob@o.test >", "bob@o.test"),
        ("<bob>", "bob"),
        ("<bob%other.example>", "bob%other.example"),
        ("<other.example!bob>", "other.example!bob"),
        ("<bob%other.example@o.test>", "bob%other.example@o.test"),
        ("<bob%x.example@[127.0.0.1]>", "bob%x.example@[127.0.0.1]"),
        ("<bob@[IPv6:2001:DB8::1]>", "bob@[IPv6:2001:DB8::1]"),
        ("<bob@[192.0.2.1]>", "bob@[192.0.2.1]"),
        ("<bob@xn--e1afmkfd.xn--p1ai>", "bob@xn--e1afmkfd.xn--p1ai"),
        ("<>", ""),
    ];

    #[test]
    fn both_doors_read_the_same_sender() {
        for (argument, attribute) in SAME {
            assert_eq!(
                EnvelopeSender::from_mail_argument(argument.as_bytes()),
                EnvelopeSender::from_policy(attribute.as_bytes()),
                "{argument}"
            );
        }
    }

    #[test]
    fn what_does_not_add_up_is_malformed() {
        for argument in [
            "<a@x.test",
            "a@x.test>",
            "<\"a@x.test>",
            "<(a@x.test>",
            "<a@x.test,b@y.test>",
            "<a@x.test> <b@y.test>",
            "<a@>",
            "<a\u{1}@x.test>",
        ] {
            assert!(
                matches!(
                    EnvelopeSender::from_mail_argument(argument.as_bytes()),
                    EnvelopeSender::Malformed { .. }
                ),
                "{argument}"
            );
        }
        for attribute in ["bob", "bob@", "bob@o..test", "bob%other.example"] {
            assert!(
                matches!(
                    EnvelopeSender::from_policy(attribute.as_bytes()),
                    EnvelopeSender::Malformed { .. }
                ),
                "{attribute}"
            );
        }
        for attribute in [&b"bob@\xff.test"[..], b"b\rob@o.test", b"b\0ob@o.test"] {
            assert!(matches!(
                EnvelopeSender::from_policy(attribute),
                EnvelopeSender::Malformed { .. }
            ));
        }
        assert!(matches!(
            EnvelopeSender::from_mail_argument(b"<\"b\rob\"@o.test>"),
            EnvelopeSender::Malformed { .. }
        ));
    }
}
