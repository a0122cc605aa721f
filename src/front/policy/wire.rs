//! The bytes of SMTPD policy delegation: requests in, actions out. Pure; for the policy front end.
//!
//! A request is `name=value` lines and an empty line; an answer is one `action=` line and an empty
//! line; line ends are LF alone (Postfix waits for ever after CR LF). What a request means is
//! not decided here.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::model::reply::Reply;

/// The most bytes of one request, its empty line included. Postfix sends under 4 KiB.
pub const MAX_BYTES: usize = 64 << 10;
/// The most attributes of one request. Postfix 3.12 sends 30.
pub const MAX_ATTRIBUTES: usize = 256;

/// What `request=` says in a question that is meant for a policy server.
const POLICY_REQUEST: &[u8] = b"smtpd_access_policy";

/// An attribute that outgate reads. All others are passed over, whatever they say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Attribute {
    /// `request`
    Request,
    /// `protocol_state`
    State,
    /// `client_address`
    ClientAddress,
    /// `client_port`
    ClientPort,
    /// `server_port`
    ServerPort,
    /// `sender`
    Sender,
    /// `recipient_count`
    RecipientCount,
    /// `queue_id`
    QueueId,
    /// `instance`
    Instance,
    /// `sasl_username`
    Login,
}

impl Attribute {
    /// All of them, in the order of their declaration.
    pub const ALL: [Attribute; 10] = [
        Attribute::Request,
        Attribute::State,
        Attribute::ClientAddress,
        Attribute::ClientPort,
        Attribute::ServerPort,
        Attribute::Sender,
        Attribute::RecipientCount,
        Attribute::QueueId,
        Attribute::Instance,
        Attribute::Login,
    ];

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Attribute::Request => "request",
            Attribute::State => "protocol_state",
            Attribute::ClientAddress => "client_address",
            Attribute::ClientPort => "client_port",
            Attribute::ServerPort => "server_port",
            Attribute::Sender => "sender",
            Attribute::RecipientCount => "recipient_count",
            Attribute::QueueId => "queue_id",
            Attribute::Instance => "instance",
            Attribute::Login => "sasl_username",
        }
    }

    fn named(name: &[u8]) -> Option<Attribute> {
        Attribute::ALL
            .into_iter()
            .find(|attribute| attribute.name().as_bytes() == name)
    }
}

/// Why the bytes are not a question from Postfix. There is no answer to it but closing the
/// connection, which Postfix turns into a temporary refusal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Malformed {
    /// A line is not `name=value`.
    #[error("a line is not of the form name=value")]
    NotAnAttribute,
    /// `request=` is missing, or asks for something else.
    #[error("it is not a request=smtpd_access_policy")]
    OtherRequest,
    /// Two lines give an attribute different values.
    #[error("it gives {} twice, with different values", .0.name())]
    Contradiction(Attribute),
    /// The decision needs an attribute that is not there.
    #[error("it has a login, but no {}", .0.name())]
    Missing(Attribute),
    /// The value of an attribute cannot be understood.
    #[error("its {} has a value that Postfix does not send", .0.name())]
    BadValue(Attribute),
    /// More than [`MAX_BYTES`].
    #[error("it is longer than {MAX_BYTES} bytes")]
    TooLong,
    /// More than [`MAX_ATTRIBUTES`].
    #[error("it has more than {MAX_ATTRIBUTES} attributes")]
    TooMany,
}

/// Where the value of an attribute lies in the bytes of its request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Span {
    start: u32,
    end: u32,
}

/// The values found so far, or all of them.
type Found = [Option<Span>; Attribute::ALL.len()];

/// One request: its bytes, and where in them the values lie that a decision reads.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    bytes: Bytes,
    found: Found,
}

impl Request {
    /// The value of an attribute, if the request has it; it may be empty.
    pub fn value(&self, attribute: Attribute) -> Option<&[u8]> {
        let span = self.found[attribute as usize]?;
        self.bytes.get(span.start as usize..span.end as usize)
    }
}

