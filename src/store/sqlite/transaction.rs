//! The operators' side: whole records inside one transaction of SQLite.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::database::Database;
use super::ledger::view::{self, Unfolded};
use super::questions::{key, one};
use super::statements as sql;
use super::{rows, users};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, Subject, Usage};
use crate::model::user::{Account, DomainRecord, UserRecord};
use crate::store::changed::Changed;
use crate::store::{Change, ManageError, Reset, StoreError, Transaction, UserFilter, Visit};

/// How many changes are kept: more than a daemon can miss between two looks.
const KEPT_CHANGES: i64 = 10_000;
/// At most so many old ones go with one transaction, so that none takes long.
const TRIM_STEP: i64 = 2 * crate::store::changed::MAX_LISTED as i64;

/// A transaction that somebody else begins and ends.
pub struct SqliteTransaction<'a> {
    database: &'a Database,
    connection: &'a Connection,
    changed: Changed,
    unfolded: Unfolded,
}

impl<'a> SqliteTransaction<'a> {
    /// On a connection that is in a transaction.
    pub fn new(database: &'a Database, connection: &'a Connection) -> SqliteTransaction<'a> {
        SqliteTransaction {
            database,
            connection,
            changed: Changed::default(),
            unfolded: Unfolded::default(),
        }
    }

    /// Keeps what changed, in the same transaction.
    pub fn keep_changes(&mut self) -> Result<(), StoreError> {
        let changes = std::mem::take(&mut self.changed).into_list();
        keep(self.connection, &changes).map_err(|error| self.database.trouble(&error))
    }

    fn trouble<T>(&self, result: rusqlite::Result<T>) -> Result<T, StoreError> {
        result.map_err(|error| self.database.trouble(&error))
    }

    /// All rows of a statement.
    fn all<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: fn(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let all = || {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(parameters, read)?.collect()
        };
        self.trouble(all())
    }

    /// At most one row.
    fn one<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        self.trouble(one(self.connection, sql, parameters, read))
    }

    /// Runs a statement; whether it changed anything.
    fn run(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<bool, StoreError> {
        let run = || self.connection.prepare_cached(sql)?.execute(parameters);
        self.trouble(run()).map(|rows| rows > 0)
    }
}

fn keep(connection: &Connection, changes: &[Change]) -> rusqlite::Result<()> {
    if changes.is_empty() {
        return Ok(());
    }
    let mut put = connection.prepare_cached(sql::PUT_CHANGE)?;
    for change in changes {
        match change {
            Change::Login(login) => put.execute(["login", login.as_str()])?,
            Change::Domain(domain) => put.execute(["domain", domain.as_str()])?,
            Change::Account(account) => put.execute(["account", account.as_str()])?,
            Change::Quota(Subject::User(id)) => put.execute(["user-quota", &id.to_string()])?,
            Change::Quota(Subject::Account(name)) => {
                put.execute(["account-quota", name.as_str()])?
            }
            Change::Reset { subject, by } => put.execute(["reset", &format!("{subject} {by}")])?,
            Change::Everything => put.execute(["everything", ""])?,
        };
    }
    let surplus = connection.last_insert_rowid() - KEPT_CHANGES;
    let mut trim = connection.prepare_cached(sql::TRIM_CHANGES)?;
    trim.execute([surplus, TRIM_STEP])?;
    Ok(())
}

