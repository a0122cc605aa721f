//! State in memory: for tests and trials. Obeys the same contract as the stores on disk.
//!
//! Readers see an immutable state; a transaction works on a copy of it that replaces it when all
//! went well, so rolling back is dropping the copy. Nothing here waits, but for one writer at a time.

mod tally;
mod transaction;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use ipnet::IpNet;
use jiff::Timestamp;

use self::tally::Tally;
use self::transaction::MemoryTransaction;
use super::changed::{Changed, MAX_LISTED};
use super::{
    Answer, Change, Changes, Charge, Charged, Credential, Held, ManageError, Store, StoreError,
    Use, Work,
};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, MessageKey};
use crate::model::user::{
    Account, AccountTerms, DEFAULT_ACCOUNT, DomainRecord, Ownership, Plan, User, UserRecord,
};

/// How many changes are kept at least.
const KEPT_CHANGES: usize = 10_000;

/// A store that lasts as long as the process. Has the account `default`.
pub struct MemoryStore {
    state: ArcSwap<State>,
    /// Held by the one transaction that may be under way.
    writing: Mutex<()>,
    /// Beside the state, so that a charge copies nothing.
    tally: Mutex<Tally>,
}

/// All there is.
#[derive(Clone, Default)]
struct State {
    accounts: BTreeMap<Name, Account>,
    /// By domain, then account.
    domains: BTreeMap<(Domain, Name), DomainRecord>,
    users: HashMap<UserId, Arc<Entry>>,
    names: BTreeMap<Name, UserId>,
    logins: HashMap<Login, UserId>,
    networks: HashMap<(UserId, IpNet), Timestamp>,
    changes: Vec<Change>,
    /// How many changes are no longer kept.
    forgotten: usize,
}

#[derive(Clone)]
struct Entry {
    record: UserRecord,
    hash: Option<String>,
}

impl MemoryStore {
    /// Nothing but the account `default`.
    pub fn new() -> MemoryStore {
        let mut state = State::default();
        if let Ok(name) = Name::parse(DEFAULT_ACCOUNT) {
            let account = Account {
                name: name.clone(),
                plan: Plan::Pro,
                quotas: Vec::new(),
                created_at: Timestamp::UNIX_EPOCH,
            };
            state.accounts.insert(name, account);
        }
        MemoryStore {
            state: ArcSwap::from_pointee(state),
            writing: Mutex::default(),
            tally: Mutex::default(),
        }
    }

    fn answer<T: Send + 'static>(&self, ask: impl FnOnce(&State) -> T) -> Answer<'_, T> {
        let answer = ask(&self.state.load());
        Box::pin(std::future::ready(Ok(answer)))
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alter(&self, alter: impl FnOnce(&mut State)) {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = State::clone(&self.state.load());
        alter(&mut state);
        self.state.store(Arc::new(state));
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new()
    }
}

impl Store for MemoryStore {
    fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>> {
        self.answer(|state| {
            let id = state.logins.get(login)?;
            state.users.get(id).map(|entry| entry.record.user.clone())
        })
    }

    fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>> {
        self.answer(|state| {
            state
                .claims(domain)
                .find(|claim| claim.verified_by.is_some())
                .map(|claim| Ownership {
                    domain: claim.domain.clone(),
                    account: claim.account.clone(),
                    with_subdomains: claim.with_subdomains,
                })
        })
    }

    fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>> {
        self.answer(|state| {
            let found = state.accounts.get(account)?;
            Some(AccountTerms {
                plan: found.plan,
                quotas: found.quotas.clone(),
            })
        })
    }

    fn credential(&self, user: UserId) -> Answer<'_, Option<Credential>> {
        self.answer(|state| {
            let entry = state.users.get(&user)?;
            Some(Credential {
                hash: entry.hash.clone()?,
                version: entry.record.user.credential_version,
            })
        })
    }

