//! The forms of a line: text for eyes, JSON for programs. What a client sent is escaped, so that it forges
//! neither a line nor a field.

use std::io::Write;

use jiff::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Serialize, Serializer};

use crate::config::{LogFormat, LogLevel};
use crate::decision::facts::Stage;
use crate::decision::reason::{Reason, Verdict};
use crate::model::decision_id::DecisionId;
use crate::model::name::{Name, UserId};
use crate::store::log::{Addresses, Entry};

/// Where Postfix asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FrontEnd {
    /// Dovecot auth protocol.
    Auth,
    /// SMTPD policy delegation.
    Policy,
    /// Milter.
    Milter,
}

impl FrontEnd {
    /// The name in the log.
    pub fn id(self) -> &'static str {
        match self {
            FrontEnd::Auth => "auth",
            FrontEnd::Policy => "policy",
            FrontEnd::Milter => "milter",
        }
    }
}

/// One line.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// When it was decided.
    pub time: Timestamp,
    /// The decision's.
    pub id: DecisionId,
    /// Where it was asked.
    pub front_end: FrontEnd,
    /// At what point of SMTP.
    pub stage: Stage,
    /// What would be answered in force.
    pub verdict: Verdict,
    /// Why.
    pub reason: Reason,
    /// What the client hears, or would hear; empty for what is allowed.
    pub reply: &'a str,
    /// Whose message; `None` where no user is known.
    pub user: Option<&'a Name>,
    /// Its id.
    pub user_id: Option<UserId>,
    /// Its account.
    pub account: Option<&'a Name>,
    /// As it arrived.
    pub login: &'a str,
    /// The client's address, or `unknown`.
    pub client: &'a str,
    /// `None` before MAIL, empty for the null sender.
    pub mail_from: Option<&'a str>,
    /// The addresses of the header From, as far as they could be read.
    pub header_from: &'a [String],
    /// Accepted so far, where the stage knows.
    pub recipients: u32,
    /// Empty where there is none yet.
    pub queue_id: &'a str,
    /// Recorded, not carried out.
    pub audit: bool,
    /// From question to answer, in microseconds.
    pub micros: u32,
}

impl Line<'_> {
    /// Trouble, and a right password from a wrong address, want attention.
    pub fn level(&self) -> LogLevel {
        let known_password =
            self.reason == Reason::IpNotAuthorized && self.front_end == FrontEnd::Auth;
        if self.verdict == Verdict::Defer || known_password {
            LogLevel::Warn
        } else {
            LogLevel::Info
        }
    }

    /// The same in texts.
    pub fn entry(&self) -> Entry<'_> {
        Entry {
            id: self.id,
            at: self.time,
            front_end: self.front_end.id(),
            stage: self.stage.id(),
            verdict: self.verdict.id(),
            reason: self.reason.id(),
            reply: self.reply,
            user: self.user.map(Name::as_str),
            user_id: self.user_id,
            account: self.account.map(Name::as_str),
            login: self.login,
            client: self.client,
            mail_from: self.mail_from,
            header_from: Addresses::Each(self.header_from),
            recipients: self.recipients,
            queue_id: self.queue_id,
            audit: self.audit,
            micros: self.micros,
        }
    }

    /// Writes it, with a line end.
    pub fn write(&self, format: LogFormat, out: &mut Vec<u8>) {
        match format {
            LogFormat::Text => write_text(&self.entry(), self.level(), out),
            LogFormat::Json => write_json(&self.entry(), out),
        }
        out.push(b'\n');
    }
}

/// Own words plain, everything that comes from a client quoted and escaped. In pieces, because a line is written for
/// each message: formatting at large costs several times as much.
fn write_text(entry: &Entry<'_>, level: LogLevel, out: &mut Vec<u8>) {
    let level = if level == LogLevel::Warn {
        "WARN"
    } else {
        "INFO"
    };
    // Writing to a vector does not fail.
    let _ = write!(out, "{:.3} {level} decision front_end=", entry.at);
    put(out, &[entry.front_end, " stage=", entry.stage]);
    put(out, &[" verdict=", entry.verdict, " reason=", entry.reason]);
    let _ = write!(out, " id={}", entry.id);
    put(out, &[" user=", entry.user.unwrap_or("-")]);
    put(out, &[" account=", entry.account.unwrap_or("-")]);
    put(out, &[" client=", entry.client, " login="]);
    put_quoted(out, entry.login);
    put(out, &[" mail_from="]);
    match entry.mail_from {
        Some(sender) => put_quoted(out, sender),
        None => put(out, &["-"]),
    }
    put(out, &[" header_from=["]);
    for (place, address) in entry.header_from.iter().enumerate() {
        put(out, &[if place == 0 { "" } else { ", " }]);
        put_quoted(out, address);
    }
    let _ = write!(out, "] recipients={} queue_id=", entry.recipients);
    put_quoted(out, entry.queue_id);
    let _ = match entry.user_id {
        Some(id) => write!(out, " user_id={id}"),
        None => write!(out, " user_id=-"),
    };
    let (millis, micros) = (entry.micros / 1000, entry.micros % 1000);
    let _ = write!(out, " audit={} ms={millis}.{micros:03} reply=", entry.audit);
    put_quoted(out, entry.reply);
}

