//! What a decision is made from: the question as it was asked, and the facts that were looked up.

use std::sync::Arc;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::display_name::addresses_in;
use crate::model::domain::Domain;
use crate::model::header_from::{FromError, MAX_ADDRESSES_IN_NAMES, Mailbox};
use crate::model::name::UserId;
use crate::model::network::ClientAddress;
use crate::model::quota::{Counter, MessageKey};
use crate::model::sender::EnvelopeSender;
use crate::model::user::{AccountTerms, Ownership, Plan, SharedUser};
use crate::standing::{Need, Standing};

/// Where in SMTP the question is asked.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Stage {
    /// SMTP AUTH.
    Auth,
    /// MAIL FROM.
    Mail,
    /// RCPT TO.
    Rcpt,
    /// DATA.
    Data,
    /// End of message.
    Eom,
}

impl Stage {
    /// Every one, in the order of their declaration.
    pub const ALL: [Stage; 5] = [
        Stage::Auth,
        Stage::Mail,
        Stage::Rcpt,
        Stage::Data,
        Stage::Eom,
    ];

    /// The name in the log.
    pub fn id(self) -> &'static str {
        match self {
            Stage::Auth => "auth",
            Stage::Mail => "mail",
            Stage::Rcpt => "rcpt",
            Stage::Data => "data",
            Stage::Eom => "eom",
        }
    }
}

/// The envelope address as Postfix resolved it for a milter, `{mail_addr}`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Resolved {
    /// This front end has no such thing.
    NotAsked,
    /// Postfix should have sent it and did not (its macro list was overridden).
    Missing,
    /// As sent; it may be unreadable itself.
    As(EnvelopeSender),
}

/// What is asked about one message of one login. What is `None` was not given and is not judged.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    /// The login as it arrived.
    pub login: &'a str,
    /// The user that this session has been speaking for, if it has been seen before: a login that
    /// has come to mean another user is refused.
    pub session_user: Option<UserId>,
    /// The client's address.
    pub client: Option<ClientAddress>,
    /// The envelope sender.
    pub sender: Option<&'a EnvelopeSender>,
    /// The envelope sender once more, as Postfix resolved it.
    pub resolved: &'a Resolved,
    /// The header From fields, parsed.
    pub header_from: Option<&'a Result<Vec<Mailbox>, FromError>>,
    /// How many recipients the message has, once that is certain.
    pub recipients: Option<u32>,
    /// What the message is charged under, if this may be the question that charges it.
    pub charge: Option<MessageKey>,
}

/// A quota that applies to a message, and what has been used of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allowance {
    /// Whose, over which stretch of time, and what is counted.
    pub counter: Counter,
    /// How many at the most; 0: counted, not limited.
    pub limit: u64,
    /// When the window began.
    pub starts: Timestamp,
    /// How many so far.
    pub used: u64,
    /// When the window ends; `None`: when somebody resets it.
    pub resets_at: Option<Timestamp>,
}

impl Allowance {
    /// How many more; `None`: as many as may be.
    pub fn remaining(&self) -> Option<u64> {
        (self.limit > 0).then(|| self.limit.saturating_sub(self.used))
    }
}

/// What was looked up for a question.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The time of the question. What a user may until then is over at that moment.
    pub now: Timestamp,
    /// The user whose login it is.
    pub user: Option<SharedUser>,
    /// What its account has.
    pub terms: Option<Arc<AccountTerms>>,
    /// Who has verified the sender domains, or names above them.
    pub owners: Vec<Lineage>,
    /// What DNS says about the senders that [`judge`](super::judge) wanted to know about.
    pub standings: Vec<(Need, Arc<Standing>)>,
    /// The quotas of the user and of its account.
    pub allowances: Vec<Allowance>,
    /// The message was charged before: Postfix asks again.
    pub charged: bool,
}

impl Facts {
    /// The lineage of a domain that was looked up.
    pub fn lineage(&self, domain: &Domain) -> Option<&Lineage> {
        self.owners.iter().find(|lineage| lineage.domain == *domain)
    }

    /// The plan of the user's account.
    pub fn plan(&self) -> Option<Plan> {
        self.terms.as_ref().map(|terms| terms.plan)
    }

    /// The standing that was looked up for a need.
    pub fn standing(&self, need: &Need) -> Option<&Arc<Standing>> {
        let found = self.standings.iter().find(|(asked, _)| asked == need);
        found.map(|(_, standing)| standing)
    }
}

/// The verified domains at and above a name.
#[derive(Clone, Debug)]
pub struct Lineage {
    /// The name that was asked about.
    pub domain: Domain,
    /// Nearest first.
    pub verified: Vec<Ownership>,
}

/// The part of the configuration that decisions depend on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rules {
    /// Characters that separate the extension of a local part, as in Postfix.
    pub recipient_delimiter: String,
    /// Display names that contain an address of a foreign domain are refused.
    pub refuse_display_name_addresses: bool,
    /// A login that nobody has passes, so that users can be moved over one by one.
    pub allow_unknown_users: bool,
    /// Lockdown records bind users in every mode, not only in `any-domain`.
    pub lockdown_always: bool,
    /// What is over a quota is refused for good, not deferred.
    pub refuse_over_quota: bool,
    /// Nothing is refused, everything is logged.
    pub audit: bool,
}

/// Which sender of a message a finding is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Field {
    /// The envelope sender.
    Envelope,
    /// A mailbox of the header From.
    HeaderFrom,
    /// An address inside a display name of the header From.
    DisplayName,
}

/// The addresses in the display names of a header From.
pub(super) fn addresses_in_names(mailboxes: &[Mailbox]) -> Result<Vec<Address>, FromError> {
    let mut found = Vec::new();
    for mailbox in mailboxes {
        let name = mailbox.display_name.as_deref().unwrap_or_default();
        let room = MAX_ADDRESSES_IN_NAMES - found.len();
        found.extend(addresses_in(name, room + 1));
        if found.len() > MAX_ADDRESSES_IN_NAMES {
            return Err(FromError::TooManyInNames);
        }
    }
    Ok(found)
}

/// The domains whose lineage a question needs, without repetition: the engine looks them up. They
/// are few, whatever the message says: 21 at the most.
pub fn domains_in_question(question: &Question<'_>, rules: &Rules) -> Vec<Domain> {
    let mut domains: Vec<Domain> = Vec::with_capacity(2);
    let mut add = |address: &Address| {
        if let Some(domain) = address.domain()
            && !domains.contains(domain)
        {
            domains.push(domain.clone());
        }
    };
    if let Some(EnvelopeSender::Address(address)) = question.sender {
        add(address);
    }
    if let Some(Ok(mailboxes)) = question.header_from {
        mailboxes.iter().for_each(|mailbox| add(&mailbox.address));
        // Where there are too many, the header is refused before one of them is looked at.
        if rules.refuse_display_name_addresses
            && let Ok(addresses) = addresses_in_names(mailboxes)
        {
            addresses.iter().for_each(add);
        }
    }
    domains
}
