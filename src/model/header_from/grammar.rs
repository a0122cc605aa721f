//! The grammar of a From field over its tokens (RFC 5322 3.4, RFC 6854). No recursion.

use super::token::{Kind, Token, unescape};
use super::{FromError, MAX_MAILBOXES, Mailbox};
use crate::model::address::{Address, Site};
use crate::model::domain::Domain;

/// The mailboxes that the tokens name, those of groups included. None where groups are empty.
pub(super) fn mailboxes(tokens: &[Token<'_>]) -> Result<Vec<Mailbox>, FromError> {
    if let Some((last, others)) = tokens.split_last()
        && (hides_an_address(last) || others.iter().any(|t| hides_an_address(t) || breaks_off(t)))
    {
        return Err(FromError::Ambiguous);
    }
    let mut reader = Reader {
        tokens,
        comment: None,
        mailboxes: Vec::new(),
    };
    if tokens.iter().any(|token| token.kind != Kind::Comment) {
        reader.address_list()?;
    }
    Ok(reader.mailboxes)
}

/// A comment in which readers find an address. Some know no comments in front of an address, so a list
/// in it is one to them; others end them at the first `)`, escaped or not; and those that decode
/// encoded words first look for the end of one behind it.
fn hides_an_address(token: &Token<'_>) -> bool {
    let mut pairs = token.text.windows(2);
    let half_encoded = pairs.any(|pair| pair == b"=?") && !pairs.any(|pair| pair == b"?=");
    let at = token.text.contains(&b'@');
    token.kind == Kind::Comment
        && (half_encoded || at && (has_any(token, LIST) || has_any(token, END)))
}

/// A comment at whose first `)` some readers go on, and then find a list, whose end is an address
/// together with what follows. At the end of the field nothing follows: `(Sales, (EU))`.
fn breaks_off(token: &Token<'_>) -> bool {
    token.kind == Kind::Comment && has_any(token, LIST) && has_any(token, END)
}

/// What ends an entry of a list, or an address in it.
const LIST: &[u8] = b",:;<>";
/// What ends a comment for readers that know neither comments in comments nor escapes.
const END: &[u8] = b"()\\";

fn has_any(token: &Token<'_>, of: &[u8]) -> bool {
    token.text.iter().any(|byte| of.contains(byte))
}

struct Reader<'t, 'a> {
    tokens: &'t [Token<'a>],
    /// The last comment that went by.
    comment: Option<&'a [u8]>,
    mailboxes: Vec<Mailbox>,
}

/// How an entry of the list begins: up to what is not part of a name or a bare address.
struct Head<'a> {
    /// A comment stands in front of it.
    after_comment: bool,
    words: Vec<Token<'a>>,
    /// The special that ended it.
    end: Option<u8>,
}

impl<'t, 'a> Reader<'t, 'a> {
    /// mailboxes and groups, separated by commas.
    fn address_list(&mut self) -> Result<(), FromError> {
        loop {
            let head = self.head();
            if head.end == Some(b':') {
                check_group_name(&head)?;
                self.next();
                self.group()?;
            } else {
                self.mailbox(head)?;
            }
            match self.next().map(|token| token.kind) {
                None => return Ok(()),
                Some(Kind::Special(b',')) => {}
                Some(_) => return Err(FromError::Leftover),
            }
        }
    }

    /// What stands between the colon and the semicolon of a group.
    fn group(&mut self) -> Result<(), FromError> {
        if self.peek() == Some(Kind::Special(b';')) {
            self.next();
            return Ok(());
        }
        loop {
            let head = self.head();
            if head.end == Some(b':') {
                return Err(FromError::Misplaced);
            }
            if head.end.is_none() && head.words.is_empty() {
                return Err(FromError::Unclosed);
            }
            self.mailbox(head)?;
            match self.next().map(|token| token.kind) {
                None => return Err(FromError::Unclosed),
                Some(Kind::Special(b';')) => return Ok(()),
                Some(Kind::Special(b',')) => {}
                Some(_) => return Err(FromError::Leftover),
            }
        }
    }

    /// `Jane Doe <jane@example.com>` or `jane@example.com`.
    fn mailbox(&mut self, head: Head<'a>) -> Result<(), FromError> {
        let (name, address) = if head.end == Some(b'<') {
            self.next();
            let address = self.angle_address()?;
            (display_name(&head)?, address)
        } else {
            (None, bare_address(&head.words)?)
        };
        if self.mailboxes.len() == MAX_MAILBOXES {
            return Err(FromError::TooMany);
        }
        // A comment behind the address belongs to it.
        self.skip_comments();
        let comment = self.comment.map(unescape).filter(|text| !text.is_empty());
        let display_name = name.or_else(|| comment.map(|text| shown(&text)));
        self.mailboxes.push(Mailbox {
            display_name,
            address,
        });
        Ok(())
    }