fn put(out: &mut Vec<u8>, texts: &[&str]) {
    for text in texts {
        out.extend_from_slice(text.as_bytes());
    }
}

/// As `{:?}` writes it.
fn put_quoted(out: &mut Vec<u8>, text: &str) {
    let plain = |byte: u8| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\';
    if text.bytes().all(plain) {
        put(out, &["\"", text, "\""]);
    } else {
        let _ = write!(out, "{text:?}");
    }
}

/// ASCII only: what could turn the direction of a terminal is written `\u202e`.
fn write_json(entry: &Entry<'_>, out: &mut Vec<u8>) {
    let Ok(json) = serde_json::to_string(&Fields(entry)) else {
        return;
    };
    if json.is_ascii() {
        out.extend_from_slice(json.as_bytes());
        return;
    }
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c as u8);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(out, "\\u{unit:04x}");
        }
    }
}

fn millis(micros: u32) -> f64 {
    f64::from(micros) / 1e3
}

/// A line as an object, with the fields that scripts hold on to.
pub struct Fields<'a>(pub &'a Entry<'a>);

impl Serialize for Fields<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Fields(entry) = self;
        let header_from: Vec<&str> = entry.header_from.iter().collect();
        let mut object = serializer.serialize_struct("decision", 18)?;
        object.serialize_field("time", &format_args!("{:.3}", entry.at))?;
        object.serialize_field("id", &format_args!("{}", entry.id))?;
        object.serialize_field("front_end", entry.front_end)?;
        object.serialize_field("stage", entry.stage)?;
        object.serialize_field("verdict", entry.verdict)?;
        object.serialize_field("reason", entry.reason)?;
        object.serialize_field("reply", entry.reply)?;
        object.serialize_field("user", &entry.user)?;
        object.serialize_field("user_id", &entry.user_id.map(|id| id.0))?;
        object.serialize_field("account", &entry.account)?;
        object.serialize_field("login", entry.login)?;
        object.serialize_field("client", entry.client)?;
        object.serialize_field("mail_from", &entry.mail_from)?;
        object.serialize_field("header_from", &header_from)?;
        object.serialize_field("recipients", &entry.recipients)?;
        object.serialize_field("queue_id", entry.queue_id)?;
        object.serialize_field("audit", &entry.audit)?;
        object.serialize_field("ms", &millis(entry.micros))?;
        object.end()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry<'a>(text: &'a str, addresses: &'a [String]) -> Entry<'a> {
        Entry {
            id: DecisionId {
                number: 1_795_000_000_123_456,
                token: [7; 16],
            },
            at: Timestamp::from_microsecond(1_795_000_000_123_456).unwrap(),
            front_end: "milter",
            stage: "eom",
            verdict: "refuse",
            reason: "plan",
            reply: text,
            user: None,
            user_id: None,
            account: Some("default"),
            login: text,
            client: "192.0.2.7",
            mail_from: Some(text),
            header_from: Addresses::Each(addresses),
            recipients: 3,
            queue_id: text,
            audit: false,
            micros: 1_042_007,
        }
    }

    proptest! {
        /// Nothing that a client sent ends a field or a line.
        #[test]
        fn texts_are_quoted(text in "\\PC{0,20}|[\"\\\\a\n\t \u{202e}]{0,6}", more in ".{0,5}") {
            let addresses = [text.clone(), more];
            for addresses in [&addresses[..], &addresses[..1], &[]] {
                let mut line = Vec::new();
                write_text(&entry(&text, addresses), LogLevel::Info, &mut line);
                let expected = format!(
                    "2026-11-18T11:06:40.123Z INFO decision front_end=milter stage=eom verdict=refuse \
                     reason=plan id={} user=- account=default client=192.0.2.7 login={text:?} \
                     mail_from={text:?} header_from={addresses:?} recipients=3 queue_id={text:?} \
                     user_id=- audit=false ms=1042.007 reply={text:?}",
                    entry("", &[]).id,
                );
                prop_assert_eq!(String::from_utf8(line).unwrap(), expected);
            }
        }
    }
}
