//! What the SMTP client hears: one line of printable ASCII that explains itself.

use std::fmt;

/// The most bytes of one reply line, code included.
pub const MAX_REPLY: usize = 400;
/// The most bytes of a reply line as Postfix sends it on (RFC 5321 4.5.3.1.5, less CR LF).
pub const MAX_LINE: usize = 510;

/// An SMTP reply with its enhanced status (RFC 3463) and text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// `550`, `535`, `451` and the like.
    pub code: u16,
    /// `5.7.1`: its class is that of the code, or Postfix would not pass it on.
    pub enhanced: &'static str,
    /// Never empty: Postfix versions before August 2026 fill an empty text with foreign memory.
    pub text: String,
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.enhanced, self.text)
    }
}

/// A client's text as it may stand in a reply: printable ASCII as it is, anything else as `\u{…}`.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' '..='~' => escaped.push(c),
            _ => escaped.extend(c.escape_unicode()),
        }
    }
    escaped
}

/// Puts tag, sentence and link together; the sentence is cut, never the tag or the link, so that
/// the whole reply fits into `room` bytes.
pub fn compose(tag: &str, sentence: &str, link: &str, room: usize) -> String {
    const CUT: &str = "...";
    let fixed = tag.len() + link.len();
    let mut sentence = sentence.to_owned();
    if fixed + sentence.len() > room {
        let keep = room.saturating_sub(fixed + CUT.len());
        // Only ASCII comes here, but a slip must not panic.
        let end = (0..=keep.min(sentence.len()))
            .rev()
            .find(|i| sentence.is_char_boundary(*i));
        sentence.truncate(end.unwrap_or(0));
        sentence.push_str(CUT);
    }
    format!("{tag}{sentence}{link}")
}