impl Transaction for SqliteTransaction<'_> {
    fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        self.all(sql::ACCOUNTS, [], rows::account)
    }

    fn account(&mut self, name: &Name) -> Result<Option<Account>, StoreError> {
        self.one(sql::ACCOUNT, [name.as_str()], rows::account)
    }

    fn account_size(&mut self, name: &Name) -> Result<(u64, u64), StoreError> {
        let size = |row: &Row<'_>| Ok((rows::count(row, 0)?, rows::count(row, 1)?));
        let size = self.one(sql::ACCOUNT_SIZE, [name.as_str()], size)?;
        Ok(size.unwrap_or_default())
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let plan = self.trouble(rows::as_word(account.plan))?;
        let quotas = self.trouble(rows::json(&account.quotas))?;
        let created_at = account.created_at.as_microsecond();
        let name = account.name.as_str();
        self.run(sql::PUT_ACCOUNT, params![name, plan, quotas, created_at])?;
        self.changed.note(Change::Account(account.name.clone()));
        Ok(())
    }

    fn remove_account(&mut self, name: &Name) -> Result<(), StoreError> {
        if self.run(sql::REMOVE_ACCOUNT, [name.as_str()])? {
            self.changed.note(Change::Account(name.clone()));
            let subject = Subject::Account(name.clone());
            let removed = self
                .unfolded
                .remove(self.connection, &subject, &mut self.changed);
            self.trouble(removed)?;
        }
        Ok(())
    }

    fn domains(&mut self, account: Option<&Name>) -> Result<Vec<DomainRecord>, StoreError> {
        match account {
            Some(name) => self.all(sql::DOMAINS_OF_ACCOUNT, [name.as_str()], rows::claim),
            None => self.all(sql::DOMAINS, [], rows::claim),
        }
    }

    fn claims(&mut self, domain: &Domain) -> Result<Vec<DomainRecord>, StoreError> {
        self.all(sql::CLAIMS, [domain.as_str()], rows::claim)
    }

    fn put_domain(&mut self, claim: &DomainRecord) -> Result<(), StoreError> {
        let verified_by = self.trouble(claim.verified_by.map(rows::as_word).transpose())?;
        let parameters = params![
            claim.domain.as_str(),
            claim.account.as_str(),
            verified_by,
            claim.with_subdomains,
            claim.token,
            claim.added_at.as_microsecond(),
        ];
        self.run(sql::PUT_DOMAIN, parameters)?;
        self.changed.note(Change::Domain(claim.domain.clone()));
        Ok(())
    }

    fn remove_domain(&mut self, account: &Name, domain: &Domain) -> Result<(), StoreError> {
        if self.run(sql::REMOVE_DOMAIN, [domain.as_str(), account.as_str()])? {
            self.changed.note(Change::Domain(domain.clone()));
        }
        Ok(())
    }

    fn user_named(&mut self, name: &Name) -> Result<Option<UserRecord>, StoreError> {
        self.one(sql::USER_NAMED, [name.as_str()], rows::record)
    }

    fn user_with_id(&mut self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        self.one(sql::USER_WITH_ID, [key(&id)], rows::record)
    }

    fn login_owner(&mut self, login: &Login) -> Result<Option<UserId>, StoreError> {
        let id = |row: &Row<'_>| rows::id(row, 0);
        self.one(sql::LOGIN_OWNER, [login.as_str()], id)
    }

    fn each_user(&mut self, filter: &UserFilter, visit: &mut Visit<'_>) -> Result<(), ManageError> {
        let (database, connection) = (self.database, self.connection);
        let trouble = |error: rusqlite::Error| database.trouble(&error);
        let sql = match filter.account {
            Some(_) => sql::USERS_OF_ACCOUNT,
            None => sql::USERS,
        };
        let mut statement = connection.prepare_cached(sql).map_err(trouble)?;
        let since = filter.unused_since.map(|since| since.as_microsecond());
        let mut found = match &filter.account {
            Some(account) => statement.query(params![since, account.as_str()]),
            None => statement.query([since]),
        }
        .map_err(trouble)?;
        while let Some(row) = found.next().map_err(trouble)? {
            visit(self, rows::record(row).map_err(trouble)?)?;
        }
        Ok(())
    }

    fn users_granted_under(
        &mut self,
        account: &Name,
        domain: &Domain,
    ) -> Result<Vec<UserId>, StoreError> {
        let from = domain.tree_key();
        // What comes right behind all keys that begin so: '/' follows '.'.
        let to = format!("{}/", from.trim_end_matches('.'));
        let range = [account.as_str(), &from, &to];
        self.all(sql::USERS_GRANTED, range, |row| rows::id(row, 0))
    }

    fn put_user(&mut self, user: &UserRecord, hash: Option<&str>) -> Result<(), StoreError> {
        match users::put(self.connection, user, hash, &mut self.changed) {
            Ok(None) => Ok(()),
            Ok(Some(taken)) => Err(StoreError::Unusable(format!(
                "the login {taken} is another user's"
            ))),
            Err(error) => Err(self.database.trouble(&error)),
        }
    }

    fn password_hash(&mut self, id: UserId) -> Result<Option<String>, StoreError> {
        let hash = self.one(sql::PASSWORD_HASH, [key(&id)], |row| row.get(0))?;
        Ok(hash.flatten())
    }

    fn remove_user(&mut self, id: UserId) -> Result<(), StoreError> {
        let (changed, unfolded) = (&mut self.changed, &mut self.unfolded);
        let removed = users::remove(self.connection, id, changed, unfolded);
        self.trouble(removed)
    }

    fn uses(&mut self, subject: &Subject) -> Result<Vec<Usage>, StoreError> {
        let uses = self.unfolded.uses(self.connection, subject);
        self.trouble(uses)
    }

    fn used(&mut self, counter: &Counter, starts: Timestamp) -> Result<u64, StoreError> {
        let used = self.unfolded.used(self.connection, counter, starts);
        self.trouble(used)
    }

    fn reset(&mut self, subject: &Subject, by: &str, at: Timestamp) -> Result<u64, StoreError> {
        let held = self.unfolded.held(self.connection, subject);
        let held = self.trouble(held)?;
        let reset = Reset {
            at,
            by: by.to_owned(),
        };
        let noted = view::note_reset(self.connection, subject, &reset);
        self.trouble(noted)?;
        let forgotten = self
            .unfolded
            .forget(self.connection, subject, &mut self.changed);
        self.trouble(forgotten)?;
        let (subject, by) = (subject.clone(), by.to_owned());
        self.changed.note(Change::Reset { subject, by });
        Ok(held)
    }

    fn last_reset(&mut self, subject: &Subject) -> Result<Option<Reset>, StoreError> {
        self.trouble(view::last_reset(self.connection, subject))
    }
}
