//! The tokens of a From field (RFC 5322 3.2), for the grammar beside it. Knows no addresses.

use super::FromError;

/// What a token is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// A run of atext (RFC 5322 3.2.3) and bytes from 0x80 up.
    Atom,
    /// What stands between two quotes, escapes still in it.
    Quoted,
    /// What stands between `[` and `]`.
    Bracketed,
    /// What stands between `(` and the `)` that belongs to it, escapes still in it.
    Comment,
    /// One of `<>@,;:.`
    Special(u8),
}

/// A piece of the field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Token<'a> {
    /// What it is.
    pub kind: Kind,
    /// Its bytes, without delimiters.
    pub text: &'a [u8],
    /// White space or a comment stands in front of it.
    pub apart: bool,
}

/// Cuts a field into tokens.
pub(super) fn tokens(value: &[u8]) -> Result<Vec<Token<'_>>, FromError> {
    check_controls(value)?;
    let mut lexer = Lexer {
        rest: value,
        apart: false,
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    Ok(tokens)
}

/// Lets only tabs and folds pass: a line end followed by white space (RFC 5322 2.2.3). Postfix
/// hands folds over as LF.
fn check_controls(value: &[u8]) -> Result<(), FromError> {
    for (i, byte) in value.iter().enumerate() {
        let after = value.get(i + 1);
        let fine = match byte {
            b'\t' => true,
            b'\r' => after == Some(&b'\n'),
            b'\n' => matches!(after, Some(b' ' | b'\t')),
            0..b' ' | 0x7f => false,
            b' '..=b'~' | 0x80.. => true,
        };
        if !fine {
            return Err(FromError::Control);
        }
    }
    Ok(())
}

struct Lexer<'a> {
    rest: &'a [u8],
    apart: bool,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, FromError> {
        let blank = self.length(|b| matches!(b, b' ' | b'\t' | b'\r' | b'\n'));
        self.apart |= blank > 0;
        self.rest = &self.rest[blank..];
        let Some(&first) = self.rest.first() else {
            return Ok(None);
        };
        let (kind, text) = match first {
            b'"' => (Kind::Quoted, self.enclosed(quoted_end(self.rest))?),
            b'(' => (Kind::Comment, self.enclosed(comment_end(self.rest))?),
            b'[' => (Kind::Bracketed, self.enclosed(bracket_end(self.rest))?),
            b'<' | b'>' | b'@' | b',' | b';' | b':' | b'.' => (Kind::Special(first), self.cut(1)),
            _ => match self.length(is_atom) {
                0 => return Err(FromError::Misplaced),
                length => (Kind::Atom, self.cut(length)),
            },
        };
        let apart = std::mem::replace(&mut self.apart, kind == Kind::Comment);
        Ok(Some(Token { kind, text, apart }))
    }

    fn length(&self, belongs: impl Fn(u8) -> bool) -> usize {
        let end = self.rest.iter().position(|b| !belongs(*b));
        end.unwrap_or(self.rest.len())
    }

    fn cut(&mut self, length: usize) -> &'a [u8] {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        text
    }

    /// Cuts off an enclosed text of which the position of the closing delimiter is known.
    fn enclosed(&mut self, end: Option<usize>) -> Result<&'a [u8], FromError> {
        let end = end.ok_or(FromError::Unclosed)?;
        Ok(&self.cut(end + 1)[1..end])
    }
}

/// RFC 5322 3.2.3, and RFC 6532 3.2 or any other charset that leaves ASCII alone.
fn is_atom(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

fn quoted_end(text: &[u8]) -> Option<usize> {
    closing(text, |depth, byte| match byte {
        b'"' => depth ^ 1,
        _ => depth,
    })
}

fn comment_end(text: &[u8]) -> Option<usize> {
    closing(text, |depth, byte| match byte {
        b'(' => depth + 1,
        b')' => depth - 1,
        _ => depth,
    })
}

fn bracket_end(text: &[u8]) -> Option<usize> {
    text.iter().position(|b| *b == b']')
}

/// Where the depth falls back to nothing. A backslash takes the next byte out of the count.
fn closing(text: &[u8], depth_after: impl Fn(usize, u8) -> usize) -> Option<usize> {
    let mut depth = 0;
    let mut escaped = false;
    for (i, byte) in text.iter().enumerate() {
        if escaped {
            escaped = false;
            continue;
        }
        if *byte == b'\\' {
            escaped = true;
            continue;
        }
        depth = depth_after(depth, *byte);
        if depth == 0 {
            return Some(i);
        }
    }
    None
}

/// The text that a quoted string or comment stands for: line ends of folds and escaping
/// backslashes taken out.
pub(super) fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\r' | b'\n' => {}
            // An escape never ends the text: its closing delimiter would have been escaped.
            b'\\' => plain.extend(bytes.next().filter(|b| !matches!(b, b'\r' | b'\n'))),
            byte => plain.push(*byte),
        }
    }
    plain
}
