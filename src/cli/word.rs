//! Words of fixed lists, as the command line spells them. Anything else is a usage error.

use clap::ValueEnum;

use crate::model::user;

/// How the sender domains of a user are found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Mode {
    /// Only what the user's own grants list
    Default,
    /// Every verified domain of the account
    AllDomains,
    /// Any domain with a good SPF record (plan pro)
    AnyDomain,
}

impl From<Mode> for user::Mode {
    fn from(word: Mode) -> user::Mode {
        match word {
            Mode::Default => user::Mode::Default,
            Mode::AllDomains => user::Mode::AllDomains,
            Mode::AnyDomain => user::Mode::AnyDomain,
        }
    }
}

/// Which senders of a message are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum CheckFrom {
    /// The envelope sender and every mailbox of the header From
    Both,
    /// Only the envelope sender: for forwarders, lists, printers that send no From
    Envelope,
    /// Only the header From (nothing at all where no milter is wired)
    Header,
}

impl From<CheckFrom> for user::CheckFrom {
    fn from(word: CheckFrom) -> user::CheckFrom {
        match word {
            CheckFrom::Both => user::CheckFrom::Both,
            CheckFrom::Envelope => user::CheckFrom::Envelope,
            CheckFrom::Header => user::CheckFrom::Header,
        }
    }
}

/// Whether refusals are carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Enforce {
    /// Refusals are carried out
    On,
    /// Refusals are only logged
    Audit,
}

impl From<Enforce> for user::Enforce {
    fn from(word: Enforce) -> user::Enforce {
        match word {
            Enforce::On => user::Enforce::On,
            Enforce::Audit => user::Enforce::Audit,
        }
    }
}

/// What an account may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Plan {
    /// Its own verified domains
    Free,
    /// Also mode any-domain
    Pro,
}

impl From<Plan> for user::Plan {
    fn from(word: Plan) -> user::Plan {
        match word {
            Plan::Free => user::Plan::Free,
            Plan::Pro => user::Plan::Pro,
        }
    }
}

/// The most recipients that one message may have, as it is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MaxRecipients(pub Option<u32>);

impl MaxRecipients {
    /// A number, or `none` for no limit. What number makes sense is not decided here.
    pub fn parse(text: &str) -> Result<MaxRecipients, String> {
        if text == "none" {
            return Ok(MaxRecipients(None));
        }
        match text.parse() {
            Ok(number) => Ok(MaxRecipients(Some(number))),
            Err(_) => Err("write a number, or none for no limit".to_owned()),
        }
    }
}

/// The word for a choice, as JSON has it too.
pub fn of(choice: &impl serde::Serialize) -> String {
    match serde_json::to_value(choice) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(error) => error.to_string(),
    }
}

/// A flag for eyes.
pub fn yes_or_no(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}
