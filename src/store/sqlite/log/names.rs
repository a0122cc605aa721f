//! The numbers of what repeats from line to line: kinds of lines, users, accounts.
//!
//! Remembers what was looked up; bounded, and only as right as the last commit: after a transaction that failed
//! a new one is needed.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::statements as sql;
use crate::model::name::UserId;
use crate::store::log::Entry;
use crate::store::sqlite::questions::{key, one};

/// Users of one account that have numbers of their own.
const USERS_OF_ACCOUNT: i64 = 1 << 24;
/// Users that are remembered, in about as many times 100 bytes.
const MAX_USERS: usize = 65_536;
/// Kinds there may be: what outgate itself writes has a few hundred.
const MAX_KINDS: usize = 4096;

/// What is known of them.
#[derive(Default)]
pub struct Names {
    users: HashMap<UserId, Known>,
    /// By their words and whether they are of audit mode, one behind the other.
    kinds: HashMap<String, i64>,
    text: String,
}

/// A user as it was in its last line.
struct Known {
    name: Box<str>,
    account: Box<str>,
    number: i64,
}

impl Names {
    /// The number of the kind of this line.
    pub fn kind(&mut self, tables: &Connection, entry: &Entry<'_>) -> rusqlite::Result<i64> {
        let words = [entry.front_end, entry.stage, entry.verdict, entry.reason];
        self.text.clear();
        for word in words {
            self.text.push_str(word);
            self.text.push(' ');
        }
        self.text.push(if entry.audit { '1' } else { '0' });
        if let Some(number) = self.kinds.get(&self.text) {
            return Ok(*number);
        }
        let [front_end, stage, verdict, reason] = words;
        let columns = params![front_end, stage, verdict, reason, entry.audit];
        let number = match one(tables, sql::KIND, columns, |row| row.get(0))? {
            Some(number) => number,
            None => {
                tables.prepare_cached(sql::ADD_KIND)?.execute(columns)?;
                tables.last_insert_rowid()
            }
        };
        if self.kinds.len() < MAX_KINDS {
            self.kinds.insert(self.text.clone(), number);
        }
        Ok(number)
    }

    /// The number of the user of this line.
    pub fn who(&mut self, tables: &Connection, entry: &Entry<'_>) -> rusqlite::Result<i64> {
        let (Some(id), Some(name)) = (entry.user_id, entry.user) else {
            return Ok(digest(entry.login));
        };
        let account = entry.account.unwrap_or_default();
        if let Some(known) = self.users.get(&id)
            && (&*known.name, &*known.account) == (name, account)
        {
            return Ok(known.number);
        }
        let number = number(tables, id, name, account)?;
        if self.users.len() >= MAX_USERS {
            self.users.clear();
        }
        let known = Known {
            name: name.into(),
            account: account.into(),
            number,
        };
        self.users.insert(id, known);
        Ok(number)
    }
}

/// The number of a user by this name on this account, which may be a new one.
fn number(tables: &Connection, id: UserId, name: &str, account: &str) -> rusqlite::Result<i64> {
    let accounts = accounts(tables, account)?;
    for account in &accounts {
        let (first, end) = users_of(*account);
        let columns = params![key(&id), name, first, end];
        if let Some(number) = one(tables, sql::WHO, columns, |row| row.get(0))? {
            return Ok(number);
        }
    }
    let newest = match accounts.first() {
        Some(account) => next_user(tables, *account)?,
        None => None,
    };
    let number = match newest {
        Some(number) => number,
        None => {
            tables
                .prepare_cached(sql::ADD_ACCOUNT)?
                .execute([account])?;
            users_of(tables.last_insert_rowid()).0
        }
    };
    let columns = params![number, key(&id), name];
    tables.prepare_cached(sql::ADD_WHO)?.execute(columns)?;
    Ok(number)
}

/// The first number of this account that nobody has; `None`: all are given.
fn next_user(tables: &Connection, account: i64) -> rusqlite::Result<Option<i64>> {
    let (first, end) = users_of(account);
    let last: Option<i64> = tables
        .prepare_cached(sql::LAST_WHO)?
        .query_row([first, end], |row| row.get(0))?;
    let next = last.map_or(first, |last| last + 1);
    Ok((next < end).then_some(next))
}

/// The numbers of an account, newest first: usually one.
pub fn accounts(tables: &Connection, name: &str) -> rusqlite::Result<Vec<i64>> {
    let mut statement = tables.prepare_cached(sql::ACCOUNTS_NAMED)?;
    statement.query_map([name], |row| row.get(0))?.collect()
}

/// The numbers that the users of an account have: from the first up to, not including, the second.
pub fn users_of(account: i64) -> (i64, i64) {
    let first = account.saturating_mul(USERS_OF_ACCOUNT);
    (first, first.saturating_add(USERS_OF_ACCOUNT))
}

/// What stands for a login that nobody has: there may be any number of them, so they get no rows. FNV-1a of its
/// lower case, 24 bits: whoever looks for one compares the login too.
pub fn digest(login: &str) -> i64 {
    let folded = match login.is_ascii() {
        true => Cow::Borrowed(login),
        false => Cow::Owned(login.to_lowercase()),
    };
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in folded.bytes() {
        sum = (sum ^ u64::from(byte.to_ascii_lowercase())).wrapping_mul(0x100_0000_01b3);
    }
    ((sum ^ (sum >> 24)) & 0xff_ffff) as i64
}
