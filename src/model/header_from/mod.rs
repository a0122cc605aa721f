//! The header From field (RFC 5322 3.6.2), read strictly: either every reader finds the same
//! addresses in it, or it is refused.
//!
//! The grammar is the mailbox-list of RFC 5322 with the groups of RFC 6854, comments and folds
//! wherever white space may be, dots in display names (obs-phrase), and UTF-8 (RFC 6532). Two
//! habits of real senders are let in, because they change no address: raw 8-bit bytes of any
//! charset, and `@` or plain `[…]`, in a display name in front of `<…>`. All other obsolete forms
//! (routes, white space around dots, empty list entries) are refused, and so is whatever is left
//! over. Encoded words are text: no address is ever decoded out of one.
//!
//! Time and memory are linear in the length of the field.

mod grammar;
mod token;

use super::address::Address;

/// The most mailboxes that a From field may have.
pub const MAX_MAILBOXES: usize = 10;
/// The most addresses that its display names may contain, where those are looked at.
pub const MAX_ADDRESSES_IN_NAMES: usize = 10;

/// One mailbox of a From field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// The display name, unfolded and without its quotes; encoded words stay as they are, and bytes
    /// that are not UTF-8 are replaced. Without one, the comment behind the address, which older
    /// readers show in its place: `jane@example.com (Jane Doe)`.
    pub display_name: Option<Box<str>>,
    /// The address.
    pub address: Address,
}

/// Why a From field is refused. The text completes "the header From cannot be used: …".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, thiserror::Error)]
pub enum FromError {
    /// The message has no From field.
    #[error("the message has none")]
    Absent,
    /// No mailbox: an empty field, or groups without members.
    #[error("it names nobody")]
    Empty,
    /// More than one From field: readers differ in which one they show.
    #[error("the message has more than one")]
    Repeated,
    /// More than [`MAX_MAILBOXES`].
    #[error("it names more than 10 mailboxes")]
    TooMany,
    /// More than [`MAX_ADDRESSES_IN_NAMES`], where a foreign address in a display name is refused.
    #[error("its display names contain more than 10 addresses")]
    TooManyInNames,
    /// More than what is kept of the From fields of one message.
    #[error("it is too long")]
    TooLong,
    /// NUL, a bare CR, a line end that is no fold, or another control character.
    #[error("it contains a control character or a stray line end")]
    Control,
    /// A quote, comment, bracket or group without its end.
    #[error("a quote, comment, bracket or group in it is not closed")]
    Unclosed,
    /// An entry of the list that has no address, as when the comma of a name is not quoted.
    #[error("one of its entries has no address (a comma or colon in a name must be quoted)")]
    NoAddress,
    /// The local part is not a dot-atom or a quoted string.
    #[error("an address in it has no valid local part")]
    BadLocal,
    /// What follows `@` is neither a domain nor an address literal.
    #[error("an address in it has no valid domain")]
    BadDomain,
    /// Text between `<` and `>`, or after an address, that belongs to nothing.
    #[error("an address in it is not separated from the text around it")]
    Leftover,
    /// `<@relay:jane@example.com>`: readers differ in what the address is.
    #[error("an address in it has a source route")]
    Route,
    /// A form in which readers are known to find another address: specials in a quoted local part,
    /// an encoded word in a local part, an `@` in the name of a group, address characters in a
    /// bracketed word of a name or in a literal, an `@` in a name that has a comma in quotes which
    /// do not begin it, a comment with two of: an `@`, a character of lists, a comment or escape; or
    /// with half an encoded word.
    #[error("mail readers could find another address in it")]
    Ambiguous,
    /// A character that may not stand where it stands.
    #[error("a special character in it is neither quoted nor in its place")]
    Misplaced,
}

impl FromError {
    /// Each of them.
    pub const ALL: [FromError; 15] = [
        FromError::Absent,
        FromError::Empty,
        FromError::Repeated,
        FromError::TooMany,
        FromError::TooManyInNames,
        FromError::TooLong,
        FromError::Control,
        FromError::Unclosed,
        FromError::NoAddress,
        FromError::BadLocal,
        FromError::BadDomain,
        FromError::Leftover,
        FromError::Route,
        FromError::Ambiguous,
        FromError::Misplaced,
    ];

    /// Nobody is named, as opposed to: it cannot be read.
    pub fn is_missing(&self) -> bool {
        match self {
            FromError::Absent | FromError::Empty => true,
            FromError::Repeated
            | FromError::TooMany
            | FromError::TooManyInNames
            | FromError::TooLong
            | FromError::Control
            | FromError::Unclosed
            | FromError::NoAddress
            | FromError::BadLocal
            | FromError::BadDomain
            | FromError::Leftover
            | FromError::Route
            | FromError::Ambiguous
            | FromError::Misplaced => false,
        }
    }
}

/// Reads the From fields of a message: there has to be exactly one.
pub fn parse_fields<V: AsRef<[u8]>>(values: &[V]) -> Result<Vec<Mailbox>, FromError> {
    match values {
        [] => Err(FromError::Absent),
        [value] => parse(value.as_ref()),
        [_, _, ..] => Err(FromError::Repeated),
    }
}

/// Reads the value of one From field, folded or not: what stands behind the colon.
pub fn parse(value: &[u8]) -> Result<Vec<Mailbox>, FromError> {
    let tokens = token::tokens(value)?;
    let mailboxes = grammar::mailboxes(&tokens)?;
    if mailboxes.is_empty() {
        return Err(FromError::Empty);
    }
    Ok(mailboxes)
}
