//! What is to be explained: a message of a login, as far as it is known.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::Options;
use super::line::Found;
use crate::cli::failure::Failure;
use crate::decision::facts::{Question, Resolved};
use crate::model::header_from::{self, FromError, Mailbox};
use crate::model::network::ClientAddress;
use crate::model::sender::EnvelopeSender;

/// A message. What is `None` is not known and not judged.
pub struct Case {
    /// As the client gave it.
    pub login: String,
    /// From where.
    pub client: Option<ClientAddress>,
    /// The envelope sender.
    pub sender: Option<EnvelopeSender>,
    /// The header From fields, as the milter reads them.
    pub header_from: Option<Result<Vec<Mailbox>, FromError>>,
    /// How many recipients the message has.
    pub recipients: Option<u32>,
}

impl Case {
    /// What the options say; where they are silent, what was found in a line. `None`: nobody says who
    /// logged in.
    pub fn new(options: &Options, found: Found) -> Result<Option<Case>, Failure> {
        let Some(login) = options.user.clone().or(found.login) else {
            return Ok(None);
        };
        let client = match &options.ip {
            Some(text) => Some(client(text)?),
            None => found.client.as_deref().map(ClientAddress::parse),
        };
        let sender = match &options.mail_from {
            Some(text) => Some(EnvelopeSender::from_mail_argument(text.as_bytes())),
            None => found
                .mail_from
                .map(|text| EnvelopeSender::from_policy(text.as_bytes())),
        };
        let header_from = match options.header_from.as_slice() {
            [] => match found.unreadable {
                Some(error) => Some(Err(error)),
                None => found.header_from.as_deref().map(addresses),
            },
            values => Some(fields(values)),
        };
        Ok(Some(Case {
            login,
            client,
            sender,
            header_from,
            recipients: options.recipients.or(found.recipients),
        }))
    }

    /// As the engine is asked. Nothing is charged.
    pub fn question(&self) -> Question<'_> {
        Question {
            login: &self.login,
            session_user: None,
            client: self.client,
            sender: self.sender.as_ref(),
            resolved: &Resolved::NotAsked,
            header_from: self.header_from.as_ref(),
            recipients: self.recipients,
            charge: None,
        }
    }
}

/// Reads `--ip`. Postfix's word for an address that it does not know is taken; a slip is not.
pub fn client(text: &str) -> Result<ClientAddress, Failure> {
    let client = ClientAddress::parse(text);
    let meant = text.is_empty() || text.eq_ignore_ascii_case("unknown");
    if client == ClientAddress::Unknown && !meant {
        return Err(Failure::refused(
            format!("{text:?} is not an IP address"),
            "write the client's address, e.g. --ip 192.0.2.7 or --ip 2001:db8::7, or --ip unknown",
        ));
    }
    Ok(client)
}

/// The header From fields of one message.
fn fields(values: &[OsString]) -> Result<Vec<Mailbox>, FromError> {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    header_from::parse_fields(&values)
}

/// One field that has these addresses, or no field.
fn addresses(list: &[String]) -> Result<Vec<Mailbox>, FromError> {
    match list {
        [] => header_from::parse_fields::<&[u8]>(&[]),
        _ => header_from::parse_fields(&[format!("<{}>", list.join(">, <"))]),
    }
}
