//! What of a store's users and domains an operator should look at: one pass over all of them.

use jiff::{SignedDuration, Timestamp};

use super::{ManageError, look};
use crate::model::domain::Domain;
use crate::model::name::Name;
use crate::model::user::{CheckFrom, Mode, Status, UserRecord};
use crate::store::{Store, Transaction, UserFilter};

/// A user that was not used for so long could go.
pub const UNUSED_AFTER: SignedDuration = SignedDuration::from_hours(90 * 24);
/// How many names are kept of each kind.
const EXAMPLES: usize = 5;

/// Many of a kind: how many, and the first of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sample<T> {
    /// How many there are.
    pub count: u64,
    /// The first few.
    pub first: Vec<T>,
}

impl<T> Default for Sample<T> {
    fn default() -> Sample<T> {
        Sample {
            count: 0,
            first: Vec::new(),
        }
    }
}

impl<T> Sample<T> {
    fn add(&mut self, item: T) {
        self.count += 1;
        if self.first.len() < EXAMPLES {
            self.first.push(item);
        }
    }
}

/// A domain that is not verified yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pending {
    /// Which.
    pub domain: Domain,
    /// On which account.
    pub account: Name,
    /// How many users have grants on it or below.
    pub users: usize,
}

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Survey {
    /// Users that may send as any domain.
    pub any_domain: Sample<Name>,
    /// Users of whom only the header From is checked.
    pub header_only: Sample<Name>,
    /// Users whose IP lists have IPv4 addresses only.
    pub ipv4_only: Sample<Name>,
    /// Users whose IP lists have IPv6 addresses only.
    pub ipv6_only: Sample<Name>,
    /// Users that nobody has used for [`UNUSED_AFTER`].
    pub unused: Sample<Name>,
    /// Pending domains on which users have grants.
    pub granted: Sample<Pending>,
    /// How many domains are pending.
    pub pending: u64,
    /// The latest time that anything was written at.
    pub latest: Option<Timestamp>,
}

/// Looks at all of it.
pub fn take(store: &dyn Store, now: Timestamp) -> Result<Survey, ManageError> {
    look(store, |tx| {
        let mut survey = Survey::default();
        tx.each_user(&UserFilter::default(), &mut |_, record| {
            survey.see(&record, now);
            Ok(())
        })?;
        survey.see_domains(tx)?;
        Ok(survey)
    })
}

impl Survey {
    fn see(&mut self, record: &UserRecord, now: Timestamp) {
        let (user, name) = (&record.user, &record.user.name);
        self.latest = self.latest.max(Some(record.updated_at));
        self.latest = self.latest.max(record.last_used_at);
        // Whoever is suspended can do no harm.
        match user.status {
            Status::Active => {}
            Status::Suspended => return,
        }
        let ipv4 = user.networks.iter().filter(|n| n.is_ipv4()).count();
        match user.networks.len() - ipv4 {
            0 if ipv4 > 0 => self.ipv4_only.add(name.clone()),
            1.. if ipv4 == 0 => self.ipv6_only.add(name.clone()),
            _ => {}
        }
        match user.check_from {
            CheckFrom::Header => self.header_only.add(name.clone()),
            CheckFrom::Both | CheckFrom::Envelope => {}
        }
        match user.mode {
            Mode::AnyDomain => self.any_domain.add(name.clone()),
            Mode::Default | Mode::AllDomains => {}
        }
        let used = record.last_used_at.unwrap_or(record.created_at);
        if now.duration_since(used) > UNUSED_AFTER {
            self.unused.add(name.clone());
        }
    }

    fn see_domains(&mut self, tx: &mut dyn Transaction) -> Result<(), ManageError> {
        for record in tx.domains(None)? {
            self.latest = self.latest.max(Some(record.added_at));
            if record.verified_by.is_some() {
                continue;
            }
            self.pending += 1;
            let users = tx
                .users_granted_under(&record.account, &record.domain)?
                .len();
            if users > 0 {
                self.granted.add(Pending {
                    domain: record.domain,
                    account: record.account,
                    users,
                });
            }
        }
        Ok(())
    }
}
