//! Records as rows: how each value is written and read. A row that does not read is damage, and an
//! error: never a default, never a guess.

use std::error::Error;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::Row;
use rusqlite::types::Type;
use serde::Serialize;
use serde::de::value::StrDeserializer;
use serde::de::{DeserializeOwned, IntoDeserializer};
use uuid::Uuid;

use crate::model::domain::Domain;
use crate::model::grant::Grant;
use crate::model::name::UserId;
use crate::model::quota::Quota;
use crate::model::user::{Account, AccountTerms, DomainRecord, Ownership, User, UserRecord};

type Read<T> = rusqlite::Result<T>;

/// A user, from the columns of `user!()`.
pub fn user(row: &Row<'_>) -> Read<User> {
    Ok(User {
        id: id(row, 0)?,
        name: parsed(row, 1)?,
        account: parsed(row, 2)?,
        status: word(row, 3)?,
        mode: word(row, 4)?,
        grants: list(row, 5, grant)?,
        networks: list(row, 6, |text| text.parse().ok())?,
        check_from: word(row, 7)?,
        enforce: word(row, 8)?,
        max_recipients: row.get(9)?,
        credential_version: count(row, 10)?,
        quotas: quotas(row, 11)?,
        enforce_until: time_or_null(row, 12)?,
    })
}

/// All of a user, from the columns of `record!()`.
pub fn record(row: &Row<'_>) -> Read<UserRecord> {
    Ok(UserRecord {
        user: user(row)?,
        logins: list(row, 13, |text| text.parse().ok())?,
        note: row.get(14)?,
        suspended_reason: row.get(15)?,
        created_at: time(row, 16)?,
        updated_at: time(row, 17)?,
        last_used_at: time_or_null(row, 18)?,
    })
}

/// What decisions read of an account: plan, quotas.
pub fn terms(row: &Row<'_>) -> Read<AccountTerms> {
    Ok(AccountTerms {
        plan: word(row, 0)?,
        quotas: quotas(row, 1)?,
    })
}

/// An account: name, plan, quotas, created_at.
pub fn account(row: &Row<'_>) -> Read<Account> {
    Ok(Account {
        name: parsed(row, 0)?,
        plan: word(row, 1)?,
        quotas: quotas(row, 2)?,
        created_at: time(row, 3)?,
    })
}

/// A domain on an account, from the columns of `claim!()`.
pub fn claim(row: &Row<'_>) -> Read<DomainRecord> {
    Ok(DomainRecord {
        domain: parsed(row, 0)?,
        account: parsed(row, 1)?,
        verified_by: match row.get_ref(2)?.as_str_or_null()? {
            Some(_) => Some(word(row, 2)?),
            None => None,
        },
        with_subdomains: row.get(3)?,
        token: row.get(4)?,
        added_at: time(row, 5)?,
    })
}

/// Name, account, with_subdomains of a verified domain.
pub fn ownership(row: &Row<'_>) -> Read<Ownership> {
    Ok(Ownership {
        domain: parsed(row, 0)?,
        account: parsed(row, 1)?,
        with_subdomains: row.get(2)?,
    })
}

/// An id.
pub fn id(row: &Row<'_>, column: usize) -> Read<UserId> {
    let bytes = row.get_ref(column)?.as_blob()?;
    let uuid = Uuid::from_slice(bytes).map_err(|error| damaged(column, error))?;
    Ok(UserId(uuid))
}

/// A number that is never negative.
pub fn count(row: &Row<'_>, column: usize) -> Read<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| damaged(column, error))
}

/// A name, a login, a domain: whatever has one way to be written.
pub fn parsed<T>(row: &Row<'_>, column: usize) -> Read<T>
where
    T: FromStr<Err: Error + Send + Sync + 'static>,
{
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|error| damaged(column, error))
}

/// One word of a fixed list, the same that the command line uses.
pub fn word<T: DeserializeOwned>(row: &Row<'_>, column: usize) -> Read<T> {
    let text = row.get_ref(column)?.as_str()?;
    let word: StrDeserializer<'_, serde::de::value::Error> = text.into_deserializer();
    T::deserialize(word).map_err(|error| damaged(column, error))
}

/// A time.
pub fn time(row: &Row<'_>, column: usize) -> Read<Timestamp> {
    Timestamp::from_microsecond(row.get(column)?).map_err(|error| damaged(column, error))
}

