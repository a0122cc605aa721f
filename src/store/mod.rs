//! Where state lives: the narrow door behind which SQLite, PostgreSQL or a map in memory can stand.
//!
//! [`Store`] answers the few indexed questions that a decision asks, and takes what decisions
//! leave behind. [`Transaction`] is the operators' side: whole records, read and written inside one
//! transaction; the rules about them are in `manage`, so that every store obeys the same.
//! Stores know no protocol and make no decisions.

pub mod backup;
mod changed;
mod condition;
pub mod figures;
pub mod log;
pub mod memory;
pub mod sqlite;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use thiserror::Error;

use self::backup::{BackupError, Copied, Progress};
pub use self::condition::{Age, Soundness};
use self::sqlite::SqliteStore;
use crate::config::value::StoreUrl;
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, UserId};
use crate::model::quota::{Counter, MessageKey, Subject, Usage};
use crate::model::user::{Account, AccountTerms, DomainRecord, Ownership, User, UserRecord};

/// Starts to open the configured store and returns at once: for the daemon, which must answer
/// before the store is there. Questions wait for it, at most some seconds; trouble with it is
/// told to whoever asks, and passes when its cause does. Makes the store if there is none.
pub fn start(url: &StoreUrl) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::start(url.path())?))
}

/// Whether the configured store is of an earlier version, which [`start`] and [`open`] bring up to date.
/// Changes nothing.
pub fn age(url: &StoreUrl) -> Result<Age, StoreError> {
    sqlite::age(url.path())
}

/// Opens the configured store and waits for that: for commands.
pub fn open(url: &StoreUrl) -> Result<Arc<dyn Store>, StoreError> {
    Ok(Arc::new(SqliteStore::open(url.path())?))
}

/// Reads all pages of the configured store, for as long as `patience` lets; what it found. Changes
/// nothing, and makes no store where there is none.
pub fn inspect(url: &StoreUrl, patience: Duration) -> Result<Soundness, StoreError> {
    sqlite::inspect(url.path(), patience)
}

/// Copies all of the configured store, as it is at one moment, into a file that is there and empty, and
/// checks the copy. Whoever uses the store meanwhile is not kept waiting, and one of an older outgate
/// stays as it is. Making the file, its mode and its durability are the caller's. Blocks.
pub fn back_up(
    url: &StoreUrl,
    file: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Copied, BackupError> {
    sqlite::back_up(url.path(), file, progress)
}

/// What the store could not do. The caller answers 451, never allow.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// Locked by somebody else, or a time-out. Worth another try.
    #[error("the store is locked: {0}")]
    Busy(String),
    /// No space, or not writable: reading may still work.
    #[error("the store cannot be written: {0}")]
    ReadOnly(String),
    /// Missing, replaced, damaged, or an I/O error of reading.
    #[error("the store cannot be used: {0}")]
    Unusable(String),
    /// Of a newer outgate, or another program's: not for this program as it is configured.
    #[error("the store cannot be used: {0}")]
    Mismatch(String),
}

/// A pending answer of a store.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A stored password hash (PHC string) and the version of the credential it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// PHC string.
    pub hash: String,
    /// [`User::credential_version`] at the time of reading.
    pub version: u64,
}

/// A user was used: it logged in, or a message of its was accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Use {
    /// Who.
    pub user: UserId,
    /// When.
    pub at: Timestamp,
    /// The neighbourhood it logged in from; `None` where it did not log in with us.
    pub network: Option<IpNet>,
}

/// What a counter holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Held {
    /// When its window began: the one that was asked about, or a later one that it is in already (a
    /// clock that went back).
    pub starts: Timestamp,
    /// How much was used in it.
    pub used: u64,
}

/// What one message adds to one counter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// Where it is counted.
    pub counter: Counter,
    /// When the window began in which the message comes. One that is later than the counter's own
    /// opens a new window, whose use is 0. An earlier one (a clock that went back) counts into the
    /// counter's own.
    pub starts: Timestamp,
    /// How much; beyond `u32::MAX` it is taken for that.
    pub amount: u64,
    /// The most that the counter may hold after it; 0: counted, not limited.
    pub limit: u64,
}

/// What an accepted message costs: all of it, or nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Charge {
    /// The message.
    pub key: MessageKey,
    /// When it was accepted. For whoever reads the store; nothing is computed from it.
    pub at: Timestamp,
    /// Everything that it counts into.
    pub dues: Vec<Due>,
}

