//! What decisions ask of the tables, and what they leave behind in them.

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::rows;
use super::statements as sql;
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::Subject;
use crate::model::user::{AccountTerms, Ownership, User};
use crate::store::changed::{Changed, MAX_LISTED};
use crate::store::{Change, Changes, Credential, Use};

/// Networks that a user has not logged in from for so long are forgotten. The throttle asks about
/// the last 30 days (product, section 4); the rest is for clocks that disagree.
const NETWORKS_KEPT: SignedDuration = SignedDuration::from_hours(32 * 24);

/// See [`crate::store::Store::user`].
pub fn user(connection: &Connection, login: &Login) -> rusqlite::Result<Option<User>> {
    one(connection, sql::USER_OF_LOGIN, [login.as_str()], rows::user)
}

/// See [`crate::store::Store::ownership`].
pub fn ownership(connection: &Connection, name: &Domain) -> rusqlite::Result<Option<Ownership>> {
    one(connection, sql::OWNERSHIP, [name.as_str()], rows::ownership)
}

/// See [`crate::store::Store::terms`].
pub fn terms(connection: &Connection, account: &Name) -> rusqlite::Result<Option<AccountTerms>> {
    one(connection, sql::TERMS, [account.as_str()], rows::terms)
}

/// See [`crate::store::Store::credential`].
pub fn credential(connection: &Connection, user: UserId) -> rusqlite::Result<Option<Credential>> {
    let credential = |row: &Row<'_>| {
        Ok(Credential {
            hash: row.get(0)?,
            version: rows::count(row, 1)?,
        })
    };
    one(connection, sql::CREDENTIAL, [key(&user)], credential)
}

/// See [`crate::store::Store::logged_in_from`].
pub fn logged_in_from(
    connection: &Connection,
    user: UserId,
    network: IpNet,
    since: Timestamp,
) -> rusqlite::Result<bool> {
    let parameters = params![key(&user), network.to_string(), since.as_microsecond()];
    connection
        .prepare_cached(sql::KNOWN_NETWORK)?
        .query_row(parameters, |row| row.get(0))
}

/// See [`crate::store::Store::record_uses`].
pub fn record_uses(connection: &Connection, uses: &[Use]) -> rusqlite::Result<()> {
    let mut touch_user = connection.prepare_cached(sql::TOUCH_USER)?;
    let mut touch_network = connection.prepare_cached(sql::TOUCH_NETWORK)?;
    let mut forget = connection.prepare_cached(sql::FORGET_NETWORKS)?;
    for used in uses {
        let (user, at) = (key(&used.user), used.at.as_microsecond());
        let known = touch_user.execute(params![user, at])? > 0;
        if let (true, Some(network)) = (known, used.network) {
            touch_network.execute(params![user, network.to_string(), at])?;
            let oldest = used
                .at
                .saturating_sub(NETWORKS_KEPT)
                .unwrap_or(Timestamp::MIN);
            forget.execute(params![user, oldest.as_microsecond()])?;
        }
    }
    Ok(())
}

/// See [`crate::store::Store::rehash`].
pub fn rehash(
    connection: &Connection,
    user: UserId,
    credential: &Credential,
    hash: &str,
) -> rusqlite::Result<()> {
    let version = rows::integer(credential.version)?;
    let parameters = params![key(&user), version, credential.hash, hash];
    connection
        .prepare_cached(sql::REHASH)?
        .execute(parameters)?;
    Ok(())
}

/// See [`crate::store::Store::changes`].
pub fn changes(connection: &Connection, after: u64) -> rusqlite::Result<Changes> {
    // One view for all statements.
    let view = connection.unchecked_transaction()?;
    let number = |sql| {
        view.prepare_cached(sql)?
            .query_row([], |row| rows::count(row, 0))
    };
    let last = number(sql::NEWEST_CHANGE)?;
    let kept = number(sql::OLDEST_CHANGE)?..=last + 1;
    let mut changed = Changed::default();
    let next = after.saturating_add(1);
    if !kept.contains(&next) || last - after > MAX_LISTED as u64 {
        changed.note(Change::Everything);
    } else {
        let mut statement = view.prepare_cached(sql::CHANGES_AFTER)?;
        let mut found = statement.query(params![rows::integer(after)?, MAX_LISTED as i64])?;
        while let Some(row) = found.next()? {
            changed.note(change(row)?);
        }
    }
    Ok(Changes {
        last,
        changes: changed.into_list(),
    })
}

fn change(row: &Row<'_>) -> rusqlite::Result<Change> {
    Ok(match row.get_ref(0)?.as_str()? {
        "login" => Change::Login(rows::parsed(row, 1)?),
        "domain" => Change::Domain(rows::parsed(row, 1)?),
        "account" => Change::Account(rows::parsed(row, 1)?),
        "user-quota" => Change::Quota(Subject::User(UserId(rows::parsed(row, 1)?))),
        "account-quota" => Change::Quota(Subject::Account(rows::parsed(row, 1)?)),
        "reset" => reset(row.get_ref(1)?.as_str()?).unwrap_or(Change::Everything),
        // Also what a newer outgate may write one day: forgetting too much is always right.
        _ => Change::Everything,
    })
}

/// Whose uses somebody set to 0, and who.
fn reset(text: &str) -> Option<Change> {
    let (subject, by) = text.split_once(' ')?;
    let subject = Subject::parse(subject)?;
    let by = by.to_owned();
    Some(Change::Reset { subject, by })
}

/// At most one row.
pub fn one<T>(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
    read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Option<T>> {
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_row(parameters, read).optional()
}

/// How an id is stored.
pub fn key(user: &UserId) -> &[u8] {
    user.0.as_bytes()
}