fn time_or_null(row: &Row<'_>, column: usize) -> Read<Option<Timestamp>> {
    match row.get::<_, Option<i64>>(column)? {
        Some(_) => Ok(Some(time(row, column)?)),
        None => Ok(None),
    }
}

fn quotas(row: &Row<'_>, column: usize) -> Read<Vec<Quota>> {
    let text = row.get_ref(column)?.as_str()?;
    if text == "[]" {
        return Ok(Vec::new());
    }
    serde_json::from_str(text).map_err(|error| damaged(column, error))
}

fn list<T>(row: &Row<'_>, column: usize, read: impl Fn(&str) -> Option<T>) -> Read<Vec<T>> {
    let text = row.get_ref(column)?.as_str()?;
    if text == "[]" {
        return Ok(Vec::new());
    }
    let texts: Vec<String> = serde_json::from_str(text).map_err(|error| damaged(column, error))?;
    let read = |text: &String| {
        read(text).ok_or_else(|| damaged(column, format!("{text:?} does not read")))
    };
    texts.iter().map(read).collect()
}

/// A stored grant. What may be granted was checked when it was: a list of public suffixes that has
/// grown since must not make the user unreadable.
fn grant(text: &str) -> Option<Grant> {
    if let Some(base) = text.strip_prefix("*.") {
        return Domain::parse(base).ok().map(Grant::Below);
    }
    match text.rsplit_once('@') {
        None => Domain::parse(text).ok().map(Grant::Domain),
        Some((local, site)) => Some(Grant::Address {
            local: local.into(),
            domain: Domain::parse(site).ok()?,
        }),
    }
}

/// A value that does not read.
pub fn damaged(column: usize, error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
}

/// How a list is stored.
pub fn texts<T: ToString>(list: &[T]) -> rusqlite::Result<String> {
    let texts: Vec<String> = list.iter().map(ToString::to_string).collect();
    json(&texts)
}

/// How quotas are stored.
pub fn json<T: Serialize>(value: &[T]) -> rusqlite::Result<String> {
    if value.is_empty() {
        return Ok("[]".to_owned());
    }
    serde_json::to_string(value).map_err(unwritable)
}

/// How a word of a fixed list is stored.
pub fn as_word<T: Serialize>(word: T) -> rusqlite::Result<String> {
    let quoted = serde_json::to_string(&word).map_err(unwritable)?;
    Ok(quoted.trim_matches('"').to_owned())
}

/// How a number is stored: SQL's integers are signed.
pub fn integer(number: u64) -> rusqlite::Result<i64> {
    i64::try_from(number).map_err(unwritable)
}

fn unwritable(error: impl Into<Box<dyn Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(error.into())
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::model::user::{Mode, VerifiedBy};

    fn read<T>(sql: &str, read: impl Fn(&Row<'_>) -> Read<T>) -> Read<T> {
        Connection::open_in_memory()?.query_row(sql, [], |row| read(row))
    }

    #[test]
    fn words_are_those_of_the_command_line() {
        assert_eq!(as_word(Mode::AllDomains).unwrap(), "all-domains");
        assert_eq!(as_word(VerifiedBy::Dns).unwrap(), "dns");
        let mode = read("SELECT 'all-domains'", |row| word::<Mode>(row, 0));
        assert_eq!(mode.unwrap(), Mode::AllDomains);
    }

    #[test]
    fn damage_is_an_error() {
        for sql in ["'Default'", "''", "NULL", "1", "x'00'", "'any'"] {
            let sql = format!("SELECT {sql}");
            assert!(read(&sql, |row| word::<Mode>(row, 0)).is_err(), "{sql}");
            assert!(read(&sql, |row| id(row, 0)).is_err(), "{sql}");
        }
        for sql in ["'[1]'", "'[\"a..b\"]'", "'{}'", "'['", "NULL", "''"] {
            let sql = format!("SELECT {sql}");
            assert!(read(&sql, |row| list(row, 0, grant)).is_err(), "{sql}");
            assert!(read(&sql, |row| quotas(row, 0)).is_err(), "{sql}");
        }
        assert!(read("SELECT -1", |row| count(row, 0)).is_err());
        assert!(read("SELECT 9223372036854775807", |row| time(row, 0)).is_err());
        assert!(integer(u64::MAX).is_err());
    }

    #[test]
    fn a_grant_that_became_a_public_suffix_still_reads() {
        for text in ["com", "*.github.io", "a@co.uk", "example.com"] {
            assert_eq!(grant(text).unwrap().to_string(), text);
        }
    }
}
