//! What a line of a log says of a message: of the decision log, in both of its forms, of Postfix's
//! log, or of a reply that somebody passes on.
//!
//! Lines are read as they come, with whatever a logger put in front. They hold what clients sent:
//! nothing in them is trusted, all of it is only asked about.

use serde::Deserialize;

use super::quoted::{self, Fields};
use crate::decision::facts::Stage;
use crate::decision::reason::Reason;
use crate::decision::sentence::TAGS;
use crate::model::header_from::FromError;
use crate::store::log::Entry;

/// What was found. What is `None` is not in the line.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Found {
    /// The login, or the name of the user behind it.
    pub login: Option<String>,
    /// The client's address, or `unknown`.
    pub client: Option<String>,
    /// The envelope sender; empty for the null sender.
    pub mail_from: Option<String>,
    /// The addresses of the header From; empty where there is no such field.
    pub header_from: Option<Vec<String>>,
    /// Why the header From could not be read.
    pub unreadable: Option<FromError>,
    /// How many recipients the message has, if that was certain.
    pub recipients: Option<u32>,
}

/// Reads a line. `None`: it is not about a decision.
pub fn read(line: &str) -> Option<Found> {
    decision_json(line)
        .or_else(|| decision_text(line))
        .or_else(|| login_failure(line))
        .or_else(|| reject(line))
        .or_else(|| accepted(line))
        .or_else(|| reply(line))
}

/// What a line of the log in the store says.
pub fn logged(entry: &Entry<'_>) -> Found {
    let decision = Decision {
        stage: entry.stage.to_owned(),
        reason: entry.reason.to_owned(),
        login: entry.login.to_owned(),
        client: entry.client.to_owned(),
        mail_from: entry.mail_from.map(str::to_owned),
        header_from: entry.header_from.iter().map(str::to_owned).collect(),
        recipients: entry.recipients,
        reply: entry.reply.to_owned(),
    };
    decision.found()
}

/// The fields of a line of the decision log that matter here.
#[derive(Deserialize)]
struct Decision {
    stage: String,
    reason: String,
    login: String,
    client: String,
    mail_from: Option<String>,
    header_from: Vec<String>,
    recipients: u32,
    #[serde(default)]
    reply: String,
}

impl Decision {
    fn found(self) -> Found {
        let missing = self.reason == Reason::HeaderFromMissing.id();
        let malformed = self.reason == Reason::HeaderFromMalformed.id();
        // Before DATA, more may come.
        let certain = [Stage::Data.id(), Stage::Eom.id()].contains(&self.stage.as_str());
        Found {
            login: Some(self.login),
            client: Some(self.client),
            mail_from: self.mail_from,
            header_from: (missing || !self.header_from.is_empty()).then_some(self.header_from),
            unreadable: if malformed {
                unreadable(&self.reply)
            } else {
                None
            },
            recipients: certain.then_some(self.recipients),
        }
    }
}

/// `{"time":…,"id":…}`
fn decision_json(line: &str) -> Option<Found> {
    let object = line.get(line.find('{')?..)?;
    // A logger may have put something behind it too.
    let mut values = serde_json::Deserializer::from_str(object).into_iter::<Decision>();
    values.next()?.ok().map(Decision::found)
}

/// `… decision front_end=… stage=…`
fn decision_text(line: &str) -> Option<Found> {
    let (_, fields) = line.split_once(" decision front_end=")?;
    let fields = Fields::of(fields);
    let list = fields.raw("header_from")?;
    let sender = fields.text("mail_from")?;
    let decision = Decision {
        stage: fields.text("stage")?,
        reason: fields.text("reason")?,
        login: fields.text("login")?,
        client: fields.text("client")?,
        mail_from: (fields.raw("mail_from") != Some("-")).then_some(sender),
        header_from: quoted::list(list)?,
        recipients: fields.text("recipients")?.parse().ok()?,
        reply: fields.text("reply").unwrap_or_default(),
    };
    Some(decision.found())
}

/// `… HOST[ADDRESS]: SASL PLAIN authentication failed: …, sasl_username=LOGIN`
fn login_failure(line: &str) -> Option<Found> {
    let (head, tail) = line.split_once(": SASL ")?;
    let (_, rest) = tail.split_once(" authentication failed")?;
    Some(Found {
        login: after(rest, "sasl_username=").map(word),
        client: address(head),
        ..Found::default()
    })
}

/// `… reject: STAGE from HOST[ADDRESS]: REPLY; from=<…> to=<…> proto=… helo=<…> sasl_username=<…>`,
/// and `milter-reject:` likewise. Only what is refused in our words.
fn reject(line: &str) -> Option<Found> {
    let (_, event) = line.split_once("reject: ")?;
    let (place, rest) = event.split_once("]: ")?;
    let said = reply(rest)?;
    let (_, facts) = rest.rsplit_once("; from=<")?;
    let mail_from = facts.split_once('>').map(|(sender, _)| sender.to_owned());
    let login = after(facts, "sasl_username=").map(word);
    Some(Found {
        login: login.or(said.login),
        client: address(&format!("{place}]")),
        mail_from,
        header_from: said.header_from,
        unreadable: said.unreadable,
        recipients: None,
    })
}

/// `… QUEUEID: client=HOST[ADDRESS], sasl_method=PLAIN, sasl_username=LOGIN`
fn accepted(line: &str) -> Option<Found> {
    let (_, rest) = line.split_once(": client=")?;
    let (client, _) = rest.split_once(", ")?;
    Some(Found {
        login: Some(word(after(rest, "sasl_username=")?)),
        client: address(client),
        ..Found::default()
    })
}

/// A reply of ours, wherever it was passed on: `[TAG] …: SENTENCE`.
fn reply(text: &str) -> Option<Found> {
    let sentence = TAGS.iter().find_map(|tag| after(text, tag))?;
    let login = ["user ", "login "].iter().find_map(|who| {
        let (_, name) = sentence.split_once(who)?;
        Some(word(name))
    });
    let address = || after(sentence, "may not send as ").map(word);
    let in_header = sentence.contains(" (header From)");
    Some(Found {
        login,
        mail_from: if in_header { None } else { address() },
        header_from: if in_header {
            address().map(|address| vec![address])
        } else {
            None
        },
        unreadable: unreadable(sentence),
        ..Found::default()
    })
}

/// What was wrong with a header From, by the sentence of the reply; the field itself is in no log.
fn unreadable(reply: &str) -> Option<FromError> {
    let said = after(reply, " cannot be used: ")?;
    let mut errors = FromError::ALL.into_iter();
    errors.find(|error| !error.is_missing() && said.starts_with(&error.to_string()))
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark).map(|(_, rest)| rest)
}

/// The first word, without what encloses it or ends it.
fn word(text: &str) -> String {
    let word = text.split([' ', ',', ';', '\'']).next().unwrap_or_default();
    let word = word.trim_start_matches('<').trim_end_matches(['>', ':']);
    word.to_owned()
}

/// The address in `HOST[ADDRESS]` at the end.
fn address(text: &str) -> Option<String> {
    let (_, address) = text.strip_suffix(']')?.rsplit_once('[')?;
    Some(address.to_owned())
}
