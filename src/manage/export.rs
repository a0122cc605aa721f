//! `export`: everything that `import outgate` takes, one record after the other.
//!
//! Written from one view of the store, and never held as a whole. Accounts come first, then their
//! domains, then users, so that each record finds what it refers to. Times are whole seconds, as an
//! import keeps them.

use jiff::Timestamp;
use serde::Serialize;

use super::view::{ChallengeView, DomainStatus, texts};
use super::{ManageError, look, to_the_second};
use crate::model::quota::Quota;
use crate::model::user::{
    self, CheckFrom, DomainRecord, Enforce, Mode, Plan, UserRecord, VerifiedBy,
};
use crate::store::{Store, Transaction, UserFilter};

/// One record, as it stands in a line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Record {
    /// A tenant.
    Account(Account),
    /// A sender domain on an account.
    Domain(Domain),
    /// An SMTP user.
    User(Box<User>),
}

/// The fields of an account.
#[derive(Serialize)]
pub struct Account {
    name: String,
    plan: Plan,
    quotas: Vec<Quota>,
    created_at: Timestamp,
}

/// The fields of a domain.
#[derive(Serialize)]
pub struct Domain {
    domain: String,
    account: String,
    status: DomainStatus,
    verified_by: Option<VerifiedBy>,
    with_subdomains: bool,
    challenge: ChallengeView,
    added_at: Timestamp,
}

/// The fields of a user, its password hash among them.
#[derive(Serialize)]
pub struct User {
    id: String,
    name: String,
    account: String,
    status: user::Status,
    mode: Mode,
    allow: Vec<String>,
    ip: Vec<String>,
    logins: Vec<String>,
    quotas: Vec<Quota>,
    max_recipients: Option<u32>,
    check_from: CheckFrom,
    enforce: Enforce,
    enforce_until: Option<Timestamp>,
    note: String,
    created_at: Timestamp,
    updated_at: Timestamp,
    last_used_at: Option<Timestamp>,
    suspended_reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    password_hash: Option<String>,
}

/// How many records were written, and how many there are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Written.
    pub records: u64,
    /// In all.
    pub total: u64,
}

/// What was written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Summary {
    /// Accounts.
    pub accounts: u64,
    /// Domains.
    pub domains: u64,
    /// Users.
    pub users: u64,
}

/// Hands out every record, in an order in which they can be imported. `write` says whether to go on;
/// what was written when it did not is no export.
pub fn run(
    store: &dyn Store,
    write: &mut dyn FnMut(&Record, Progress) -> bool,
) -> Result<Summary, ManageError> {
    look(store, |tx| {
        let mut export = Export {
            write: &mut *write,
            summary: Summary::default(),
            total: 0,
        };
        export.all(tx)?;
        Ok(export.summary)
    })
}

struct Export<'a> {
    write: &'a mut dyn FnMut(&Record, Progress) -> bool,
    summary: Summary,
    total: u64,
}

impl Export<'_> {
    fn all(&mut self, tx: &mut dyn Transaction) -> Result<(), ManageError> {
        let accounts = tx.accounts()?;
        for account in &accounts {
            let (users, domains) = tx.account_size(&account.name)?;
            self.total += 1 + users + domains;
        }
        for account in &accounts {
            self.record(&Record::Account(Account::of(account)))?;
            self.summary.accounts += 1;
        }
        for account in &accounts {
            for domain in tx.domains(Some(&account.name))? {
                self.record(&Record::Domain(Domain::of(&domain)))?;
                self.summary.domains += 1;
            }
        }
        tx.each_user(&UserFilter::default(), &mut |tx, record| {
            let hash = tx.password_hash(record.user.id)?;
            self.record(&Record::User(Box::new(User::of(&record, hash))))?;
            self.summary.users += 1;
            Ok(())
        })
    }

    fn record(&mut self, record: &Record) -> Result<(), ManageError> {
        let Summary {
            accounts,
            domains,
            users,
        } = self.summary;
        let progress = Progress {
            records: accounts + domains + users + 1,
            total: self.total,
        };
        if (self.write)(record, progress) {
            Ok(())
        } else {
            Err(ManageError::refused("the export was broken off", ""))
        }
    }
}

impl Account {
    fn of(account: &user::Account) -> Account {
        Account {
            name: account.name.to_string(),
            plan: account.plan,
            quotas: account.quotas.clone(),
            created_at: to_the_second(account.created_at),
        }
    }
}

impl Domain {
    fn of(record: &DomainRecord) -> Domain {
        Domain {
            domain: record.domain.to_string(),
            account: record.account.to_string(),
            status: DomainStatus::of(record),
            verified_by: record.verified_by,
            with_subdomains: record.with_subdomains,
            challenge: ChallengeView::from(record),
            added_at: to_the_second(record.added_at),
        }
    }
}

impl User {
    fn of(record: &UserRecord, hash: Option<String>) -> User {
        let user = &record.user;
        User {
            id: user.id.to_string(),
            name: user.name.to_string(),
            account: user.account.to_string(),
            status: user.status,
            mode: user.mode,
            allow: texts(&user.grants),
            ip: texts(&user.networks),
            logins: texts(&record.logins),
            quotas: user.quotas.clone(),
            max_recipients: user.max_recipients,
            check_from: user.check_from,
            enforce: user.enforce,
            enforce_until: user.enforce_until.map(to_the_second),
            note: record.note.clone(),
            created_at: to_the_second(record.created_at),
            updated_at: to_the_second(record.updated_at),
            last_used_at: record.last_used_at.map(to_the_second),
            suspended_reason: record.suspended_reason.clone(),
            password_hash: hash,
        }
    }
}