/// What came of a charge.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Charged {
    /// It is durable.
    Done,
    /// This message was charged before, and that is durable; nothing was added.
    Already,
    /// It does not fit: nothing was added.
    Over {
        /// The place of the first due that does not fit.
        due: usize,
        /// What its counter holds.
        used: u64,
    },
}

/// Who set counters to 0.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reset {
    /// When.
    pub at: Timestamp,
    /// In the operator's words.
    pub by: String,
}

/// How writing goes, as far as this process has tried.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Writing {
    /// When something was last committed.
    pub committed_at: Option<Timestamp>,
    /// What the last attempt met, if it failed.
    pub trouble: Option<Trouble>,
}

/// Something that does not work, and since when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trouble {
    /// When it began.
    pub since: Timestamp,
    /// What it is now.
    pub error: StoreError,
}

impl Trouble {
    /// What an outcome leaves of the trouble before it: a new one begins now, an old one goes on.
    pub fn after(
        before: Option<&Trouble>,
        error: Option<StoreError>,
        now: Timestamp,
    ) -> Option<Trouble> {
        let since = before.map_or(now, |trouble| trouble.since);
        error.map(|error| Trouble { since, error })
    }
}

/// Something that operators changed: what was remembered of it is to be forgotten.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Change {
    /// The user behind this login, or that there is none.
    Login(Login),
    /// Who owns this domain.
    Domain(Domain),
    /// Plan or quotas of this account.
    Account(Name),
    /// The uses of this subject were set to 0. Of interest to the store alone, whose answers know it.
    Quota(Subject),
    /// Somebody set them to 0 by hand. To be told to whoever reads the log.
    Reset {
        /// Whose.
        subject: Subject,
        /// Who did it.
        by: String,
    },
    /// Too much to list, or unknown.
    Everything,
}

/// The changes after a certain one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Changes {
    /// The number of the newest change.
    pub last: u64,
    /// What changed, oldest first, without repetition.
    pub changes: Vec<Change>,
}

/// What the daemon asks and leaves behind.
pub trait Store: Send + Sync + 'static {
    /// The user whose name or extra login this is.
    fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>>;

    /// On which account exactly this name is verified.
    fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>>;

    /// Plan and quotas of an account.
    fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>>;

    /// The password hash of a user.
    fn credential(&self, user: UserId) -> Answer<'_, Option<Credential>>;

    /// Whether this user has logged in from this network since then.
    fn logged_in_from(&self, user: UserId, network: IpNet, since: Timestamp) -> Answer<'_, bool>;

    /// Keeps last uses and networks. Users that are gone are passed over.
    fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()>;

    /// Replaces a hash by one of the same password with the present parameters, unless the
    /// credential has changed meanwhile. Ends no remembered login.
    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()>;

    /// Charges a message, unless it was charged before (which is known for ten minutes at least, if
    /// less than a million dues came after it) or does not fit. Exact, however many are asked at once. Answers
    /// when the charge is durable; after an error nothing was charged, as far as that can be known.
    /// A charge without dues is done, and not remembered.
    fn charge(&self, charge: Charge) -> Answer<'_, Charged>;

    /// What these counters hold in the windows that began then: 0 where a counter is in an earlier
    /// window, and what it holds in its own where that is later. Ready at once in the usual case.
    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>>;

    /// Whether this message has been charged, as far as [`Store::charge`] knows.
    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool>;

    /// The changes made after number `after`, by whatever process. A number that was never given
    /// (`u64::MAX`) asks for the newest number: the answer is [`Change::Everything`].
    fn changes(&self, after: u64) -> Answer<'_, Changes>;

    /// The operators' side. Runs `work` in one transaction: its writes happen together with
    /// the record of what changed if it returns `Ok`, and not at all otherwise. Blocks.
    fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError>;

    /// Like [`Store::transact`] for reading only: one consistent view. Blocks.
    fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError>;

    /// What it has done since it was opened; `None`: it does not count.
    fn figures(&self) -> Option<figures::Reading> {
        None
    }

    /// How writing goes.
    fn writing(&self) -> Writing {
        Writing::default()
    }

    /// Writes something that changes nothing: for whoever wants to know whether that works again.
    fn try_writing(&self) -> Answer<'_, ()> {
        Box::pin(std::future::ready(Ok(())))
    }

    /// Finishes what was handed over and lets go of files. What is asked later is an error.
    /// Blocks; a second time does nothing.
    fn close(&self) {}
}

/// What is done inside a transaction.
pub type Work<'a> = dyn FnMut(&mut dyn Transaction) -> Result<(), ManageError> + 'a;

