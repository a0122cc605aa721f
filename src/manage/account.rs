//! Accounts: the tenants that own domains and users.

use jiff::Timestamp;

use super::fault::Fault;
use super::{ManageError, change, lists, look, quota, to_the_second};
use crate::model::name::Name;
use crate::model::quota::{Subject, Usage};
use crate::model::user::{Account, DEFAULT_ACCOUNT, Plan};
use crate::store::{Store, Transaction, UserFilter};

/// How many names of what is still owned a refusal gives as examples.
const EXAMPLES: usize = 3;

/// An account and how much it owns.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccountState {
    /// As stored.
    pub account: Account,
    /// What its counters hold.
    pub uses: Vec<Usage>,
    /// How many users it owns.
    pub users: u64,
    /// How many domains it owns, pending ones included.
    pub domains: u64,
}

/// Adds an account. Refused if the name is taken. Without a plan it gets `pro`.
pub fn add(
    store: &dyn Store,
    name: &str,
    plan: Option<Plan>,
    quotas: &[String],
    now: Timestamp,
) -> Result<AccountState, ManageError> {
    let account = Account {
        name: parse(name)?,
        plan: plan.unwrap_or_default(),
        quotas: lists::quotas(quotas)?,
        created_at: to_the_second(now),
    };
    change(store, |tx| {
        let name = &account.name;
        if tx.account(name)?.is_some() {
            return Err(ManageError::refused(
                format!("account {name} is there already"),
                format!("outgate account show {name}"),
            ));
        }
        tx.put_account(&account)?;
        state(tx, account.clone())
    })
}

/// Changes plan or quotas; `None` leaves as is. Users whose mode the plan no longer includes keep
/// it: their account's own domains go on, and the rest is refused when they send.
pub fn set(
    store: &dyn Store,
    name: &str,
    plan: Option<Plan>,
    quotas: Option<&[String]>,
) -> Result<AccountState, ManageError> {
    let quotas = quotas.map(lists::quotas).transpose()?;
    change(store, |tx| {
        let before = find(tx, name)?;
        let after = Account {
            plan: plan.unwrap_or(before.plan),
            quotas: quotas.clone().unwrap_or_else(|| before.quotas.clone()),
            ..before.clone()
        };
        if after != before {
            tx.put_account(&after)?;
        }
        state(tx, after)
    })
}

/// All accounts, by name.
pub fn list(store: &dyn Store) -> Result<Vec<AccountState>, ManageError> {
    look(store, |tx| {
        let accounts = tx.accounts()?;
        accounts
            .into_iter()
            .map(|account| state(tx, account))
            .collect()
    })
}

/// One account.
pub fn show(store: &dyn Store, name: &str) -> Result<AccountState, ManageError> {
    look(store, |tx| {
        let account = find(tx, name)?;
        state(tx, account)
    })
}

/// Removes an account that owns nothing. `default` stays: single-tenant hosts live in it.
pub fn remove(store: &dyn Store, name: &str) -> Result<Account, ManageError> {
    change(store, |tx| {
        let AccountState {
            account,
            users,
            domains,
            ..
        } = {
            let account = find(tx, name)?;
            state(tx, account)?
        };
        let name = &account.name;
        if name.as_str() == DEFAULT_ACCOUNT {
            let error = "account default cannot be removed: it is where everything goes that names no account";
            return Err(ManageError::refused(error, ""));
        }
        if users > 0 || domains > 0 {
            let mut owned = Vec::new();
            if users > 0 {
                let examples = some_users(tx, name)?;
                owned.push(counted(users, "user", &examples));
            }
            if domains > 0 {
                let names = tx.domains(Some(name))?;
                let examples = names.iter().take(EXAMPLES).map(|d| d.domain.to_string());
                owned.push(counted(domains, "domain", &examples.collect::<Vec<_>>()));
            }
            let noun = if users > 0 { "user" } else { "domain" };
            return Err(ManageError::refused(
                format!("account {name} still owns {}", owned.join(" and ")),
                format!("outgate {noun} list --account {name}"),
            ));
        }
        tx.remove_account(name)?;
        Ok(account)
    })
}

/// The account of this name, which has to be there.
pub(super) fn find(tx: &mut dyn Transaction, text: &str) -> Result<Account, Fault> {
    let name = parse(text)?;
    tx.account(&name)?.ok_or_else(|| {
        Fault::with_hint(
            "account",
            format!("there is no account {name}"),
            format!("outgate account add {name}"),
        )
    })
}

/// The account that an option names, or the one that everything is in without it.
pub(super) fn named_or_default(
    tx: &mut dyn Transaction,
    account: Option<&str>,
) -> Result<Account, Fault> {
    find(tx, account.unwrap_or(DEFAULT_ACCOUNT))
}

fn parse(text: &str) -> Result<Name, Fault> {
    lists::item("account", text)
}

fn state(tx: &mut dyn Transaction, account: Account) -> Result<AccountState, ManageError> {
    let (users, domains) = tx.account_size(&account.name)?;
    let uses = quota::uses(tx, &Subject::Account(account.name.clone()), &account.quotas)?;
    Ok(AccountState {
        account,
        uses,
        users,
        domains,
    })
}

/// A few of the account's users: the listing is broken off as soon as there are enough.
fn some_users(tx: &mut dyn Transaction, account: &Name) -> Result<Vec<String>, ManageError> {
    let filter = UserFilter {
        account: Some(account.clone()),
        ..UserFilter::default()
    };
    let mut names = Vec::new();
    let listed = tx.each_user(&filter, &mut |_, record| {
        names.push(record.user.name.to_string());
        if names.len() < EXAMPLES {
            Ok(())
        } else {
            Err(ManageError::refused("enough", ""))
        }
    });
    if names.len() < EXAMPLES {
        listed?;
    }
    Ok(names)
}

/// `3 users (a, b, c)`, `12 users (a, b, c, …)`.
fn counted(count: u64, noun: &str, examples: &[String]) -> String {
    let plural = if count == 1 { "" } else { "s" };
    let more = if count > examples.len() as u64 {
        ", …"
    } else {
        ""
    };
    format!("{count} {noun}{plural} ({}{more})", examples.join(", "))
}