/// What Postfix is to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Go on with the administrator's next restriction. Never `OK`, which would skip those.
    Dunno,
    /// Answer the client with this.
    Reply(Reply),
}

/// Reads requests line by line as they arrive, so that garbage is noticed at its first line, and
/// writes actions. Where the stream is cut into pieces makes no difference.
#[derive(Debug, Default)]
pub struct PolicyCodec {
    /// Where the line under way begins.
    line: usize,
    /// How far the line end has been looked for.
    searched: usize,
    attributes: usize,
    found: Found,
}

impl PolicyCodec {
    /// Takes one line of the request, without its end.
    fn attribute(&mut self, bytes: &[u8], end: usize) -> Result<(), Malformed> {
        let line = &bytes[self.line..end];
        let name = line
            .iter()
            .position(|byte| *byte == b'=')
            .filter(|length| *length > 0)
            .ok_or(Malformed::NotAnAttribute)?;
        self.attributes += 1;
        if self.attributes > MAX_ATTRIBUTES {
            return Err(Malformed::TooMany);
        }
        let Some(attribute) = Attribute::named(&line[..name]) else {
            return Ok(());
        };
        let value = &line[name + 1..];
        if attribute == Attribute::Request && value != POLICY_REQUEST {
            return Err(Malformed::OtherRequest);
        }
        match self.found[attribute as usize] {
            Some(span) if bytes[span.start as usize..span.end as usize] != *value => {
                Err(Malformed::Contradiction(attribute))
            }
            Some(_) => Ok(()),
            None => {
                let position = |at| u32::try_from(at).map_err(|_| Malformed::TooLong);
                self.found[attribute as usize] = Some(Span {
                    start: position(self.line + name + 1)?,
                    end: position(end)?,
                });
                Ok(())
            }
        }
    }
}

impl Decoder for PolicyCodec {
    type Item = Request;
    type Error = Closed;

    fn decode(&mut self, input: &mut BytesMut) -> Result<Option<Request>, Closed> {
        while let Some(length) = memchr::memchr(b'\n', &input[self.searched..]) {
            let end = self.searched + length;
            if end >= MAX_BYTES {
                return Err(Malformed::TooLong.into());
            }
            self.searched = end + 1;
            if self.line < end {
                self.attribute(input, end)?;
                self.line = self.searched;
                continue;
            }
            let bytes = input.split_to(self.searched).freeze();
            let PolicyCodec { found, .. } = std::mem::take(self);
            if found[Attribute::Request as usize].is_none() {
                return Err(Malformed::OtherRequest.into());
            }
            return Ok(Some(Request { bytes, found }));
        }
        self.searched = input.len();
        if input.len() >= MAX_BYTES {
            return Err(Malformed::TooLong.into());
        }
        Ok(None)
    }
}

impl Encoder<&Action> for PolicyCodec {
    type Error = Closed;

    fn encode(&mut self, action: &Action, output: &mut BytesMut) -> Result<(), Closed> {
        output.put_slice(b"action=");
        match action {
            Action::Dunno => output.put_slice(b"DUNNO"),
            // Whatever a reply is made of, it stays one line of what Postfix passes on.
            Action::Reply(reply) => output.extend(reply.to_string().bytes().map(|byte| {
                if byte == b' ' || byte.is_ascii_graphic() {
                    byte
                } else {
                    b'?'
                }
            })),
        }
        output.put_slice(b"\n\n");
        Ok(())
    }
}

/// Why a connection was closed from this side.
#[derive(Debug, Error)]
pub enum Closed {
    /// It is not Postfix, or not one that we understand.
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// The other side stopped in the middle of a request, or does not read its answers.
    #[error("nothing more came within {} s", .0.as_secs())]
    Late(std::time::Duration),
    /// The connection broke.
    #[error("{0}")]
    Broken(#[from] std::io::Error),
}
