//! SMTP users: adding, changing, listing and removing them.
//!
//! Passwords come in as finished hashes: reading, generating and hashing them is the business of
//! `model::password` and `auth::hash`, and must not happen inside a transaction.

use jiff::Timestamp;

use super::edit::{Amendment, Settings, amend, apply, check};
use super::fault::Fault;
use super::warning::{Warning, of_user};
use super::{Done, ManageError, account, change, lists, look, quota, to_the_second};
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Subject, Usage};
use crate::model::user::{CheckFrom, Enforce, Mode, Status, User, UserRecord};
use crate::store::{Store, StoreError, Transaction, UserFilter};

/// Adds a user with the hash of its password (a PHC string).
pub fn add(
    store: &dyn Store,
    name: &str,
    settings: &Settings,
    hash: &str,
    now: Timestamp,
) -> Result<Done<UserRecord>, ManageError> {
    let name: Name = lists::item("name", name)?;
    let id = UserId::new();
    change(store, |tx| {
        let account = account::named_or_default(tx, settings.account.as_deref())?;
        let mut record = blank(id, name.clone(), account.name, now);
        apply(tx, &mut record, settings, now)?;
        check(tx, None, &record)?;
        tx.put_user(&record, Some(hash))?;
        done(tx, record)
    })
}

/// Changes a user.
pub fn set(
    store: &dyn Store,
    name: &str,
    amendment: &Amendment,
    now: Timestamp,
) -> Result<Done<UserRecord>, ManageError> {
    change(store, |tx| {
        let before = find(tx, name)?;
        let mut after = before.clone();
        amend(tx, &mut after, amendment, now)?;
        check(tx, Some(&before), &after)?;
        keep(tx, &before, &mut after, None, now)?;
        let opened = after.user.networks.is_empty() && !before.user.networks.is_empty();
        let mut done = done(tx, after)?;
        if opened {
            done.warnings.push(Warning::OpenToAll);
        }
        Ok(done)
    })
}

/// Gives a user another password. Remembered logins with the old one end.
pub fn passwd(
    store: &dyn Store,
    name: &str,
    hash: &str,
    now: Timestamp,
) -> Result<UserRecord, ManageError> {
    change(store, |tx| {
        let before = find(tx, name)?;
        let mut after = before.clone();
        keep(tx, &before, &mut after, Some(hash), now)?;
        Ok(after)
    })
}

/// One user, with what an operator should know about it.
pub fn show(store: &dyn Store, name: &str) -> Result<Done<UserRecord>, ManageError> {
    look(store, |tx| {
        let record = find(tx, name)?;
        done(tx, record)
    })
}

/// Shows users by name to `visit`, with what the counters of their quotas hold, one after the other:
/// of one account or of all; those not used since a time, or all.
pub fn list(
    store: &dyn Store,
    account: Option<&str>,
    unused_since: Option<Timestamp>,
    visit: &mut dyn FnMut(UserRecord, Vec<Usage>) -> Result<(), ManageError>,
) -> Result<(), ManageError> {
    look(store, |tx| {
        let account = account.map(|name| account::find(tx, name)).transpose()?;
        let filter = UserFilter {
            account: account.map(|account| account.name),
            unused_since,
        };
        tx.each_user(&filter, &mut |tx, record| {
            let subject = Subject::User(record.user.id);
            let uses = quota::uses(tx, &subject, &record.user.quotas)?;
            visit(record, uses)
        })
    })
}