    /// What stands between `<` and `>`, and the `>`.
    fn angle_address(&mut self) -> Result<Address, FromError> {
        let mut words = Vec::new();
        loop {
            let token = self.next().ok_or(FromError::Unclosed)?;
            match token.kind {
                Kind::Special(b'>') => return address(&words),
                Kind::Special(b',' | b':') if is_route(&words) => return Err(FromError::Route),
                Kind::Special(b'<' | b',' | b';' | b':') => return Err(FromError::Misplaced),
                Kind::Atom | Kind::Quoted | Kind::Bracketed | Kind::Special(_) | Kind::Comment => {
                    words.push(token);
                }
            }
        }
    }

    /// Takes what a name or a bare address is made of.
    fn head(&mut self) -> Head<'a> {
        self.comment = None;
        self.skip_comments();
        let mut head = Head {
            after_comment: self.comment.is_some(),
            words: Vec::new(),
            end: None,
        };
        loop {
            match self.peek() {
                None => return head,
                Some(Kind::Special(end @ (b'<' | b'>' | b',' | b';' | b':'))) => {
                    head.end = Some(end);
                    return head;
                }
                Some(Kind::Special(_) | Kind::Atom | Kind::Quoted | Kind::Bracketed)
                | Some(Kind::Comment) => head.words.extend(self.next()),
            }
        }
    }

    fn peek(&mut self) -> Option<Kind> {
        self.skip_comments();
        self.tokens.first().map(|token| token.kind)
    }

    fn next(&mut self) -> Option<Token<'a>> {
        self.skip_comments();
        let (token, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*token)
    }

    fn skip_comments(&mut self) {
        while let Some((token, rest)) = self.tokens.split_first()
            && token.kind == Kind::Comment
        {
            self.comment = Some(token.text);
            self.tokens = rest;
        }
    }
}

