//! Who somebody is: passwords, remembered logins, the brake on guessing.
//!
//! [`Authenticator::log_in`] takes what a client claims and says what it hears. The order is: is
//! the guess free to be looked at; is the password right (remembered, or by a hash on a thread of
//! its own); and only then the decision core, with the user as it is at that moment. Where a fact is
//! missing, nobody is let in and nobody is told that the password is wrong.

mod answer;
mod checks;
mod comparison;
mod familiar;
mod fingerprint;
pub mod hash;
mod pool;
mod remembered;
mod throttle;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use uuid::Uuid;

use self::answer::Trouble;
pub use self::answer::{Answer, Asker};
use self::checks::{Checked, Checks};
use self::comparison::Comparison;
use self::familiar::Familiar;
use self::fingerprint::{Fingerprint, Fingerprinter, Whose};
use self::remembered::Remembered;
use self::throttle::{Guess, Standing, Throttle};
use crate::config::{self, HashCost};
use crate::decision::Decision;
use crate::decision::login::{Attempt, Password, judge_login};
use crate::decision::reason::Reason;
use crate::engine::Engine;
use crate::metrics::Hits;
use crate::model::name::{Login, UserId};
use crate::model::password::Secret;
use crate::model::user::SharedUser;
use crate::store::Credential;

/// The whole answer takes no longer, queueing included. Postfix gives up after 10 s (its
/// `AUTH_TIMEOUT`, not configurable), and what we promise is 8.
const PATIENCE: Duration = Duration::from_secs(7);
/// How often a check begins again because the user, or the throttle, changed under it.
const ROUNDS: usize = 5;

/// What a client claims.
pub struct Claim<'a> {
    /// Who it says it is, from where and when.
    pub asker: Asker<'a>,
    /// What it says its password is.
    pub password: Arc<Secret>,
}

/// Checks passwords for the auth front end.
pub struct Authenticator {
    engine: Arc<Engine>,
    printer: Fingerprinter,
    remembered: Arc<Remembered>,
    throttle: Arc<Throttle>,
    familiar: Familiar,
    checks: Checks,
    /// Passwords that were hashed.
    hashed: Arc<AtomicU64>,
    cores: usize,
}

/// The configuration that one login is held to.
struct Terms {
    limits: config::Throttle,
    cost: HashCost,
    threads: usize,
    remember_for: Duration,
    hide_ip_reason: bool,
    audit: bool,
}

/// A claim, and whose name it uses.
struct Candidate {
    user: Option<SharedUser>,
    print: Fingerprint,
    guess: Guess,
}

