//! What an operator wants a user to be, in the operator's words, and whether it may be that.

use std::collections::HashSet;

use jiff::Timestamp;

use super::fault::Fault;
use super::ownership::check_grant;
use super::{account, lists, to_the_second};
use crate::model::grant::Grant;
use crate::model::name::{Login, Name, as_id};
use crate::model::network::Network;
use crate::model::user::{CheckFrom, Enforce, MAX_LIST, Mode, Plan, User, UserRecord};
use crate::store::{StoreError, Transaction};

/// The settings of a user, for adding and for changing one. `None` leaves as is.
///
/// A list replaces the whole list; a list of one empty text empties it (`--allow=`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Settings {
    /// The tenant. A user that moves must have grants that fit there.
    pub account: Option<String>,
    /// How its sender domains are found.
    pub mode: Option<Mode>,
    /// Its own list of senders.
    pub allow: Option<Vec<String>>,
    /// Where it may connect from.
    pub ip: Option<Vec<String>>,
    /// Its limits.
    pub quotas: Option<Vec<String>>,
    /// The most recipients of a message; `Some(None)` takes the limit away.
    pub max_recipients: Option<Option<u32>>,
    /// Extra logins.
    pub logins: Option<Vec<String>>,
    /// Which senders are checked.
    pub check_from: Option<CheckFrom>,
    /// Enforced, or audited.
    pub enforce: Option<Enforce>,
    /// When audit mode ends; without it, audit mode that is asked for has no end.
    pub until: Option<Timestamp>,
    /// The operator's own words.
    pub note: Option<String>,
}

/// What can only be done to a user that is there. Applied after the settings: what is added and
/// dropped refers to the new lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Amendment {
    /// The settings to replace.
    pub settings: Settings,
    /// A new name. The old one stays as an extra login.
    pub rename: Option<String>,
    /// Grants to add to the list.
    pub add_allow: Vec<String>,
    /// Grants to take off the list.
    pub drop_allow: Vec<String>,
    /// Networks to add to the list.
    pub add_ip: Vec<String>,
    /// Networks to take off the list.
    pub drop_ip: Vec<String>,
}

/// Puts settings into a record. Rules that need the store are checked by [`check`].
pub(super) fn apply(
    tx: &mut dyn Transaction,
    record: &mut UserRecord,
    settings: &Settings,
    now: Timestamp,
) -> Result<(), Fault> {
    let user = &mut record.user;
    let mut plan_matters = false;
    if let Some(name) = &settings.account {
        let account = account::find(tx, name)?.name;
        plan_matters = account != user.account && user.mode == Mode::AnyDomain;
        user.account = account;
    }
    if let Some(mode) = settings.mode {
        plan_matters = mode == Mode::AnyDomain;
        user.mode = mode;
    }
    if plan_matters {
        check_plan(tx, &user.account)?;
    }
    if let Some(texts) = &settings.allow {
        user.grants = lists::grants(texts)?;
    }
    if let Some(texts) = &settings.ip {
        user.networks = lists::networks(texts)?;
    }
    if let Some(texts) = &settings.quotas {
        user.quotas = lists::quotas(texts)?;
    }
    if let Some(most) = settings.max_recipients {
        user.max_recipients = lists::max_recipients(most)?;
    }
    if let Some(texts) = &settings.logins {
        record.logins = lists::logins(texts, &user.name)?;
    }
    user.check_from = settings.check_from.unwrap_or(user.check_from);
    apply_enforcement(user, settings, now)?;
    if let Some(note) = &settings.note {
        record.note = lists::words("note", note)?;
    }
    Ok(())
}

/// Whether refusals are carried out, and when that changes by itself. An end that is given must
/// still come, and belongs to an audit mode that is asked for or under way: one that is over is not
/// begun anew by a slip.
fn apply_enforcement(user: &mut User, settings: &Settings, now: Timestamp) -> Result<(), Fault> {
    let audited = match settings.enforce {
        Some(enforce) => enforce == Enforce::Audit,
        None => user.is_audited(now),
    };
    if let Some(enforce) = settings.enforce {
        user.enforce = enforce;
        user.enforce_until = None;
    }
    let Some(until) = settings.until.map(to_the_second) else {
        return Ok(());
    };
    if !audited {
        return Err(Fault::with_hint(
            "enforce_until",
            "an end belongs to audit mode, and refusals are carried out",
            "give --enforce audit as well",
        ));
    }
    if until <= now {
        return Err(Fault::with_hint(
            "enforce_until",
            format!("{until} is over: audit mode cannot end in the past"),
            "to end it now: --enforce on",
        ));
    }
    user.enforce_until = Some(until);
    Ok(())
}

/// Puts an amendment into a record.
pub(super) fn amend(
    tx: &mut dyn Transaction,
    record: &mut UserRecord,
    amendment: &Amendment,
    now: Timestamp,
) -> Result<(), Fault> {
    apply(tx, record, &amendment.settings, now)?;
    let name = record.user.name.clone();
    let grants = &mut record.user.grants;
    add_and_drop::<Grant>(
        "allow",
        grants,
        &amendment.add_allow,
        &amendment.drop_allow,
        &name,
    )?;
    let networks = &mut record.user.networks;
    add_and_drop::<Network>("ip", networks, &amendment.add_ip, &amendment.drop_ip, &name)?;
    if let Some(new) = &amendment.rename {
        rename(record, lists::item("name", new)?)?;
    }
    Ok(())
}

