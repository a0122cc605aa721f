//! Records as scripts see them: the JSON shapes of the command line, and later of the API.
//!
//! Names and order of the fields are a promise; adding at the end is free.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use super::account::AccountState;
use super::domain::Removed;
use super::quota::QuotaState;
use crate::model::quota::{Quota, Unit, Usage, Window};
use crate::model::user::{
    CheckFrom, DomainRecord, Enforce, Mode, Plan, Status, UserRecord, VerifiedBy,
};
use crate::standing::challenge;

/// One quota and what is left of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct QuotaView {
    /// 0: none.
    pub limit: u64,
    /// The stretch of time.
    pub window: Window,
    /// What is counted.
    pub unit: Unit,
    /// In the window that `now` lies in.
    pub used: u64,
    /// `None` without a limit.
    pub remaining: Option<u64>,
    /// When `used` starts again from 0; `None` for `total`.
    pub resets_at: Option<Timestamp>,
}

impl QuotaView {
    /// How quotas stand at `now`, with what their counters hold; windows are those of `zone`.
    pub fn all(
        quotas: &[Quota],
        uses: &[Usage],
        now: Timestamp,
        zone: &TimeZone,
    ) -> Vec<QuotaView> {
        quotas
            .iter()
            .map(|quota| {
                let same = |u: &&Usage| (u.window, u.unit) == (quota.window, quota.unit);
                QuotaView::new(quota, uses.iter().find(same), now, zone)
            })
            .collect()
    }

    fn new(quota: &Quota, usage: Option<&Usage>, now: Timestamp, zone: &TimeZone) -> QuotaView {
        let window = quota.window;
        // What was used in a window that is over counts no more. One that is still to come was
        // begun before the clock went back, and goes on.
        let usage = usage.filter(|usage| usage.starts >= window.starts_at(now, zone));
        let used = usage.map_or(0, |usage| usage.used);
        let latest = usage.map_or(now, |usage| usage.starts.max(now));
        QuotaView {
            limit: quota.limit,
            window,
            unit: quota.unit,
            used,
            remaining: (quota.limit > 0).then(|| quota.limit.saturating_sub(used)),
            resets_at: window.resets_at(latest, zone),
        }
    }

    /// The limit by itself.
    pub fn quota(&self) -> Quota {
        Quota {
            limit: self.limit,
            window: self.window,
            unit: self.unit,
        }
    }
}

/// One entry of `quota show`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct HeldQuotaView {
    /// `user:NAME` or `account:NAME`.
    pub subject: String,
    /// How it stands.
    #[serde(flatten)]
    pub quota: QuotaView,
    /// When an operator last set it to 0; `None`: never.
    pub reset_at: Option<Timestamp>,
    /// Who that was.
    pub reset_by: Option<String>,
}

impl HeldQuotaView {
    /// How the quotas of a holder stand at `now`; windows are those of `zone`.
    pub fn all(state: &QuotaState, now: Timestamp, zone: &TimeZone) -> Vec<HeldQuotaView> {
        let reset = state.last_reset.as_ref();
        QuotaView::all(&state.quotas, &state.uses, now, zone)
            .into_iter()
            .map(|quota| HeldQuotaView {
                subject: state.holder.to_string(),
                quota,
                reset_at: reset.map(|reset| reset.at),
                reset_by: reset.map(|reset| reset.by.clone()),
            })
            .collect()
    }
}

/// `user show`, and one entry of `user list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct UserView {
    /// For ever.
    pub id: String,
    /// May change.
    pub name: String,
    /// The tenant.
    pub account: String,
    /// Active or suspended.
    pub status: Status,
    /// How its sender domains are found.
    pub mode: Mode,
    /// Its own list of senders.
    pub allow: Vec<String>,
    /// Where it may connect from; empty: anywhere.
    pub ip: Vec<String>,
    /// Extra logins.
    pub logins: Vec<String>,
    /// Its limits.
    pub quotas: Vec<QuotaView>,
    /// The most recipients of one message.
    pub max_recipients: Option<u32>,
    /// Which senders are checked.
    pub check_from: CheckFrom,
    /// What is in force: `audit` is `on` again when its end has come.
    pub enforce: Enforce,
    /// The operator's own words.
    pub note: String,
    /// When it was added.
    pub created_at: Timestamp,
    /// When an operator last changed it.
    pub updated_at: Timestamp,
    /// `None`: never.
    pub last_used_at: Option<Timestamp>,
    /// Why it is suspended, if somebody said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub suspended_reason: String,
    /// When audit mode ends, or has ended; `None`: no end is set, or it is not on.
    pub enforce_until: Option<Timestamp>,
}