impl Authenticator {
    /// Starts with nothing remembered and nothing counted.
    pub fn new(engine: Arc<Engine>) -> Authenticator {
        Authenticator {
            engine,
            printer: Fingerprinter::new(),
            remembered: Arc::default(),
            throttle: Arc::default(),
            familiar: Familiar::default(),
            checks: Checks::default(),
            hashed: Arc::default(),
            cores: std::thread::available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }

    /// The engine that it asks and that tells.
    pub fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// How many passwords have been hashed to compare them, since the start.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// How many passwords wait to be hashed, and how many are being hashed.
    pub fn hashing(&self) -> (usize, usize) {
        self.checks.load()
    }

    /// How often a password was remembered to be right, or was not.
    pub fn hits(&self) -> &Hits {
        &self.remembered.hits
    }

    /// How many right passwords are remembered.
    pub fn remembered(&self) -> usize {
        self.remembered.len()
    }

    /// Forgets what was counted against a user: `outgate user unlock`.
    pub fn unlock(&self, user: UserId) {
        let window = self.terms().limits.window.0;
        self.throttle
            .unlock(user, window, self.engine.clock.instant());
    }

    /// May this client come in? Always within 8 s.
    pub async fn log_in(&self, claim: &Claim<'_>) -> Answer {
        let terms = self.terms();
        let judged = tokio::time::timeout(PATIENCE, self.judge(claim, &terms)).await;
        match judged.unwrap_or(Err(Trouble::Late)) {
            Ok(decision) => Answer::tell(&self.engine, &claim.asker, &decision),
            Err(trouble) => self.refuse(&claim.asker, trouble.decision(&self.engine)),
        }
    }

    /// Says a decision that needed no look at any password.
    pub fn refuse(&self, asker: &Asker<'_>, decision: Decision) -> Answer {
        let audit = self.engine.settings().rules.audit;
        Answer::tell(&self.engine, asker, &Decision { audit, ..decision })
    }

    fn terms(&self) -> Terms {
        let settings = self.engine.settings();
        let auth = &settings.config.auth;
        Terms {
            limits: auth.throttle.clone(),
            cost: auth.hash,
            threads: match usize::try_from(auth.max_concurrent_hashes) {
                Ok(0) | Err(_) => self.cores,
                Ok(threads) => threads,
            },
            remember_for: auth.cache_ttl.0,
            hide_ip_reason: auth.hide_ip_reason,
            audit: settings.rules.audit,
        }
    }

    async fn judge(&self, claim: &Claim<'_>, terms: &Terms) -> Result<Decision, Trouble> {
        for _ in 0..ROUNDS {
            let user = self.engine.directory.user(claim.asker.login).await?;
            let judge = |password, user: Option<SharedUser>| {
                judge_login(&Attempt {
                    user,
                    password,
                    client: Some(claim.asker.client),
                    audit: terms.audit,
                    now: self.engine.clock.now(),
                })
            };
            let candidate = self.candidate(claim, user);
            let Some(standing) = self.free(&candidate, claim, terms).await? else {
                return Ok(judge(Password::Throttled, candidate.user));
            };
            let now = self.engine.clock.instant();
            if self
                .remembered
                .knows(candidate.print, terms.remember_for, now)
            {
                let decision = judge(Password::Right, candidate.user.clone());
                if may_be_quick(&decision, terms) {
                    return Ok(decision);
                }
            }
            return match self.check(claim, terms, &candidate, standing).await? {
                Verified::Right(user) => Ok(judge(Password::Right, Some(user))),
                Verified::Wrong => Ok(judge(Password::Wrong, candidate.user)),
                Verified::Again => continue,
            };
        }
        Err(Trouble::Restless)
    }

    fn candidate(&self, claim: &Claim<'_>, user: Option<SharedUser>) -> Candidate {
        let folded;
        let whose = match &user {
            Some(user) => Whose::User(user.id, user.credential_version),
            None => {
                folded = Login::parse(claim.asker.login).ok();
                Whose::Nobody(folded.as_ref().map_or(claim.asker.login, Login::as_str))
            }
        };
        let print = self.printer.take(whose, claim.password.expose());
        let network = claim.asker.client.neighbourhood();
        Candidate {
            guess: self.throttle.guess(whose, network, print),
            user,
            print,
        }
    }

    /// Whether the throttle leaves the guess alone, and how it stands then. `None`: it does not.
    async fn free(
        &self,
        candidate: &Candidate,
        claim: &Claim<'_>,
        terms: &Terms,
    ) -> Result<Option<Standing>, Trouble> {
        let now = self.engine.clock.instant();
        let standing = self.throttle.standing(candidate.guess, &terms.limits, now);
        let may = match standing {
            Standing::Free => true,
            Standing::NetworkOver => false,
            Standing::UserOver => match (&candidate.user, claim.asker.client.neighbourhood()) {
                (Some(user), Some(network)) => {
                    self.familiar.is(&self.engine, user.id, network).await?
                }
                (None, _) | (_, None) => false,
            },
        };
        Ok(may.then_some(standing))
    }

    /// Compares with the stored hash, or with one that nobody's password has: unknown names, users
    /// without a password and suspended ones cost the same.
    async fn check(
        &self,
        claim: &Claim<'_>,
        terms: &Terms,
        candidate: &Candidate,
        standing: Standing,
    ) -> Result<Verified, Trouble> {
        let store = self.engine.directory.store();
        let id = candidate.user.as_ref().map_or(NOBODY, |user| user.id);
        let credential = store.credential(id).await?;
        let is_real = candidate.user.is_some() && credential.is_some();
        // Whoever shares this check had the same credential, not only the same password.
        let print = match &credential {
            Some(credential) if is_real => {
                let whose = Whose::User(id, credential.version);
                self.printer.take(whose, claim.password.expose())
            }
            Some(_) | None => candidate.print,
        };
        let comparison = Comparison {
            phc: match &credential {
                Some(credential) => credential.hash.clone(),
                None => hash::decoy(terms.cost),
            },
            is_real,
            password: claim.password.clone(),
            print,
            guess: candidate.guess,
            limits: terms.limits.clone(),
            standing,
            clock: self.engine.clock.clone(),
            throttle: self.throttle.clone(),
            remembered: self.remembered.clone(),
            hashed: self.hashed.clone(),
        };
        let (checked, is_first) = self
            .checks
            .run(print, terms.threads, move || comparison.make())
            .await
            .map_err(|_| Trouble::Overloaded)?;
        match (checked, credential) {
            (Checked::Right, Some(credential)) => {
                let user = self.present(claim, id, credential.version).await?;
                if let Some(user) = &user
                    && is_first
                {
                    self.renew(claim, terms, user.id, credential);
                }
                Ok(user.map_or(Verified::Again, Verified::Right))
            }
            (Checked::Right, None) => Err(Trouble::Hash),
            (Checked::Wrong, _) => {
                // Another's check may have been shared: it is counted from here too.
                let now = self.engine.clock.instant();
                self.throttle.count(candidate.guess, now);
                Ok(Verified::Wrong)
            }
            (Checked::Overtaken, _) => Ok(Verified::Again),
            (Checked::Broken, _) => {
                tracing::error!(user_id = %id, "the stored password hash cannot be used: give the user a new password");
                Err(Trouble::Hash)
            }
        }
    }

    /// The user as it is after the check, which took its time. `None`: it is no longer the one
    /// whose password was compared.
    async fn present(
        &self,
        claim: &Claim<'_>,
        id: UserId,
        version: u64,
    ) -> Result<Option<SharedUser>, Trouble> {
        let same = |user: &SharedUser| user.id == id && user.credential_version == version;
        let remembered = self.engine.directory.user(claim.asker.login).await?;
        if let Some(user) = remembered.filter(same) {
            return Ok(Some(user));
        }
        // The credential may be newer than what is remembered of its user.
        let Ok(login) = Login::parse(claim.asker.login) else {
            return Ok(None);
        };
        let stored = self.engine.directory.store().user(&login).await?;
        Ok(stored.map(Arc::new).filter(same))
    }

    /// Makes a new hash if the parameters are other ones now, beside the answer.
    fn renew(&self, claim: &Claim<'_>, terms: &Terms, user: UserId, old: Credential) {
        if !hash::needs_rehash(&old.hash, terms.cost) {
            return;
        }
        let (password, cost) = (claim.password.clone(), terms.cost);
        let store = self.engine.directory.store().clone();
        let runtime = tokio::runtime::Handle::current();
        self.checks.aside(terms.threads, move || {
            let new = match hash::hash_bytes(password.expose(), cost) {
                Ok(new) => new,
                Err(error) => return tracing::warn!(%error, "a password hash was not renewed"),
            };
            runtime.spawn(async move {
                if let Err(error) = store.rehash(user, old, new).await {
                    tracing::warn!(%error, user_id = %user, "a password hash was not renewed");
                }
            });
        });
    }
}

/// Whether a remembered password may spare the hash. A quick refusal tells by its quickness that
/// the password is right: it must not, where the client is not told so anyway.
fn may_be_quick(decision: &Decision, terms: &Terms) -> bool {
    decision
        .carried_out()
        .is_none_or(|finding| finding.reason == Reason::IpNotAuthorized && !terms.hide_ip_reason)
}

/// Whose credential is looked up where nobody has the name: the same question to the store.
const NOBODY: UserId = UserId(Uuid::nil());

/// What came of a check.
enum Verified {
    /// It is the password of this user.
    Right(SharedUser),
    /// It is not.
    Wrong,
    /// Something changed meanwhile.
    Again,
}
