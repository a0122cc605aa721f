//! Puts the records of a file into the store, by the rules that hold for every other change.
//!
//! Two rules are milder than at the command line, because what a store holds must be importable:
//! a user of a `free` account may have mode `any-domain`, and a grant may lie on a domain that another
//! account has verified meanwhile. Neither lets anybody send.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use uuid::Uuid;

use super::line::{self, Record};
use super::{Count, Options, Summary};
use crate::manage::domain::{can_be_wide, is_token, new_token, owned_elsewhere, parse};
use crate::manage::edit::{check_logins, check_name};
use crate::manage::fault::Fault;
use crate::manage::ownership::{footing, not_owned};
use crate::manage::user::{blank, ends_logins};
use crate::manage::view::DomainStatus;
use crate::manage::{account, lists, to_the_second};
use crate::model::domain::Domain;
use crate::model::name::{Name, UserId};
use crate::model::user::{
    Account, DEFAULT_ACCOUNT, DomainRecord, Enforce, Status, UserRecord, VerifiedBy,
};
use crate::standing::challenge::{self, PREFIX};
use crate::store::Transaction;

/// How many answers of the store are remembered during an import.
const REMEMBERED: usize = 100_000;

/// An import under way.
pub(super) struct Merge<'a> {
    tx: &'a mut dyn Transaction,
    options: &'a Options,
    /// Accounts that are there.
    accounts: HashSet<Name>,
    /// Domains that the account may grant.
    grantable: HashSet<(Name, Domain)>,
    /// Domains that no longer cover what is below them, and the lines that say so.
    narrowed: Vec<(u64, Name, Domain)>,
    summary: Summary,
}