impl UserView {
    /// How a user stands at `now`, with what its counters hold; quota windows are those of `zone`.
    pub fn new(record: &UserRecord, uses: &[Usage], now: Timestamp, zone: &TimeZone) -> UserView {
        let user = &record.user;
        UserView {
            id: user.id.to_string(),
            name: user.name.to_string(),
            account: user.account.to_string(),
            status: user.status,
            mode: user.mode,
            allow: texts(&user.grants),
            ip: texts(&user.networks),
            logins: texts(&record.logins),
            quotas: QuotaView::all(&user.quotas, uses, now, zone),
            max_recipients: user.max_recipients,
            check_from: user.check_from,
            enforce: match user.is_audited(now) {
                true => Enforce::Audit,
                false => Enforce::On,
            },
            note: record.note.clone(),
            created_at: record.created_at,
            updated_at: record.updated_at,
            last_used_at: record.last_used_at,
            suspended_reason: record.suspended_reason.clone(),
            enforce_until: user.enforce_until,
        }
    }
}

/// Whether a domain is verified.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DomainStatus {
    /// Its owner has not proved it yet.
    Pending,
    /// Its owner has proved it, or the operator vouches for it.
    Verified,
}

impl DomainStatus {
    /// That of a record.
    pub fn of(record: &DomainRecord) -> DomainStatus {
        match record.verified_by {
            Some(_) => DomainStatus::Verified,
            None => DomainStatus::Pending,
        }
    }
}

/// The record that proves a domain.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ChallengeView {
    /// Where it is published.
    pub name: String,
    /// `TXT`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// What it says.
    pub value: String,
}

/// `domain show`, and one entry of `domain list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DomainView {
    /// A-labels.
    pub domain: String,
    /// Whose.
    pub account: String,
    /// Whether grants on it count.
    pub status: DomainStatus,
    /// Who said so; `None` while it is pending.
    pub verified_by: Option<VerifiedBy>,
    /// Covers the names below it too.
    pub with_subdomains: bool,
    /// What its owner has to publish.
    pub challenge: ChallengeView,
    /// When it was added.
    pub added_at: Timestamp,
    /// U-labels, if they differ.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unicode: Option<String>,
}

impl From<&DomainRecord> for DomainView {
    fn from(record: &DomainRecord) -> DomainView {
        DomainView {
            domain: record.domain.to_string(),
            account: record.account.to_string(),
            status: DomainStatus::of(record),
            verified_by: record.verified_by,
            with_subdomains: record.with_subdomains,
            challenge: ChallengeView::from(record),
            added_at: record.added_at,
            unicode: Some(record.domain.unicode()).filter(|name| name != record.domain.as_str()),
        }
    }
}

impl From<&DomainRecord> for ChallengeView {
    fn from(record: &DomainRecord) -> ChallengeView {
        ChallengeView {
            name: challenge::name(&record.domain),
            kind: "TXT",
            value: challenge::value(&record.token),
        }
    }
}

/// `account show`, and one entry of `account list`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AccountView {
    /// Its name.
    pub name: String,
    /// What it may use.
    pub plan: Plan,
    /// Shared by all its users.
    pub quotas: Vec<QuotaView>,
    /// How many it owns.
    pub users: u64,
    /// How many it owns.
    pub domains: u64,
    /// When it was added.
    pub created_at: Timestamp,
}

impl AccountView {
    /// How an account stands at `now`; quota windows are those of `zone`.
    pub fn new(state: &AccountState, now: Timestamp, zone: &TimeZone) -> AccountView {
        AccountView {
            name: state.account.name.to_string(),
            plan: state.account.plan,
            quotas: QuotaView::all(&state.account.quotas, &state.uses, now, zone),
            users: state.users,
            domains: state.domains,
            created_at: state.account.created_at,
        }
    }
}

/// `domain remove`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct DomainRemovedView {
    /// A-labels.
    pub domain: String,
    /// Always.
    pub removed: bool,
    /// How many grants went with it.
    pub grants_deleted: u64,
}

impl From<&Removed> for DomainRemovedView {
    fn from(removed: &Removed) -> DomainRemovedView {
        DomainRemovedView {
            domain: removed.record.domain.to_string(),
            removed: true,
            grants_deleted: removed.grants_deleted,
        }
    }
}

/// `user remove` and `account remove`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RemovedView {
    /// Free again.
    pub name: String,
    /// Always.
    pub removed: bool,
}

impl RemovedView {
    /// The user or account of this name is gone.
    pub fn new(name: &crate::model::name::Name) -> RemovedView {
        RemovedView {
            name: name.to_string(),
            removed: true,
        }
    }
}

pub(super) fn texts<T: ToString>(items: &[T]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}