/// What is done with each user of a listing. It may look up more in the same transaction, and must
/// not write.
pub type Visit<'a> = dyn FnMut(&mut dyn Transaction, UserRecord) -> Result<(), ManageError> + 'a;

/// Why an operator's wish was not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ManageError {
    /// It breaks a rule; the hint names what to do instead.
    #[error("{error}")]
    Refused {
        /// What was refused and why.
        error: String,
        /// The next command, or empty.
        hint: String,
    },
    /// The store could not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ManageError {
    /// A refusal with a hint.
    pub fn refused(error: impl Into<String>, hint: impl Into<String>) -> ManageError {
        ManageError::Refused {
            error: error.into(),
            hint: hint.into(),
        }
    }
}

/// Which users a listing shows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct UserFilter {
    /// Only of this account.
    pub account: Option<Name>,
    /// Only those not used since then (or never, if they are older than that).
    pub unused_since: Option<Timestamp>,
}

/// Whole records, inside one transaction. `put` inserts or replaces what has the same key.
///
/// The caller has checked all rules; a store only keeps keys unique and owners present: a name or
/// login that another user has, an account that does not exist, or removing one that still owns
/// something is [`StoreError::Unusable`], and nothing of the call is done. Times are kept to the
/// microsecond. Removing what is not there does nothing.
pub trait Transaction {
    /// All accounts, by name.
    fn accounts(&mut self) -> Result<Vec<Account>, StoreError>;
    /// One account.
    fn account(&mut self, name: &Name) -> Result<Option<Account>, StoreError>;
    /// How many users and domains it owns.
    fn account_size(&mut self, name: &Name) -> Result<(u64, u64), StoreError>;
    /// Keeps an account.
    fn put_account(&mut self, account: &Account) -> Result<(), StoreError>;
    /// Forgets an account that owns nothing, and its uses.
    fn remove_account(&mut self, name: &Name) -> Result<(), StoreError>;

    /// Domains, by name: of one account or of all.
    fn domains(&mut self, account: Option<&Name>) -> Result<Vec<DomainRecord>, StoreError>;
    /// This domain on every account that has it, pending or verified.
    fn claims(&mut self, domain: &Domain) -> Result<Vec<DomainRecord>, StoreError>;
    /// Keeps a domain (key: account and domain).
    fn put_domain(&mut self, domain: &DomainRecord) -> Result<(), StoreError>;
    /// Forgets a domain of an account.
    fn remove_domain(&mut self, account: &Name, domain: &Domain) -> Result<(), StoreError>;

    /// The user of this name (not: of this extra login).
    fn user_named(&mut self, name: &Name) -> Result<Option<UserRecord>, StoreError>;
    /// The user of this id.
    fn user_with_id(&mut self, id: UserId) -> Result<Option<UserRecord>, StoreError>;
    /// Whose name or extra login this is.
    fn login_owner(&mut self, login: &Login) -> Result<Option<UserId>, StoreError>;
    /// Shows users by name, one after the other, without holding them all.
    fn each_user(&mut self, filter: &UserFilter, visit: &mut Visit<'_>) -> Result<(), ManageError>;
    /// Users of an account that have a grant on this domain or on a name below it.
    fn users_granted_under(
        &mut self,
        account: &Name,
        domain: &Domain,
    ) -> Result<Vec<UserId>, StoreError>;
    /// Keeps a user (key: id), with a new password hash, or with the one that it has.
    fn put_user(&mut self, user: &UserRecord, hash: Option<&str>) -> Result<(), StoreError>;
    /// The password hash of a user.
    fn password_hash(&mut self, id: UserId) -> Result<Option<String>, StoreError>;
    /// Forgets a user, its logins, its hash and its uses.
    fn remove_user(&mut self, id: UserId) -> Result<(), StoreError>;

    /// What the counters of a subject hold, each in its own window; those that were never charged
    /// may be missing. Asked about many subjects in one transaction, it reads what takes long once.
    fn uses(&mut self, subject: &Subject) -> Result<Vec<Usage>, StoreError>;
    /// What a counter holds in the window that began then, as [`Store::used`] has it.
    fn used(&mut self, counter: &Counter, starts: Timestamp) -> Result<u64, StoreError>;
    /// Sets all counters of a subject to 0, whichever windows they are in, and keeps who did that.
    /// How many held something.
    fn reset(&mut self, subject: &Subject, by: &str, at: Timestamp) -> Result<u64, StoreError>;
    /// The last reset of a subject that is still there.
    fn last_reset(&mut self, subject: &Subject) -> Result<Option<Reset>, StoreError>;
}
