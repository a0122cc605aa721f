//! Whole records in memory: a transaction on a copy of the state.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::tally::{Forgetting, Tally};
use super::{Entry, State, broken, logins};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, Subject, Usage};
use crate::model::user::{Account, DomainRecord, User, UserRecord};
use crate::store::changed::Changed;
use crate::store::{Change, ManageError, Reset, StoreError, Transaction, UserFilter, Visit};

/// What a transaction has done so far.
pub struct MemoryTransaction<'a> {
    /// The copy.
    pub state: State,
    /// What was charged. Not copied: what happens to it waits in `forgotten`.
    pub tally: &'a Mutex<Tally>,
    /// Subjects whose uses go when all goes well.
    pub forgotten: HashMap<Subject, Forgetting>,
    /// What is other than it was.
    pub changed: Changed,
    /// Whether this is more than a view.
    pub writable: bool,
}

impl MemoryTransaction<'_> {
    fn tally<T>(&self, read: impl FnOnce(&Tally) -> T) -> T {
        read(&self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn forget(&mut self, subject: Subject, forgetting: Forgetting) {
        if self.tally(|tally| tally.held(&subject)) > 0 {
            self.changed.note(Change::Quota(subject.clone()));
        }
        self.forgotten.insert(subject, forgetting);
    }

    fn writing(&mut self) -> Result<&mut State, StoreError> {
        if self.writable {
            Ok(&mut self.state)
        } else {
            Err(StoreError::ReadOnly("this is a view".to_owned()))
        }
    }

    fn record(&self, id: Option<&UserId>) -> Option<UserRecord> {
        let entry = self.state.users.get(id?)?;
        Some(entry.record.clone())
    }

    /// Takes a user out, but for its networks.
    fn take_user(&mut self, id: UserId) -> Result<Option<Arc<Entry>>, StoreError> {
        let state = self.writing()?;
        let Some(entry) = state.users.remove(&id) else {
            return Ok(None);
        };
        state.names.remove(&entry.record.user.name);
        for login in logins(&entry.record) {
            self.state.logins.remove(&login);
            self.changed.note(Change::Login(login));
        }
        Ok(Some(entry))
    }
}

impl Transaction for MemoryTransaction<'_> {
    fn accounts(&mut self) -> Result<Vec<Account>, StoreError> {
        Ok(self.state.accounts.values().cloned().collect())
    }

    fn account(&mut self, name: &Name) -> Result<Option<Account>, StoreError> {
        Ok(self.state.accounts.get(name).cloned())
    }

    fn account_size(&mut self, name: &Name) -> Result<(u64, u64), StoreError> {
        let state = &self.state;
        let users = state.users.values();
        let users = users.filter(|entry| entry.record.user.account == *name);
        let domains = state.domains.keys().filter(|(_, owner)| owner == name);
        Ok((users.count() as u64, domains.count() as u64))
    }

    fn put_account(&mut self, account: &Account) -> Result<(), StoreError> {
        let name = account.name.clone();
        self.writing()?
            .accounts
            .insert(name.clone(), account.clone());
        self.changed.note(Change::Account(name));
        Ok(())
    }

    fn remove_account(&mut self, name: &Name) -> Result<(), StoreError> {
        if self.account_size(name)? != (0, 0) {
            return Err(broken(format!("the account {name} still owns something")));
        }
        if self.writing()?.accounts.remove(name).is_some() {
            self.changed.note(Change::Account(name.clone()));
            self.forget(Subject::Account(name.clone()), Forgetting::Removed);
        }
        Ok(())
    }

    fn domains(&mut self, account: Option<&Name>) -> Result<Vec<DomainRecord>, StoreError> {
        let all = self.state.domains.values();
        let wanted = all.filter(|claim| account.is_none_or(|name| claim.account == *name));
        Ok(wanted.cloned().collect())
    }

    fn claims(&mut self, domain: &Domain) -> Result<Vec<DomainRecord>, StoreError> {
        Ok(self.state.claims(domain).cloned().collect())
    }

    fn put_domain(&mut self, claim: &DomainRecord) -> Result<(), StoreError> {
        let state = self.writing()?;
        if !state.accounts.contains_key(&claim.account) {
            return Err(broken(format!("no account {}", claim.account)));
        }
        let taken =
            |other: &DomainRecord| other.verified_by.is_some() && other.account != claim.account;
        if claim.verified_by.is_some() && state.claims(&claim.domain).any(taken) {
            let domain = &claim.domain;
            return Err(broken(format!("{domain} is verified on another account")));
        }
        let key = (claim.domain.clone(), claim.account.clone());
        state.domains.insert(key, claim.clone());
        self.changed.note(Change::Domain(claim.domain.clone()));
        Ok(())
    }

    fn remove_domain(&mut self, account: &Name, domain: &Domain) -> Result<(), StoreError> {
        let key = (domain.clone(), account.clone());
        if self.writing()?.domains.remove(&key).is_some() {
            self.changed.note(Change::Domain(domain.clone()));
        }
        Ok(())
    }

    fn user_named(&mut self, name: &Name) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.record(self.state.names.get(name)))
    }

    fn user_with_id(&mut self, id: UserId) -> Result<Option<UserRecord>, StoreError> {
        Ok(self.record(Some(&id)))
    }

    fn login_owner(&mut self, login: &Login) -> Result<Option<UserId>, StoreError> {
        Ok(self.state.logins.get(login).copied())
    }

    fn each_user(&mut self, filter: &UserFilter, visit: &mut Visit<'_>) -> Result<(), ManageError> {
        let ids: Vec<UserId> = self.state.names.values().copied().collect();
        for id in ids {
            let Some(record) = self.record(Some(&id)) else {
                continue;
            };
            let of_account = filter
                .account
                .as_ref()
                .is_none_or(|account| record.user.account == *account);
            let unused = filter
                .unused_since
                .is_none_or(|since| record.last_used_at.unwrap_or(record.created_at) < since);
            if of_account && unused {
                visit(self, record)?;
            }
        }
        Ok(())
    }

    fn users_granted_under(
        &mut self,
        account: &Name,
        domain: &Domain,
    ) -> Result<Vec<UserId>, StoreError> {
        let touches = |user: &User| {
            user.account == *account
                && user
                    .grants
                    .iter()
                    .map(|grant| grant.domain())
                    .any(|granted| granted == domain || granted.is_below(domain))
        };
        let users = self.state.users.values().map(|entry| &entry.record.user);
        let mut ids: Vec<_> = users.filter(|u| touches(u)).map(|user| user.id).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    fn put_user(&mut self, user: &UserRecord, hash: Option<&str>) -> Result<(), StoreError> {
        self.writing()?.refuse_strangers(user)?;
        let id = user.user.id;
        let former = self.take_user(id)?;
        let kept = former.and_then(|entry| entry.hash.clone());
        let entry = Entry {
            record: user.clone(),
            hash: hash.map(str::to_owned).or(kept),
        };
        for login in logins(user) {
            self.state.logins.insert(login.clone(), id);
            self.changed.note(Change::Login(login));
        }
        self.state.names.insert(user.user.name.clone(), id);
        self.state.users.insert(id, Arc::new(entry));
        Ok(())
    }

    fn password_hash(&mut self, id: UserId) -> Result<Option<String>, StoreError> {
        let entry = self.state.users.get(&id);
        Ok(entry.and_then(|entry| entry.hash.clone()))
    }

    fn remove_user(&mut self, id: UserId) -> Result<(), StoreError> {
        if self.take_user(id)?.is_some() {
            self.state.networks.retain(|(user, _), _| *user != id);
            self.forget(Subject::User(id), Forgetting::Removed);
        }
        Ok(())
    }

    fn uses(&mut self, subject: &Subject) -> Result<Vec<Usage>, StoreError> {
        if self.forgotten.contains_key(subject) {
            return Ok(Vec::new());
        }
        Ok(self.tally(|tally| tally.uses(subject)))
    }

    fn used(&mut self, counter: &Counter, starts: Timestamp) -> Result<u64, StoreError> {
        if self.forgotten.contains_key(&counter.subject) {
            return Ok(0);
        }
        Ok(self.tally(|tally| tally.held_at(counter, starts).used))
    }

    fn reset(&mut self, subject: &Subject, by: &str, at: Timestamp) -> Result<u64, StoreError> {
        self.writing()?;
        let held = match self.forgotten.contains_key(subject) {
            true => 0,
            false => self.tally(|tally| tally.held(subject)),
        };
        let by = by.to_owned();
        let reset = Reset { at, by: by.clone() };
        self.forget(subject.clone(), Forgetting::Reset(reset));
        let subject = subject.clone();
        self.changed.note(Change::Reset { subject, by });
        Ok(held as u64)
    }

    fn last_reset(&mut self, subject: &Subject) -> Result<Option<Reset>, StoreError> {
        match self.forgotten.get(subject) {
            Some(Forgetting::Reset(reset)) => Ok(Some(reset.clone())),
            Some(Forgetting::Removed) => Ok(None),
            None => Ok(self.tally(|tally| tally.last_reset(subject).cloned())),
        }
    }
}
