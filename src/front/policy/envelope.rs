//! What one policy request asks: attributes become domain values here, and nowhere else.

use std::borrow::Cow;

use blake2::{Blake2b256, Digest};

use super::wire::{Attribute, Malformed, Request};
use crate::decision::facts::{Question, Resolved, Stage};
use crate::model::network::ClientAddress;
use crate::model::quota::MessageKey;
use crate::model::sender::EnvelopeSender;
use crate::transactions::Session;

/// The envelope that a login hands in, as one request shows it.
pub struct Envelope<'r> {
    /// At what point of SMTP.
    pub stage: Stage,
    /// As it came; bytes that are no text make it a login that nobody can have.
    pub login: Cow<'r, str>,
    /// Where from.
    pub client: ClientAddress,
    /// Who sends.
    pub sender: EnvelopeSender,
    /// Accepted so far; Postfix counts them at DATA only.
    pub recipients: u32,
    /// Empty before the first recipient is accepted; at DATA, where Postfix does not queue itself.
    pub queue_id: Cow<'r, str>,
    request: &'r Request,
}

impl<'r> Envelope<'r> {
    /// Reads a request; `None` where outgate has no opinion: at stages that are not its business
    /// (a refusal at END-OF-MESSAGE crashes Postfix versions in use), and without a login.
    ///
    /// With a login, a request that has no stage or sender, or a stage unknown to us, cannot be
    /// judged and so must not be answered.
    pub fn read(request: &'r Request) -> Result<Option<Envelope<'r>>, Malformed> {
        let state = request.value(Attribute::State);
        let stage = match state {
            Some(b"MAIL") => Some(Stage::Mail),
            Some(b"RCPT") => Some(Stage::Rcpt),
            Some(b"DATA") => Some(Stage::Data),
            Some(b"CONNECT" | b"EHLO" | b"HELO" | b"VRFY" | b"ETRN" | b"END-OF-MESSAGE") => {
                return Ok(None);
            }
            Some(_) | None => None,
        };
        let login = match request.value(Attribute::Login) {
            None | Some(b"") => return Ok(None),
            Some(login) => String::from_utf8_lossy(login),
        };
        let stage = stage.ok_or(match state {
            Some(_) => Malformed::BadValue(Attribute::State),
            None => Malformed::Missing(Attribute::State),
        })?;
        let sender = request
            .value(Attribute::Sender)
            .ok_or(Malformed::Missing(Attribute::Sender))?;
        Ok(Some(Envelope {
            stage,
            login,
            client: client(request.value(Attribute::ClientAddress)),
            sender: EnvelopeSender::from_policy(sender),
            recipients: recipients(request.value(Attribute::RecipientCount))?,
            queue_id: text(request.value(Attribute::QueueId)),
            request,
        }))
    }

    /// The question to the core. Policy sees neither the header nor what the session was before.
    /// `charges`: this question may accept the message for good.
    pub fn question(&self, charges: bool) -> Question<'_> {
        Question {
            login: &self.login,
            session_user: None,
            client: Some(self.client),
            sender: Some(&self.sender),
            resolved: &Resolved::NotAsked,
            header_from: None,
            recipients: charges.then_some(self.recipients),
            charge: charges.then(|| self.key()),
        }
    }

    /// What the message is charged under: the same however often Postfix asks, also over another
    /// connection or to another process. The queue id tells apart what an smtpd with the bug of
    /// [`Envelope::is_out_of_turn`] hands in under one instance. So does the number of recipients:
    /// where another restriction refuses a DATA, the client may add some and come again.
    pub fn key(&self) -> MessageKey {
        let mut digest = Blake2b256::new_with_prefix(self.instance());
        let recipients = self.recipients.to_string();
        let more = [self.queue_id.as_bytes(), recipients.as_bytes()];
        for part in self.identity().chain(more) {
            // No value contains a line end, so different parts never add up to the same text.
            digest.update(b"\n");
            digest.update(part);
        }
        MessageKey::of_digest(&digest.finalize().into())
    }

    /// The SMTP session as the milter sees it too.
    pub fn session(&self) -> Session {
        Session {
            client: self.client,
            port: port(self.request.value(Attribute::ClientPort)),
            login: self.login.as_ref().into(),
        }
    }

    /// The port that the client is connected to; 0: not known.
    pub fn server_port(&self) -> u16 {
        port(self.request.value(Attribute::ServerPort))
    }

    /// A DATA that belongs to no message, or to one without recipients. After a `BDAT … LAST` that was
    /// refused, Postfix (seen with 3.7.11) forgets the message but not that it has recipients, and its
    /// smtpd dies of what comes next unless that is refused. A service that filters with
    /// `smtpd_proxy_filter` never has a queue id at DATA; this one had them (`queues`) or not.
    pub fn is_out_of_turn(&self, queues: bool) -> bool {
        self.stage == Stage::Data
            && self.queue_id.is_empty()
            && (queues || self.instance().is_empty())
    }

    /// What Postfix calls this message; empty before it has accepted MAIL.
    pub fn instance(&self) -> &'r [u8] {
        self.request.value(Attribute::Instance).unwrap_or_default()
    }

    /// What tells the sessions and senders apart that one instance could stand for.
    pub fn identity(&self) -> impl Iterator<Item = &'r [u8]> {
        let request = self.request;
        [
            Attribute::ClientAddress,
            Attribute::ClientPort,
            Attribute::Login,
            Attribute::Sender,
        ]
        .into_iter()
        .map(|attribute| request.value(attribute).unwrap_or_default())
    }
}

fn text(value: Option<&[u8]>) -> Cow<'_, str> {
    String::from_utf8_lossy(value.unwrap_or_default())
}

/// Missing, empty or `unknown`: 0.
fn port(value: Option<&[u8]>) -> u16 {
    let port = std::str::from_utf8(value.unwrap_or_default()).ok();
    port.and_then(|port| port.parse().ok()).unwrap_or(0)
}

/// Missing, empty, `unknown` or no address at all: an address that is not known.
fn client(value: Option<&[u8]>) -> ClientAddress {
    std::str::from_utf8(value.unwrap_or_default())
        .map_or(ClientAddress::Unknown, ClientAddress::parse)
}

fn recipients(value: Option<&[u8]>) -> Result<u32, Malformed> {
    match value {
        None | Some(b"") => Ok(0),
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => std::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or(Malformed::BadValue(Attribute::RecipientCount)),
        Some(_) => Err(Malformed::BadValue(Attribute::RecipientCount)),
    }
}
