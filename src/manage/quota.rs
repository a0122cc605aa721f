//! Quotas of users and accounts: what is used of them, and setting that back to 0.

use std::fmt;

use jiff::Timestamp;

use super::view::QuotaView;
use super::warning::Warning;
use super::{ManageError, account, change, look, to_the_second, user};
use crate::model::name::Name;
use crate::model::quota::{Quota, Subject, Usage};
use crate::model::user::{Account, User};
use crate::store::{Reset, Store, StoreError, Transaction, UserFilter};

/// What the name of an account begins with where a user could be meant.
const ACCOUNT: &str = "account:";
/// What the name of a user may begin with there.
const USER: &str = "user:";

/// Whose quotas, by the name that operators know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Holder {
    /// One user.
    User(Name),
    /// All users of an account together.
    Account(Name),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::User(name) => write!(f, "{USER}{name}"),
            Holder::Account(name) => write!(f, "{ACCOUNT}{name}"),
        }
    }
}

/// The quotas of one holder and how they stand.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QuotaState {
    /// Whose.
    pub holder: Holder,
    /// Its limits.
    pub quotas: Vec<Quota>,
    /// What its counters hold, each in its own window.
    pub uses: Vec<Usage>,
    /// The last time that an operator set them to 0.
    pub last_reset: Option<Reset>,
}

/// What came of a reset.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cleared {
    /// How the quotas stand now.
    pub state: QuotaState,
    /// How many counters held something, those of former quotas included.
    pub counters: u64,
}

/// Shows all who have quotas to `visit`: accounts by name, then users by name.
pub fn each(
    store: &dyn Store,
    visit: &mut dyn FnMut(QuotaState) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    look(store, |tx| {
        for account in tx.accounts()? {
            if !account.quotas.is_empty() {
                visit(Found::account(account).state(tx)?)?;
            }
        }
        tx.each_user(&UserFilter::default(), &mut |tx, record| {
            if record.user.quotas.is_empty() {
                return Ok(());
            }
            visit(Found::user(record.user).state(tx)?)
        })
    })
}

/// The quotas of one holder: `NAME` or a login for a user, `account:NAME` for an account.
pub fn show(store: &dyn Store, name: &str) -> Result<QuotaState, ManageError> {
    look(store, |tx| Ok(find(tx, name)?.state(tx)?))
}

/// Sets what was used to 0, in all windows, and keeps that it was `by` this operator. Where nothing
/// is counted and nothing was, nothing happens.
pub fn reset(
    store: &dyn Store,
    name: &str,
    by: &str,
    now: Timestamp,
) -> Result<Cleared, ManageError> {
    change(store, |tx| {
        let found = find(tx, name)?;
        let used = tx.uses(&found.subject)?.iter().any(|usage| usage.used > 0);
        let counters = if used || !found.quotas.is_empty() {
            tx.reset(&found.subject, by, to_the_second(now))?
        } else {
            0
        };
        let state = found.state(tx)?;
        Ok(Cleared { state, counters })
    })
}

/// What the counters of a user hold, each in its own window.
pub fn uses_of_user(store: &dyn Store, user: &User) -> Result<Vec<Usage>, ManageError> {
    if user.quotas.is_empty() {
        return Ok(Vec::new());
    }
    look(store, |tx| {
        Ok(uses(tx, &Subject::User(user.id), &user.quotas)?)
    })
}

/// What an operator should know about quotas as they stand.
pub fn warnings(quotas: &[QuotaView]) -> Vec<Warning> {
    quotas
        .iter()
        .filter(|quota| quota.remaining == Some(0))
        .map(|quota| Warning::UsedUp(quota.clone()))
        .collect()
}

/// What is counted for somebody, unless there are no quotas to count for.
pub(super) fn uses(
    tx: &mut dyn Transaction,
    subject: &Subject,
    quotas: &[Quota],
) -> Result<Vec<Usage>, StoreError> {
    if quotas.is_empty() {
        return Ok(Vec::new());
    }
    tx.uses(subject)
}

/// Somebody who may have quotas.
struct Found {
    subject: Subject,
    holder: Holder,
    quotas: Vec<Quota>,
}

impl Found {
    fn account(account: Account) -> Found {
        Found {
            subject: Subject::Account(account.name.clone()),
            holder: Holder::Account(account.name),
            quotas: account.quotas,
        }
    }

    fn user(user: User) -> Found {
        Found {
            subject: Subject::User(user.id),
            holder: Holder::User(user.name),
            quotas: user.quotas,
        }
    }

    fn state(self, tx: &mut dyn Transaction) -> Result<QuotaState, StoreError> {
        let uses = uses(tx, &self.subject, &self.quotas)?;
        let last_reset = tx.last_reset(&self.subject)?;
        Ok(QuotaState {
            holder: self.holder,
            quotas: self.quotas,
            uses,
            last_reset,
        })
    }
}

/// Who is meant, and has to be there.
fn find(tx: &mut dyn Transaction, text: &str) -> Result<Found, ManageError> {
    if let Some(name) = behind(text, ACCOUNT) {
        return Ok(Found::account(account::find(tx, name)?));
    }
    let name = behind(text, USER).unwrap_or(text);
    if let Some(record) = user::with_login(tx, name)? {
        return Ok(Found::user(record.user));
    }
    if let Ok(name) = Name::parse(name)
        && tx.account(&name)?.is_some()
    {
        return Err(ManageError::refused(
            format!("there is no user {name}, but an account"),
            format!("for its quotas, write {ACCOUNT}{name}"),
        ));
    }
    Err(user::unknown(name))
}

fn behind<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}