/// Stops a user, also in sessions that are open. Suspending it again keeps it so; a reason that is
/// given replaces the old one.
pub fn suspend(
    store: &dyn Store,
    name: &str,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<UserRecord, ManageError> {
    let reason = reason
        .map(|text| lists::words("reason", text))
        .transpose()?;
    change(store, |tx| {
        let before = find(tx, name)?;
        let mut after = before.clone();
        after.user.status = Status::Suspended;
        if let Some(reason) = &reason {
            after.suspended_reason.clone_from(reason);
        }
        keep(tx, &before, &mut after, None, now)?;
        Ok(after)
    })
}

/// Lets a suspended user go on. Nothing happens to one that is active.
pub fn resume(store: &dyn Store, name: &str, now: Timestamp) -> Result<UserRecord, ManageError> {
    change(store, |tx| {
        let before = find(tx, name)?;
        let mut after = before.clone();
        after.user.status = Status::Active;
        after.suspended_reason.clear();
        keep(tx, &before, &mut after, None, now)?;
        Ok(after)
    })
}

/// Removes a user. Its name and its logins are free again, its id is never given anew.
pub fn remove(store: &dyn Store, name: &str) -> Result<UserRecord, ManageError> {
    change(store, |tx| {
        let record = find(tx, name)?;
        tx.remove_user(record.user.id)?;
        Ok(record)
    })
}

/// The user of this name, which has to be there.
fn find(tx: &mut dyn Transaction, text: &str) -> Result<UserRecord, ManageError> {
    let Some(record) = with_login(tx, text)? else {
        return Err(unknown(text));
    };
    if Name::parse(text).is_ok_and(|name| name == record.user.name) {
        return Ok(record);
    }
    let name = record.user.name;
    Err(ManageError::refused(
        format!("{text:?} is not a user but an extra login of user {name}"),
        format!("outgate user show {name}"),
    ))
}

/// The user whose name or extra login this is, if there is one.
pub(super) fn with_login(
    tx: &mut dyn Transaction,
    text: &str,
) -> Result<Option<UserRecord>, StoreError> {
    if let Ok(name) = Name::parse(text)
        && let Some(record) = tx.user_named(&name)?
    {
        return Ok(Some(record));
    }
    match Login::parse(text) {
        Ok(login) => match tx.login_owner(&login)? {
            Some(id) => tx.user_with_id(id),
            None => Ok(None),
        },
        Err(_) => Ok(None),
    }
}

/// What to say where there is no user of this name.
pub(super) fn unknown(text: &str) -> ManageError {
    match Name::parse(text) {
        Ok(name) => ManageError::refused(
            format!("there is no user {name}"),
            format!("outgate user add {name}, or outgate user list"),
        ),
        Err(error) => ManageError::refused(error.to_string(), "outgate user list"),
    }
}

/// A user of whom nothing is said but its name.
pub(super) fn blank(id: UserId, name: Name, account: Name, now: Timestamp) -> UserRecord {
    let now = to_the_second(now);
    UserRecord {
        user: User {
            id,
            name,
            account,
            status: Status::Active,
            mode: Mode::Default,
            grants: Vec::new(),
            networks: Vec::new(),
            check_from: CheckFrom::Both,
            enforce: Enforce::On,
            enforce_until: None,
            max_recipients: None,
            quotas: Vec::new(),
            credential_version: 1,
        },
        logins: Vec::new(),
        note: String::new(),
        suspended_reason: String::new(),
        created_at: now,
        updated_at: now,
        last_used_at: None,
    }
}

/// Whether a change must end remembered logins, the password aside.
pub(super) fn ends_logins(before: &User, after: &User) -> bool {
    before.status != after.status || before.networks != after.networks
}

/// Writes what has changed, if anything has.
fn keep(
    tx: &mut dyn Transaction,
    before: &UserRecord,
    after: &mut UserRecord,
    hash: Option<&str>,
    now: Timestamp,
) -> Result<(), Fault> {
    if hash.is_none() && after == before {
        return Ok(());
    }
    if hash.is_some() || ends_logins(&before.user, &after.user) {
        after.user.credential_version += 1;
    }
    after.updated_at = to_the_second(now);
    Ok(tx.put_user(after, hash)?)
}

fn done(tx: &mut dyn Transaction, record: UserRecord) -> Result<Done<UserRecord>, ManageError> {
    let warnings = of_user(tx, &record)?;
    Ok(Done { record, warnings })
}