impl<'a> Merge<'a> {
    pub(super) fn new(tx: &'a mut dyn Transaction, options: &'a Options) -> Merge<'a> {
        Merge {
            tx,
            options,
            accounts: HashSet::new(),
            grantable: HashSet::new(),
            narrowed: Vec::new(),
            summary: Summary::default(),
        }
    }

    /// Takes one record in.
    pub(super) fn record(&mut self, line: u64, record: Record) -> Result<(), Fault> {
        match record {
            Record::Account(account) => self.account(account),
            Record::Domain(domain) => self.domain(line, domain),
            Record::User(user) => self.user(*user),
        }
    }

    /// Checks what only the whole file can show: no grant has lost the ground under it.
    pub(super) fn finish(self) -> Result<Summary, (u64, Fault)> {
        for (line, account, domain) in self.narrowed {
            lost_ground(self.tx, &account, &domain).map_err(|fault| (line, fault))?;
        }
        Ok(self.summary)
    }

    fn account(&mut self, line: line::Account) -> Result<(), Fault> {
        let name: Name = required("name", line.name.as_deref())?;
        let before = self.tx.account(&name)?;
        let after = Account {
            name,
            plan: line.plan.unwrap_or_default(),
            quotas: lists::checked_quotas(line.quotas.unwrap_or_default())?,
            created_at: to_the_second(
                line.created_at
                    .or(before.as_ref().map(|b| b.created_at))
                    .unwrap_or(self.options.now),
            ),
        };
        let changed = before.as_ref() != Some(&after);
        tally(&mut self.summary.accounts, before.is_some(), changed);
        if changed {
            self.tx.put_account(&after)?;
        }
        Ok(())
    }

    fn domain(&mut self, number: u64, line: line::Domain) -> Result<(), Fault> {
        let text = line.domain.as_deref();
        let domain = parse(text.ok_or_else(|| missing("domain"))?)?;
        let account = self.existing_account(line.account.as_deref())?;
        let claims = self.tx.claims(&domain)?;
        let before = claims.iter().find(|claim| claim.account == account);
        let verified_by = verified_by(line.status, line.verified_by)?;
        let owner = claims
            .iter()
            .find(|claim| claim.account != account && claim.verified_by.is_some());
        if let (Some(_), Some(owner)) = (verified_by, owner) {
            return Err(owned_elsewhere(&domain, &owner.account));
        }
        let with_subdomains = line.with_subdomains.unwrap_or_default();
        if with_subdomains && before.is_none_or(|b| !b.with_subdomains) {
            can_be_wide(&domain)?;
        }
        let token = match (line.challenge, before) {
            (Some(challenge), _) => token(challenge, &domain)?,
            (None, Some(before)) => before.token.clone(),
            (None, None) => new_token()?,
        };
        let after = DomainRecord {
            verified_by,
            with_subdomains,
            token,
            added_at: to_the_second(
                line.added_at
                    .or(before.map(|b| b.added_at))
                    .unwrap_or(self.options.now),
            ),
            domain,
            account,
        };
        let changed = before != Some(&after);
        tally(&mut self.summary.domains, before.is_some(), changed);
        if changed {
            self.tx.put_domain(&after)?;
        }
        if before.is_some_and(|b| b.with_subdomains && !after.with_subdomains) {
            self.grantable.clear();
            self.narrowed.push((number, after.account, after.domain));
        }
        Ok(())
    }

    fn user(&mut self, line: line::User) -> Result<(), Fault> {
        let name: Name = required("name", line.name.as_deref())?;
        let account = self.existing_account(line.account.as_deref())?;
        let (id, before) = self.whose(&name, line.id.as_deref())?;
        let hash = self.new_hash(line.password_hash.as_deref(), before.as_ref())?;
        let dated = line.updated_at.is_some();
        let mut after = blank(id, name, account, self.options.now);
        fill(&mut after, line, before.as_ref())?;
        self.check_user(before.as_ref(), &after)?;
        let changed = before.as_ref() != Some(&after) || hash.is_some();
        if let (Some(before), true) = (&before, changed) {
            let ends = hash.is_some() || ends_logins(&before.user, &after.user);
            after.user.credential_version += u64::from(ends);
            if !dated {
                after.updated_at = to_the_second(self.options.now);
            }
        }
        tally(&mut self.summary.users, before.is_some(), changed);
        if changed {
            self.tx.put_user(&after, hash.as_deref())?;
        }
        Ok(())
    }

    /// Which user a record is about: the one of its id; without an id, the one of its name.
    fn whose(
        &mut self,
        name: &Name,
        id: Option<&str>,
    ) -> Result<(UserId, Option<UserRecord>), Fault> {
        let known = match id {
            Some(text) => Some(parse_id(text)?),
            None => self.tx.login_owner(&name.to_login())?,
        };
        let Some(known) = known else {
            return Ok((UserId::new(), None));
        };
        match self.tx.user_with_id(known)? {
            // Its extra login is not its name: the check of names will say so.
            Some(record) if id.is_none() && record.user.name != *name => Ok((UserId::new(), None)),
            before => Ok((known, before)),
        }
    }

    fn check_user(&mut self, before: Option<&UserRecord>, after: &UserRecord) -> Result<(), Fault> {
        if before.is_none_or(|b| b.user.name != after.user.name) {
            check_name(self.tx, after)?;
        }
        check_logins(self.tx, before, after)?;
        for grant in &after.user.grants {
            self.check_grantable(&after.user.account, grant.domain())?;
        }
        Ok(())
    }

    /// The hash to store, if there is a new one. A record without a hash leaves the password as it is.
    fn new_hash(
        &mut self,
        hash: Option<&str>,
        before: Option<&UserRecord>,
    ) -> Result<Option<String>, Fault> {
        let Some(hash) = hash else {
            return Ok(None);
        };
        (self.options.check_hash)(hash).map_err(|error| Fault::new("password_hash", error))?;
        if let Some(before) = before
            && self.tx.password_hash(before.user.id)?.as_deref() == Some(hash)
        {
            return Ok(None);
        }
        Ok(Some(hash.to_owned()))
    }

    /// The account of a record, which has to be there before it.
    fn existing_account(&mut self, text: Option<&str>) -> Result<Name, Fault> {
        let name: Name = lists::item("account", text.unwrap_or(DEFAULT_ACCOUNT))?;
        if !self.accounts.contains(&name) {
            account::find(self.tx, name.as_str())?;
            remember(&mut self.accounts, name.clone());
        }
        Ok(name)
    }

    fn check_grantable(&mut self, account: &Name, domain: &Domain) -> Result<(), Fault> {
        let key = (account.clone(), domain.clone());
        if self.grantable.contains(&key) {
            return Ok(());
        }
        let footing = footing(self.tx, account, domain)?;
        if footing.own.is_none() {
            return Err(not_owned(account, domain, footing.narrow));
        }
        remember(&mut self.grantable, key);
        Ok(())
    }
}