/// Checks a record against what else is stored: `before` is what it replaces.
pub(super) fn check(
    tx: &mut dyn Transaction,
    before: Option<&UserRecord>,
    after: &UserRecord,
) -> Result<(), Fault> {
    let user = &after.user;
    if before.is_none_or(|b| b.user.name != user.name) {
        check_name(tx, after)?;
    }
    check_logins(tx, before, after)?;
    let known: HashSet<&Grant> = before
        .filter(|b| b.user.account == user.account)
        .map_or_else(HashSet::new, |b| b.user.grants.iter().collect());
    for grant in user.grants.iter().filter(|grant| !known.contains(grant)) {
        check_grant(tx, &user.account, grant.domain())?;
    }
    Ok(())
}

/// Refuses what could be taken for a user's id: lockdown records name users by either.
fn no_id(field: &'static str, text: &str) -> Result<(), Fault> {
    match as_id(text) {
        None => Ok(()),
        Some(_) => Err(Fault::new(
            field,
            format!("{text} looks like the id of a user: choose another one"),
        )),
    }
}

/// Checks that nobody else has the name, as a name or as an extra login.
pub(super) fn check_name(tx: &mut dyn Transaction, record: &UserRecord) -> Result<(), Fault> {
    let name = &record.user.name;
    no_id("name", name.as_str())?;
    let Some(owner) = other_owner(tx, &name.to_login(), record)? else {
        return Ok(());
    };
    let error = if owner == *name {
        format!("user {name} is there already")
    } else {
        format!("{name} is an extra login of user {owner}")
    };
    Err(Fault::with_hint(
        "name",
        error,
        format!("outgate user show {owner}"),
    ))
}

/// Checks that nobody else has the logins that `before` does not have.
pub(super) fn check_logins(
    tx: &mut dyn Transaction,
    before: Option<&UserRecord>,
    after: &UserRecord,
) -> Result<(), Fault> {
    let known: HashSet<&Login> = before.map_or_else(HashSet::new, |b| b.logins.iter().collect());
    // A rename keeps the old name as a login, whatever it looks like.
    let old_name = before.map(|b| b.user.name.to_login());
    for login in after.logins.iter().filter(|login| !known.contains(login)) {
        if old_name.as_ref() != Some(login) {
            no_id("logins", login.as_str())?;
        }
        if let Some(owner) = other_owner(tx, login, after)? {
            return Err(Fault::with_hint(
                "logins",
                format!(
                    "login {login:?} belongs to user {owner}",
                    login = login.as_str()
                ),
                format!("outgate user show {owner}"),
            ));
        }
    }
    Ok(())
}

/// The name of the user other than this one whose login it is.
fn other_owner(
    tx: &mut dyn Transaction,
    login: &Login,
    record: &UserRecord,
) -> Result<Option<Name>, StoreError> {
    match tx.login_owner(login)? {
        Some(id) if id != record.user.id => {
            let owner = tx.user_with_id(id)?;
            owner.map(|owner| Some(owner.user.name)).ok_or_else(|| {
                StoreError::Unusable(format!(
                    "login {login} belongs to user {id}, which is not there"
                ))
            })
        }
        Some(_) | None => Ok(None),
    }
}

/// Mode `any-domain` comes with plan `pro`.
fn check_plan(tx: &mut dyn Transaction, account: &Name) -> Result<(), Fault> {
    match tx.account(account)?.map(|account| account.plan) {
        Some(Plan::Pro) => Ok(()),
        Some(Plan::Free) | None => Err(Fault::with_hint(
            "mode",
            format!("mode any-domain needs plan pro, and account {account} has plan free"),
            format!("outgate account set {account} --plan pro"),
        )),
    }
}

/// The old name stays as an extra login, so that nobody has to change the application at once.
/// A new name that was an extra login of this user stops being extra.
fn rename(record: &mut UserRecord, new: Name) -> Result<(), Fault> {
    if new == record.user.name {
        return Ok(());
    }
    let login = new.to_login();
    record.logins.retain(|extra| *extra != login);
    record.logins.push(record.user.name.to_login());
    if record.logins.len() > MAX_LIST {
        return Err(Fault::with_hint(
            "logins",
            format!(
                "renaming keeps the old name as an extra login, and there are {MAX_LIST} already"
            ),
            format!(
                "take some away: outgate user set {} --login …",
                record.user.name
            ),
        ));
    }
    record.user.name = new;
    Ok(())
}

fn add_and_drop<T>(
    field: &'static str,
    list: &mut Vec<T>,
    add: &[String],
    drop: &[String],
    user: &Name,
) -> Result<(), Fault>
where
    T: std::str::FromStr<Err: std::fmt::Display> + std::fmt::Display + Clone + Eq + std::hash::Hash,
{
    if !add.is_empty() {
        for text in add {
            list.push(lists::item(field, text)?);
        }
        *list = lists::collapsed(std::mem::take(list));
        lists::within(field, list.len(), MAX_LIST)?;
    }
    for text in drop {
        let item: T = lists::item(field, text)?;
        let length = list.len();
        list.retain(|there| *there != item);
        if list.len() == length {
            return Err(Fault::with_hint(
                field,
                format!("{item} is not in the {field} list of user {user}"),
                format!("outgate user show {user}"),
            ));
        }
    }
    Ok(())
}
