//! The facts that decisions ask for, remembered until somebody changes them.
//!
//! Sits between the engine and the store. A remembered fact costs one hash look-up and one atomic
//! read; a change ends exactly what it touches. An answer that was on its way from the store
//! while its subject changed is given to those who asked before the change and not remembered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use quick_cache::sync::Cache;

use crate::decision::facts::{Facts, Lineage, Question, Rules, domains_in_question};
use crate::metrics::Hits;
use crate::model::domain::Domain;
use crate::model::name::{Login, Name};
use crate::model::user::{AccountTerms, Ownership, SharedUser};
use crate::store::{Change, Store, StoreError};

/// How many users, and how many domains, are remembered: some tens of MiB at the most.
const CAPACITY: usize = 65_536;

/// How many accounts are remembered.
const ACCOUNTS: usize = 16_384;

/// Look-ups behind a bounded memory.
pub struct Directory {
    store: Arc<dyn Store>,
    users: Cache<Login, Option<SharedUser>>,
    domains: Cache<Domain, Option<Ownership>>,
    terms: Cache<Name, Option<Arc<AccountTerms>>>,
    hits: DirectoryHits,
    /// Whether `trouble` holds something: the one thing that every decision reads.
    troubled: AtomicBool,
    trouble: Mutex<Option<StoreError>>,
}

/// How often what was asked for was remembered.
#[derive(Default)]
pub struct DirectoryHits {
    /// Users by login.
    pub users: Hits,
    /// Owners of domains.
    pub domains: Hits,
    /// Terms of accounts.
    pub accounts: Hits,
}

impl Directory {
    /// Remembers nothing yet.
    pub fn new(store: Arc<dyn Store>) -> Directory {
        Directory {
            store,
            users: Cache::new(CAPACITY),
            domains: Cache::new(CAPACITY),
            terms: Cache::new(ACCOUNTS),
            hits: DirectoryHits::default(),
            troubled: AtomicBool::new(false),
            trouble: Mutex::new(None),
        }
    }

    /// The store behind it, for what is not remembered.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The user of a login, as it arrived. A text that can be nobody's login is nobody's.
    pub async fn user(&self, login: &str) -> Result<Option<SharedUser>, StoreError> {
        self.usable()?;
        if Login::is_folded(login)
            && let Some(user) = self.users.get(login)
        {
            self.hits.users.note(true);
            return Ok(user);
        }
        let Ok(login) = Login::parse(login) else {
            return Ok(None);
        };
        let found = self.users.get_value_or_guard_async(&login).await;
        self.hits.users.note(found.is_ok());
        match found {
            Ok(user) => Ok(user),
            Err(guard) => {
                let user = self.store.user(&login).await?.map(Arc::new);
                // Err: it was changed meanwhile, so it is not remembered.
                let _ = guard.insert(user.clone());
                Ok(user)
            }
        }
    }

    /// Everything that a question needs to know.
    pub async fn facts(&self, question: &Question<'_>, rules: &Rules) -> Result<Facts, StoreError> {
        let Some(user) = self.user(question.login).await? else {
            return Ok(Facts::default());
        };
        let terms = self.terms(&user.account).await?;
        let mut owners = Vec::new();
        for domain in domains_in_question(question, rules) {
            owners.push(self.lineage(domain).await?);
        }
        Ok(Facts {
            user: Some(user),
            terms,
            owners,
            ..Facts::default()
        })
    }

    /// The verified domains at and above a name, nearest first. A single label is nobody's.
    async fn lineage(&self, domain: Domain) -> Result<Lineage, StoreError> {
        let mut verified = Vec::new();
        for (steps, name) in domain.upwards().enumerate() {
            if steps > 0 && !name.contains('.') {
                break;
            }
            let ownership = match self.domains.get(name) {
                Some(known) => {
                    self.hits.domains.note(true);
                    known
                }
                None => self.ownership(&domain, steps).await?,
            };
            verified.extend(ownership);
        }
        Ok(Lineage { domain, verified })
    }

    /// Who owns the name that lies so many steps above a domain; not remembered yet.
    async fn ownership(
        &self,
        domain: &Domain,
        steps: usize,
    ) -> Result<Option<Ownership>, StoreError> {
        let mut names = std::iter::once(domain.clone()).chain(domain.ancestors());
        let Some(name) = names.nth(steps) else {
            return Ok(None);
        };
        let found = self.domains.get_value_or_guard_async(&name).await;
        self.hits.domains.note(found.is_ok());
        match found {
            Ok(ownership) => Ok(ownership),
            Err(guard) => {
                let ownership = self.store.ownership(&name).await?;
                let _ = guard.insert(ownership.clone());
                Ok(ownership)
            }
        }
    }

    /// Plan and quotas of an account.
    pub async fn terms(&self, account: &Name) -> Result<Option<Arc<AccountTerms>>, StoreError> {
        if let Some(terms) = self.terms.get(account) {
            self.hits.accounts.note(true);
            return Ok(terms);
        }
        let found = self.terms.get_value_or_guard_async(account).await;
        self.hits.accounts.note(found.is_ok());
        match found {
            Ok(terms) => Ok(terms),
            Err(guard) => {
                let terms = self.store.terms(account).await?.map(Arc::new);
                let _ = guard.insert(terms.clone());
                Ok(terms)
            }
        }
    }

    /// Forgets what changed.
    pub fn forget(&self, change: &Change) {
        match change {
            Change::Login(login) => drop(self.users.remove(login)),
            Change::Domain(domain) => drop(self.domains.remove(domain)),
            Change::Account(account) => drop(self.terms.remove(account)),
            // The store forgets uses by itself.
            Change::Quota(_) | Change::Reset { .. } => {}
            Change::Everything => {
                self.users.clear();
                self.domains.clear();
                self.terms.clear();
            }
        }
    }

    /// Told by the watcher: what is remembered can no longer be trusted, or can again.
    pub fn set_trouble(&self, trouble: Option<StoreError>) {
        let mut slot = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.is_some() != trouble.is_some() {
            self.forget(&Change::Everything);
        }
        self.troubled.store(trouble.is_some(), Ordering::Release);
        *slot = trouble;
    }

    /// The trouble that the watcher sees, if any.
    pub fn usable(&self) -> Result<(), StoreError> {
        if !self.troubled.load(Ordering::Acquire) {
            return Ok(());
        }
        let slot = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        slot.clone().map_or(Ok(()), Err)
    }

    /// How many users, domains and accounts are remembered now.
    pub fn remembered(&self) -> (usize, usize, usize) {
        (self.users.len(), self.domains.len(), self.terms.len())
    }

    /// How often memory sufficed.
    pub fn hits(&self) -> &DirectoryHits {
        &self.hits
    }
}
