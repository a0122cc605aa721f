//! The message under way: everything that is known of what one MAIL began, and nothing of another.

use crate::decision::facts::Resolved;
use crate::engine::Record;
use crate::model::header_from::{FromError, Mailbox, parse_fields};
use crate::model::network::ClientAddress;
use crate::model::quota::MessageKey;
use crate::model::sender::EnvelopeSender;
use crate::transactions::Open;

/// The most bytes of From fields that are kept: more than Postfix's `header_size_limit`.
const MAX_FROM: usize = 128 * 1024;

/// What a session is about.
#[derive(Default)]
pub enum Envelope {
    /// No MAIL has begun a message, or it is over.
    #[default]
    Closed,
    /// Mail without a login, about which outgate has no opinion.
    Unjudged,
    /// Mail of a login.
    Open(Box<Message>),
}

/// One message.
pub struct Message {
    /// The SASL name.
    pub login: String,
    /// Where the client connects from.
    pub client: ClientAddress,
    /// As the client typed it.
    pub sender: EnvelopeSender,
    /// As Postfix resolved it.
    pub resolved: Resolved,
    /// Recipients accepted so far.
    pub recipients: u32,
    /// What has been said about it.
    pub record: Record,
    /// Its From fields.
    pub from: FromFields,
    /// What it is charged under: nobody asks twice about the end of a message.
    pub key: MessageKey,
    /// Tells policy that the milter will have the last word.
    pub _under_way: Open,
}

/// The From fields of a message, as far as they matter: a second one is too many already.
#[derive(Default)]
pub struct FromFields {
    values: Vec<Vec<u8>>,
    too_long: bool,
}

impl FromFields {
    /// Takes one more.
    pub fn add(&mut self, value: &[u8]) {
        let kept: usize = self.values.iter().map(Vec::len).sum();
        if self.values.len() >= 2 {
            return;
        }
        if kept + value.len() > MAX_FROM {
            self.too_long = true;
            return;
        }
        self.values.push(value.to_vec());
    }

    /// The mailboxes, or what is wrong.
    pub fn read(&self) -> Result<Vec<Mailbox>, FromError> {
        if self.too_long {
            return Err(FromError::TooLong);
        }
        parse_fields(&self.values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn from_fields_are_kept_within_bounds() {
        let mut fields = FromFields::default();
        assert_eq!(fields.read(), Err(FromError::Absent));
        fields.add(b"a@example.com");
        assert_eq!(fields.read().unwrap().len(), 1);
        fields.add(&vec![b'x'; MAX_FROM]);
        assert_eq!(fields.read(), Err(FromError::TooLong));
        let mut fields = FromFields::default();
        for _ in 0..100_000 {
            fields.add(b"a@example.com");
        }
        assert_eq!(fields.read(), Err(FromError::Repeated));
        assert_eq!(fields.values.len(), 2);
    }
}