    fn logged_in_from(&self, user: UserId, network: IpNet, since: Timestamp) -> Answer<'_, bool> {
        self.answer(|state| {
            let last = state.networks.get(&(user, network));
            last.is_some_and(|at| *at >= since)
        })
    }

    fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()> {
        self.alter(|state| uses.iter().for_each(|used| state.record_use(used)));
        Box::pin(std::future::ready(Ok(())))
    }

    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()> {
        self.alter(|state| {
            if let Some(entry) = state.users.get_mut(&user)
                && entry.record.user.credential_version == credential.version
                && entry.hash.as_deref() == Some(credential.hash.as_str())
            {
                Arc::make_mut(entry).hash = Some(hash);
            }
        });
        Box::pin(std::future::ready(Ok(())))
    }

    fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
        let charged = self.tally().charge(&charge);
        Box::pin(std::future::ready(Ok(charged)))
    }

    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>> {
        let tally = self.tally();
        let used = counters
            .iter()
            .map(|(counter, starts)| tally.held_at(counter, *starts))
            .collect();
        Box::pin(std::future::ready(Ok(used)))
    }

    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        let known = self.tally().is_charged(key);
        Box::pin(std::future::ready(Ok(known)))
    }

    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        self.answer(|state| state.changes_after(after))
    }

    fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        let _alone = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut transaction = MemoryTransaction {
            state: State::clone(&self.state.load()),
            tally: &self.tally,
            forgotten: HashMap::new(),
            changed: Changed::default(),
            writable: true,
        };
        work(&mut transaction)?;
        let MemoryTransaction {
            mut state,
            forgotten,
            changed,
            ..
        } = transaction;
        for (subject, forgetting) in forgotten {
            self.tally().forget(subject, forgetting);
        }
        state.changes.extend(changed.into_list());
        let surplus = state.changes.len().saturating_sub(KEPT_CHANGES);
        state.changes.drain(..surplus);
        state.forgotten += surplus;
        self.state.store(Arc::new(state));
        Ok(())
    }

    fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        work(&mut MemoryTransaction {
            state: State::clone(&self.state.load()),
            tally: &self.tally,
            forgotten: HashMap::new(),
            changed: Changed::default(),
            writable: false,
        })
    }
}

impl State {
    fn claims<'a>(&'a self, domain: &'a Domain) -> impl Iterator<Item = &'a DomainRecord> {
        let claims = self.domains.values();
        claims.filter(move |claim| claim.domain == *domain)
    }

    fn record_use(&mut self, used: &Use) {
        let Some(entry) = self.users.get_mut(&used.user) else {
            return;
        };
        let record = &mut Arc::make_mut(entry).record;
        record.last_used_at = record.last_used_at.max(Some(used.at));
        if let Some(network) = used.network {
            let last = self.networks.entry((used.user, network));
            let last = last.or_insert(used.at);
            *last = used.at.max(*last);
        }
    }

    fn changes_after(&self, after: u64) -> Changes {
        let last = self.forgotten + self.changes.len();
        let list = usize::try_from(after)
            .ok()
            .and_then(|after| after.checked_sub(self.forgotten))
            .and_then(|known| self.changes.get(known..));
        let mut changed = Changed::default();
        match list {
            Some(list) if list.len() <= MAX_LISTED => {
                list.iter().for_each(|change| changed.note(change.clone()));
            }
            Some(_) | None => changed.note(Change::Everything),
        }
        Changes {
            last: last as u64,
            changes: changed.into_list(),
        }
    }

    fn refuse_strangers(&self, user: &UserRecord) -> Result<(), StoreError> {
        if !self.accounts.contains_key(&user.user.account) {
            return Err(broken(format!("no account {}", user.user.account)));
        }
        for login in logins(user) {
            if self
                .logins
                .get(&login)
                .is_some_and(|id| *id != user.user.id)
            {
                return Err(broken(format!("the login {login} is another user's")));
            }
        }
        Ok(())
    }
}

/// A rule that the caller should have kept.
fn broken(what: String) -> StoreError {
    StoreError::Unusable(what)
}

/// All that a user can log in with.
fn logins(user: &UserRecord) -> impl Iterator<Item = Login> {
    let name = user.user.name.to_login();
    std::iter::once(name).chain(user.logins.iter().cloned())
}
