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

/// Own words plain, everything that comes from a client quoted and escaped.
fn write_text(entry: &Entry<'_>, level: LogLevel, out: &mut Vec<u8>) {
    let level = if level == LogLevel::Warn {
        "WARN"
    } else {
        "INFO"
    };
    // Writing to a vector does not fail.
    let _ = write!(
        out,
        "{:.3} {level} decision front_end={} stage={} verdict={} reason={} id={} user={} account={} client={} login={:?} mail_from=",
        entry.at,
        entry.front_end,
        entry.stage,
        entry.verdict,
        entry.reason,
        entry.id,
        entry.user.unwrap_or("-"),
        entry.account.unwrap_or("-"),
        entry.client,
        entry.login,
    );
    let _ = match entry.mail_from {
        Some(sender) => write!(out, "{sender:?}"),
        None => write!(out, "-"),
    };
    let _ = write!(
        out,
        " header_from={:?} recipients={} queue_id={:?} user_id=",
        entry.header_from, entry.recipients, entry.queue_id
    );
    let _ = match entry.user_id {
        Some(id) => write!(out, "{id}"),
        None => write!(out, "-"),
    };
    let _ = write!(
        out,
        " audit={} ms={:.3} reply={:?}",
        entry.audit,
        millis(entry.micros),
        entry.reply
    );
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
