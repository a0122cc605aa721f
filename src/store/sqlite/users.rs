//! Writing a user: its row, and the rows by which it is found.

use rusqlite::{Connection, Row, params};

use super::ledger::view::Unfolded;
use super::questions::{key, one};
use super::rows;
use super::statements as sql;
use crate::model::name::{Login, UserId};
use crate::model::quota::Subject;
use crate::model::user::UserRecord;
use crate::store::Change;
use crate::store::changed::Changed;

/// Keeps a user. `Some`: nothing was done, because this login is another user's.
pub fn put(
    connection: &Connection,
    record: &UserRecord,
    hash: Option<&str>,
    changed: &mut Changed,
) -> rusqlite::Result<Option<Login>> {
    let id = key(&record.user.id);
    let name = record.user.name.to_login();
    let logins = || std::iter::once(&name).chain(&record.logins);
    let present: Option<i64> = number(connection, sql::USER_NUMBER, id)?;
    // Looked at before anything is written, so that a refusal leaves nothing behind.
    for login in logins() {
        let owner = number(connection, sql::LOGIN_NUMBER, login.as_str())?;
        if owner.is_some() && owner != present {
            return Ok(Some(login.clone()));
        }
    }
    let number = match present {
        None => {
            write(connection, sql::ADD_USER, record, hash)?;
            connection.last_insert_rowid()
        }
        Some(number) => {
            write(connection, sql::SET_USER, record, hash)?;
            note_logins(connection, number, changed)?;
            run(connection, sql::DROP_LOGINS, [number])?;
            run(connection, sql::DROP_GRANTED, [number])?;
            number
        }
    };
    for login in logins() {
        run(connection, sql::ADD_LOGIN, params![login.as_str(), number])?;
        changed.note(Change::Login(login.clone()));
    }
    let account = record.user.account.as_str();
    for grant in &record.user.grants {
        let tree = grant.domain().tree_key();
        run(connection, sql::ADD_GRANTED, params![account, tree, number])?;
    }
    Ok(None)
}

/// Forgets a user and all that hangs on it.
pub fn remove(
    connection: &Connection,
    id: UserId,
    changed: &mut Changed,
    unfolded: &mut Unfolded,
) -> rusqlite::Result<()> {
    if let Some(number) = number(connection, sql::USER_NUMBER, key(&id))? {
        note_logins(connection, number, changed)?;
        run(connection, sql::REMOVE_USER, [number])?;
        unfolded.remove(connection, &Subject::User(id), changed)?;
    }
    Ok(())
}

fn write(
    connection: &Connection,
    sql: &str,
    record: &UserRecord,
    hash: Option<&str>,
) -> rusqlite::Result<()> {
    let user = &record.user;
    run(
        connection,
        sql,
        params![
            key(&user.id),
            user.name.as_str(),
            user.account.as_str(),
            rows::as_word(user.status)?,
            rows::as_word(user.mode)?,
            rows::texts(&user.grants)?,
            rows::texts(&user.networks)?,
            rows::as_word(user.check_from)?,
            rows::as_word(user.enforce)?,
            user.max_recipients,
            rows::integer(user.credential_version)?,
            rows::texts(&record.logins)?,
            rows::json(&user.quotas)?,
            record.note,
            record.suspended_reason,
            record.created_at.as_microsecond(),
            record.updated_at.as_microsecond(),
            record.last_used_at.map(|at| at.as_microsecond()),
            hash,
            user.enforce_until.map(|until| until.as_microsecond()),
        ],
    )
}

fn note_logins(
    connection: &Connection,
    number: i64,
    changed: &mut Changed,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached(sql::LOGINS)?;
    let mut found = statement.query([number])?;
    while let Some(row) = found.next()? {
        changed.note(Change::Login(rows::parsed(row, 0)?));
    }
    Ok(())
}

fn number<K: rusqlite::ToSql>(
    connection: &Connection,
    sql: &str,
    key: K,
) -> rusqlite::Result<Option<i64>> {
    one(connection, sql, [key], |row: &Row<'_>| row.get(0))
}

fn run(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute(parameters)?;
    Ok(())
}