/// Puts the fields of a line into a record: what is left out has its default, but for the times
/// and the version of the credential, which a replaced user keeps.
fn fill(
    record: &mut UserRecord,
    line: line::User,
    before: Option<&UserRecord>,
) -> Result<(), Fault> {
    let user = &mut record.user;
    user.status = line.status.unwrap_or_default();
    user.mode = line.mode.unwrap_or_default();
    user.grants = lists::grants(&line.allow.unwrap_or_default())?;
    user.networks = lists::networks(&line.ip.unwrap_or_default())?;
    user.check_from = line.check_from.unwrap_or_default();
    user.enforce = line.enforce.unwrap_or_default();
    user.enforce_until = line.enforce_until.map(to_the_second);
    if let (Enforce::On, Some(_)) = (user.enforce, user.enforce_until) {
        return Err(Fault::new("enforce_until", "the user is not in audit mode"));
    }
    user.max_recipients = lists::max_recipients(line.max_recipients)?;
    record.logins = lists::logins(&line.logins.unwrap_or_default(), &user.name)?;
    user.quotas = lists::checked_quotas(line.quotas.unwrap_or_default())?;
    record.note = lists::words("note", &line.note.unwrap_or_default())?;
    let reason = line.suspended_reason.unwrap_or_default();
    if user.status == Status::Active && !reason.is_empty() {
        return Err(Fault::new("suspended_reason", "the user is not suspended"));
    }
    record.suspended_reason = lists::words("suspended_reason", &reason)?;
    if let Some(before) = before {
        user.credential_version = before.user.credential_version;
        record.created_at = before.created_at;
        record.updated_at = before.updated_at;
        record.last_used_at = before.last_used_at;
    }
    if let Some(created_at) = line.created_at {
        record.created_at = to_the_second(created_at);
    }
    if let Some(updated_at) = line.updated_at {
        record.updated_at = to_the_second(updated_at);
    }
    if let Some(last_used_at) = line.last_used_at {
        record.last_used_at = Some(to_the_second(last_used_at));
    }
    Ok(())
}

fn parse_id(text: &str) -> Result<UserId, Fault> {
    match Uuid::try_parse(text) {
        Ok(id) if !id.is_nil() => Ok(UserId(id)),
        Ok(_) | Err(_) => Err(Fault::new("id", format!("{text:?} is not a UUID"))),
    }
}

/// Who vouches, from the two fields that say it. A file is the operator's word.
fn verified_by(
    status: Option<DomainStatus>,
    by: Option<VerifiedBy>,
) -> Result<Option<VerifiedBy>, Fault> {
    match (status, by) {
        (Some(DomainStatus::Verified), by) => Ok(Some(by.unwrap_or(VerifiedBy::Operator))),
        (Some(DomainStatus::Pending), Some(_)) => Err(Fault::new(
            "verified_by",
            "a pending domain is verified by nobody",
        )),
        (Some(DomainStatus::Pending), None) => Ok(None),
        (None, by) => Ok(by),
    }
}

/// The token in a challenge, whose other fields have to be what they are for this domain.
fn token(challenge: line::Challenge, domain: &Domain) -> Result<String, Fault> {
    let wrong = |what: String| Err(Fault::new("challenge", what));
    let name = challenge::name(domain);
    if challenge.name.is_some_and(|given| given != name) {
        return wrong(format!("the name of the record is {name}"));
    }
    if challenge.kind.is_some_and(|given| given != "TXT") {
        return wrong("the type of the record is TXT".to_owned());
    }
    match challenge.value.strip_prefix(PREFIX) {
        Some(token) if is_token(token) => Ok(token.to_owned()),
        Some(_) | None => wrong(format!(
            "the value of the record is {PREFIX} and 32 hexadecimal digits"
        )),
    }
}

/// A domain no longer covers what lies below it: users must not be left with grants there.
fn lost_ground(tx: &mut dyn Transaction, account: &Name, domain: &Domain) -> Result<(), Fault> {
    for id in tx.users_granted_under(account, domain)? {
        let Some(record) = tx.user_with_id(id)? else {
            continue;
        };
        for grant in &record.user.grants {
            let below = grant.domain().is_below(domain);
            if below && footing(tx, account, grant.domain())?.own.is_none() {
                let user = &record.user.name;
                return Err(Fault::with_hint(
                    "with_subdomains",
                    format!("user {user} has a grant on {grant}, which needs it"),
                    format!("outgate user set {user} --drop-allow {grant}"),
                ));
            }
        }
    }
    Ok(())
}

fn required<T: FromStr<Err: Display>>(field: &'static str, text: Option<&str>) -> Result<T, Fault> {
    lists::item(field, text.ok_or_else(|| missing(field))?)
}

fn missing(field: &'static str) -> Fault {
    Fault::new(field, "missing")
}

/// Remembers an answer; starts anew rather than growing without bound.
fn remember<T: Eq + Hash>(answers: &mut HashSet<T>, answer: T) {
    if answers.len() >= REMEMBERED {
        answers.clear();
    }
    answers.insert(answer);
}

fn tally(count: &mut Count, existed: bool, changed: bool) {
    match (existed, changed) {
        (false, _) => count.added += 1,
        (true, true) => count.replaced += 1,
        (true, false) => count.unchanged += 1,
    }
}