/// `@a.example,@b.example` in front of a colon (RFC 5322 4.4, obs-route).
fn is_route(words: &[Token<'_>]) -> bool {
    words.first().map(|token| token.kind) == Some(Kind::Special(b'@'))
}

/// A group needs a name, and one that nobody takes for an address.
fn check_group_name(head: &Head<'_>) -> Result<(), FromError> {
    if head.words.is_empty() {
        return Err(FromError::Misplaced);
    }
    for word in &head.words {
        match word.kind {
            Kind::Special(b'@') => return Err(FromError::Ambiguous),
            Kind::Special(_) | Kind::Atom | Kind::Quoted | Kind::Bracketed | Kind::Comment => {}
        }
    }
    display_name(head).map(drop)
}

/// The words in front of `<…>` as one text. The address behind them is what counts, so they may
/// hold what is no phrase in the sense of RFC 5322, as long as nobody finds another address.
fn display_name(head: &Head<'_>) -> Result<Option<Box<str>>, FromError> {
    let mut name = Vec::new();
    let has_at = head.words.iter().any(|word| word.text.contains(&b'@'));
    let mut first = !head.after_comment;
    for word in &head.words {
        if word.apart && !name.is_empty() {
            name.push(b' ');
        }
        let begins = std::mem::replace(&mut first, false);
        match word.kind {
            // Readers that know quotes at the beginning of an entry only end it in this one, and
            // find an address in front of its comma.
            Kind::Quoted if !begins && has_at && word.text.iter().any(|b| b",:;<>".contains(b)) => {
                return Err(FromError::Ambiguous);
            }
            Kind::Quoted => name.extend(unescape(word.text)),
            Kind::Bracketed => {
                let plain = |b: &u8| !b"\"\\(),:;<>@[".contains(b);
                if !word.text.iter().all(plain) {
                    return Err(FromError::Ambiguous);
                }
                name.push(b'[');
                name.extend(unescape(word.text));
                name.push(b']');
            }
            Kind::Atom | Kind::Special(_) | Kind::Comment => name.extend_from_slice(word.text),
        }
    }
    Ok((!name.is_empty()).then(|| shown(&name)))
}

fn shown(text: &[u8]) -> Box<str> {
    String::from_utf8_lossy(text).into()
}

/// An entry without `<…>`: nothing but an address. Where there is not even an `@`, it is a name
/// whose address is missing.
fn bare_address(words: &[Token<'_>]) -> Result<Address, FromError> {
    if words.iter().all(|word| word.kind != Kind::Special(b'@')) {
        return Err(FromError::NoAddress);
    }
    address(words)
}

/// addr-spec (RFC 5322 3.4.1). Comments and white space may stand around its `@`, not within
/// its halves.
fn address(words: &[Token<'_>]) -> Result<Address, FromError> {
    let at = words
        .iter()
        .position(|word| word.kind == Kind::Special(b'@'))
        .ok_or(FromError::NoAddress)?;
    let (local, site) = (&words[..at], &words[at + 1..]);
    Ok(Address {
        local: local_part(local)?,
        site: self::site(site)?,
    })
}

fn local_part(words: &[Token<'_>]) -> Result<Box<str>, FromError> {
    let [
        Token {
            kind: Kind::Quoted,
            text,
            ..
        },
    ] = words
    else {
        return plain_local(dot_atom(words, FromError::BadLocal)?);
    };
    let text = unescape(text);
    // Readers that do not know quotes find an address or a list in such a local part, and CVEs
    // tell of them.
    if text.iter().any(|b| b"\"\\(),:;<>@[]".contains(b)) {
        return Err(FromError::Ambiguous);
    }
    let text = readable(text, FromError::BadLocal)?;
    if text.is_empty() || text.trim() != text {
        return Err(FromError::BadLocal);
    }
    plain_local(text)
}

/// An encoded word is none in an address (RFC 2047 5), but readers that decode a field before
/// they take it apart find there what its author wants them to find.
fn plain_local(text: String) -> Result<Box<str>, FromError> {
    match text.split_once("=?") {
        Some((_, rest)) if rest.contains("?=") => Err(FromError::Ambiguous),
        Some(_) | None => Ok(text.into()),
    }
}

fn site(words: &[Token<'_>]) -> Result<Site, FromError> {
    if words.iter().any(|word| word.kind == Kind::Special(b'@')) {
        return Err(FromError::Leftover);
    }
    match words {
        [literal] if literal.kind == Kind::Bracketed => {
            let dtext = |b: &u8| b.is_ascii_graphic() && !b"[\\".contains(b);
            if literal.text.is_empty() || !literal.text.iter().all(dtext) {
                return Err(FromError::BadDomain);
            }
            // Text of a literal by RFC 5322, and in no literal that there is (RFC 5321 4.1.3).
            if literal.text.iter().any(|b| b"\"(),;<>@".contains(b)) {
                return Err(FromError::Ambiguous);
            }
            let literal = readable(literal.text.to_vec(), FromError::BadDomain)?;
            Ok(Site::Literal(format!("[{literal}]").into()))
        }
        [name @ .., root] if root.kind == Kind::Special(b'.') && !root.apart => domain(name),
        name => domain(name),
    }
}

/// A trailing dot, which the caller has taken off, changes no name.
fn domain(words: &[Token<'_>]) -> Result<Site, FromError> {
    let name = dot_atom(words, FromError::BadDomain)?;
    let domain = Domain::parse(&name).map_err(|_| FromError::BadDomain)?;
    Ok(Site::Domain(domain))
}

/// Atoms with single dots between them and no space (RFC 5322 3.2.3).
fn dot_atom(words: &[Token<'_>], wrong: FromError) -> Result<String, FromError> {
    let mut text = Vec::new();
    for (i, word) in words.iter().enumerate() {
        if i > 0 && word.apart {
            return Err(FromError::Leftover);
        }
        match (i % 2, word.kind) {
            (0, Kind::Atom) | (1, Kind::Special(b'.')) => text.extend_from_slice(word.text),
            (_, Kind::Atom | Kind::Quoted | Kind::Bracketed | Kind::Comment | Kind::Special(_)) => {
                return Err(wrong);
            }
        }
    }
    if words.len().is_multiple_of(2) {
        return Err(wrong);
    }
    readable(text, wrong)
}

/// UTF-8 without what nobody can see (RFC 6532 3.1 asks for UTF-8 in addresses).
fn readable(text: Vec<u8>, wrong: FromError) -> Result<String, FromError> {
    let text = String::from_utf8(text).map_err(|_| wrong)?;
    let unseen = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if text.chars().any(unseen) {
        return Err(wrong);
    }
    Ok(text)
}
