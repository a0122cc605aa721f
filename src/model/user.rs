//! Users, accounts and domains: what the store keeps and decisions read.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::domain::Domain;
use super::grant::Grant;
use super::name::{Login, Name, UserId};
use super::network::Network;
use super::quota::Quota;

/// At most this many grants, networks or logins a user.
pub const MAX_LIST: usize = 1000;
/// At most this many quotas a user or an account.
pub const MAX_QUOTAS: usize = 16;

/// How the set of sender domains of a user is formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// What the user's grants list.
    #[default]
    Default,
    /// Every verified domain of the account.
    AllDomains,
    /// Any domain with SPF; plan `pro` only.
    AnyDomain,
}

/// Which senders of a message are checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckFrom {
    /// Envelope sender and header From.
    #[default]
    Both,
    /// Only the envelope sender: forwarders, mailing lists, printers that send no From.
    Envelope,
    /// Only the header From.
    Header,
}

/// Whether refusals are carried out or only recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Enforce {
    /// Refusals are carried out.
    #[default]
    On,
    /// Refusals are logged, the answer is allow.
    Audit,
}

/// Whether a user may log in and send at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It may.
    #[default]
    Active,
    /// It may not, also in sessions that are open.
    Suspended,
}

/// What an account may use.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// Its own verified domains.
    Free,
    /// Also mode `any-domain`.
    #[default]
    Pro,
}

/// What decisions read of a user. Small, because many of them are kept in memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// For ever.
    pub id: UserId,
    /// May change.
    pub name: Name,
    /// The tenant that it belongs to.
    pub account: Name,
    /// Active or suspended.
    pub status: Status,
    /// How its sender domains are found.
    pub mode: Mode,
    /// Its own list; used in mode `default` only.
    pub grants: Vec<Grant>,
    /// Where it may connect from; empty: anywhere.
    pub networks: Vec<Network>,
    /// Which senders are checked.
    pub check_from: CheckFrom,
    /// Enforced, or audited.
    pub enforce: Enforce,
    /// When audit mode ends by itself, to the second; `None`: when somebody ends it.
    pub enforce_until: Option<Timestamp>,
    /// The most recipients that one message may have.
    pub max_recipients: Option<u32>,
    /// Its own limits, one a window and unit.
    pub quotas: Vec<Quota>,
    /// Raised by every change that must end remembered logins: password, suspension, networks.
    pub credential_version: u64,
}

impl User {
    /// Whether its refusals are only recorded at that time.
    pub fn is_audited(&self, now: Timestamp) -> bool {
        match self.enforce {
            Enforce::On => false,
            Enforce::Audit => self.enforce_until.is_none_or(|until| now < until),
        }
    }
}

/// All that is stored of a user, but for its password hash.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UserRecord {
    /// What decisions read.
    pub user: User,
    /// Extra logins, beside the name.
    pub logins: Vec<Login>,
    /// The operator's own words.
    pub note: String,
    /// Why it is suspended; empty otherwise, or where nobody said.
    pub suspended_reason: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When an operator last changed it.
    pub updated_at: Timestamp,
    /// When it last logged in or sent a message, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A tenant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Account {
    /// Its name, which does not change.
    pub name: Name,
    /// What it may use.
    pub plan: Plan,
    /// Shared by all its users.
    pub quotas: Vec<Quota>,
    /// When it was added.
    pub created_at: Timestamp,
}

/// What decisions read of an account.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountTerms {
    /// What it may use.
    pub plan: Plan,
    /// Shared by all its users.
    pub quotas: Vec<Quota>,
}

/// The account of hosts that have only one.
pub const DEFAULT_ACCOUNT: &str = "default";

/// Who vouched for a verified domain.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifiedBy {
    /// `domain add --trusted`.
    Operator,
    /// The challenge record was found.
    Dns,
}

/// A sender domain on one account. Pending on any number of them, verified on one at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DomainRecord {
    /// The name.
    pub domain: Domain,
    /// Whose.
    pub account: Name,
    /// `None`: pending.
    pub verified_by: Option<VerifiedBy>,
    /// Covers the names below it too.
    pub with_subdomains: bool,
    /// The secret of the challenge record `og1-verify=<token>`: 128 random bits, for this account
    /// and domain alone.
    pub token: String,
    /// When it was added.
    pub added_at: Timestamp,
}

/// A verified domain, as far as decisions read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ownership {
    /// The name.
    pub domain: Domain,
    /// The one account on which it is verified.
    pub account: Name,
    /// Covers the names below it too.
    pub with_subdomains: bool,
}

/// A user as the cache shares it.
pub type SharedUser = Arc<User>;
