//! Sender domains of accounts.

use jiff::Timestamp;

use super::fault::Fault;
use super::ownership::{account_option, footing};
use super::warning::Warning;
use super::{Done, ManageError, account, change, look, to_the_second};
use crate::model::domain::Domain;
use crate::model::name::Name;
use crate::model::user::{DomainRecord, VerifiedBy};
use crate::store::{Store, StoreError, Transaction};

/// How a domain is added.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Terms {
    /// The operator vouches for it: no challenge needed.
    pub trusted: bool,
    /// It covers the names below it too.
    pub with_subdomains: bool,
}

/// What a removal did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Removed {
    /// What was removed.
    pub record: DomainRecord,
    /// How many grants went with it.
    pub grants_deleted: u64,
}

/// Adds a domain to an account (default: `default`), pending or vouched for.
///
/// For one that the account has already, the terms can only add: `trusted` verifies what was
/// pending, `with_subdomains` widens it. Adding what changes nothing is refused. A domain that
/// another account has verified can be added as pending (it may change hands later), not vouched for.
pub fn add(
    store: &dyn Store,
    domain: &str,
    account: Option<&str>,
    terms: Terms,
    now: Timestamp,
) -> Result<Done<DomainRecord>, ManageError> {
    let domain = parse(domain)?;
    if terms.with_subdomains {
        can_be_wide(&domain)?;
    }
    let token = new_token()?;
    change(store, |tx| {
        let account = account::named_or_default(tx, account)?.name;
        let claims = tx.claims(&domain)?;
        let verified_elsewhere = claims
            .iter()
            .find(|claim| claim.account != account && claim.verified_by.is_some())
            .map(|claim| claim.account.clone());
        let before = claims.iter().find(|claim| claim.account == account);
        let mut record = before.cloned().unwrap_or_else(|| DomainRecord {
            domain: domain.clone(),
            account: account.clone(),
            verified_by: None,
            with_subdomains: false,
            token: token.clone(),
            added_at: to_the_second(now),
        });
        record.with_subdomains |= terms.with_subdomains;
        if terms.trusted && record.verified_by.is_none() {
            if let Some(owner) = &verified_elsewhere {
                return Err(owned_elsewhere(&domain, owner).into());
            }
            record.verified_by = Some(VerifiedBy::Operator);
        }
        if before == Some(&record) {
            return Err(there_already(&record));
        }
        tx.put_domain(&record)?;
        let warnings = verified_elsewhere
            .map(|owner| Warning::VerifiedElsewhere(domain.clone(), owner))
            .into_iter()
            .collect();
        Ok(Done { record, warnings })
    })
}

/// Domains by name, of one account or of all.
pub fn list(store: &dyn Store, account: Option<&str>) -> Result<Vec<DomainRecord>, ManageError> {
    look(store, |tx| {
        let account = account.map(|name| account::find(tx, name)).transpose()?;
        Ok(tx.domains(account.as_ref().map(|a| &a.name))?)
    })
}

/// One domain. The account has to be named only if it is pending on several and verified on none.
pub fn show(
    store: &dyn Store,
    domain: &str,
    account: Option<&str>,
) -> Result<DomainRecord, ManageError> {
    look(store, |tx| find(tx, domain, account))
}

/// A domain that may have been added or not; the account has to be named as for [`show`].
pub fn lookup(
    store: &dyn Store,
    domain: &str,
    account: Option<&str>,
) -> Result<(Domain, Option<DomainRecord>), ManageError> {
    let name = parse(domain)?;
    look(store, |tx| {
        let record = match (tx.claims(&name)?.as_slice(), account) {
            ([], None) => None,
            _ => Some(find(tx, domain, account)?),
        };
        Ok((name.clone(), record))
    })
}

/// What an account has to prove before [`verify`]: its claim, with the token to look for. A claim
/// that is verified needs no proof; one whose domain another account has verified is refused.
pub fn claim(
    store: &dyn Store,
    domain: &str,
    account: Option<&str>,
) -> Result<DomainRecord, ManageError> {
    look(store, |tx| {
        let record = find(tx, domain, account)?;
        let claims = tx.claims(&record.domain)?;
        let others = claims.iter().filter(|c| c.account != record.account);
        let owner = match record.verified_by {
            // Whoever names no account means the one that is still pending.
            Some(_) if account.is_none() && others.count() > 0 => Some(&record.account),
            Some(_) => None,
            None => claims
                .iter()
                .find(|claim| claim.verified_by.is_some())
                .map(|claim| &claim.account),
        };
        match owner {
            Some(owner) => Err(owned_elsewhere(&record.domain, owner).into()),
            None => Ok(record),
        }
    })
}

/// Verifies a claim whose record was found in DNS. Checks everything once more: while DNS was asked, the
/// claim may have gone, or another account may have been faster; one at most has the domain.
pub fn verify(store: &dyn Store, proved: &DomainRecord) -> Result<DomainRecord, ManageError> {
    change(store, |tx| {
        let claims = tx.claims(&proved.domain)?;
        let mine =
            |claim: &&DomainRecord| claim.account == proved.account && claim.token == proved.token;
        let Some(mut record) = claims.iter().find(mine).cloned() else {
            return Err(ManageError::refused(
                format!("{} was changed meanwhile: not verified", proved.domain),
                format!("outgate domain show {}", proved.domain),
            ));
        };
        if record.verified_by.is_some() {
            return Ok(record);
        }
        if let Some(owner) = claims.iter().find(|claim| claim.verified_by.is_some()) {
            return Err(owned_elsewhere(&proved.domain, &owner.account).into());
        }
        record.verified_by = Some(VerifiedBy::Dns);
        tx.put_domain(&record)?;
        Ok(record)
    })
}

/// Removes a domain and the grants that go with it: those on it, and those on names below it that
/// no other domain of the account makes possible. They do not revive when it is added again.
pub fn remove(
    store: &dyn Store,
    domain: &str,
    account: Option<&str>,
    now: Timestamp,
) -> Result<Removed, ManageError> {
    change(store, |tx| {
        let record = find(tx, domain, account)?;
        tx.remove_domain(&record.account, &record.domain)?;
        let mut grants_deleted = 0;
        for id in tx.users_granted_under(&record.account, &record.domain)? {
            let Some(mut user) = tx.user_with_id(id)? else {
                continue;
            };
            let mut kept = Vec::with_capacity(user.user.grants.len());
            for grant in &user.user.grants {
                if outlives(tx, &record, grant.domain())? {
                    kept.push(grant.clone());
                }
            }
            let deleted = user.user.grants.len() - kept.len();
            if deleted > 0 {
                grants_deleted += deleted as u64;
                user.user.grants = kept;
                user.updated_at = to_the_second(now);
                tx.put_user(&user, None)?;
            }
        }
        Ok(Removed {
            record,
            grants_deleted,
        })
    })
}

/// Reads a name that can be a sender domain. Everybody's names are nobody's.
pub(super) fn parse(text: &str) -> Result<Domain, Fault> {
    let domain = Domain::parse(text).map_err(|error| {
        Fault::new(
            "domain",
            format!("{text:?} is not a sender domain: {error}"),
        )
    })?;
    if domain.is_public_suffix() {
        let error = format!("{domain} is a public suffix: nobody owns the names below it");
        return Err(Fault::new("domain", error));
    }
    Ok(domain)
}

/// Refuses to widen a domain to names that strangers have. The domain itself may be somebody's.
pub(super) fn can_be_wide(domain: &Domain) -> Result<(), Fault> {
    if domain.has_strangers_below() {
        return Err(Fault::with_hint(
            "with_subdomains",
            format!("{domain} is a public suffix: strangers have the names below it"),
            "add it without --with-subdomains, and your names below it one by one",
        ));
    }
    Ok(())
}

/// The refusal of a second owner.
pub(super) fn owned_elsewhere(domain: &Domain, owner: &Name) -> Fault {
    Fault::with_hint(
        "status",
        format!(
            "{domain} is verified on account {owner}: one account at most can have it verified"
        ),
        format!("outgate domain remove {domain} --account {owner}"),
    )
}

/// 128 random bits, as the DNS will carry them.
pub(super) fn new_token() -> Result<String, Fault> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|error| {
        let error = format!("cannot make one: the system gives no random bytes: {error}");
        Fault::new("challenge", error)
    })?;
    Ok(format!("{:032x}", u128::from_be_bytes(bits)))
}

/// Whether a text is of the form that [`new_token`] gives.
pub(super) fn is_token(text: &str) -> bool {
    let digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    text.len() == 32 && text.bytes().all(digit)
}

fn there_already(record: &DomainRecord) -> ManageError {
    let (status, hint) = match record.verified_by {
        Some(_) => ("verified", "domain show"),
        None => ("pending", "domain add --trusted"),
    };
    let option = account_option(&record.account);
    ManageError::refused(
        format!(
            "{} is on account {} already ({status})",
            record.domain, record.account
        ),
        format!("outgate {hint} {}{option}", record.domain),
    )
}

fn find(
    tx: &mut dyn Transaction,
    domain: &str,
    account: Option<&str>,
) -> Result<DomainRecord, ManageError> {
    let domain = Domain::parse(domain).map_err(|error| {
        Fault::with_hint(
            "domain",
            format!("{domain:?} is not a sender domain: {error}"),
            "outgate domain list",
        )
    })?;
    let account = account.map(|name| account::find(tx, name)).transpose()?;
    let mut claims = tx.claims(&domain)?;
    if let Some(account) = &account {
        claims.retain(|claim| claim.account == account.name);
    } else if let Some(verified) = claims.iter().position(|claim| claim.verified_by.is_some()) {
        return Ok(claims.swap_remove(verified));
    }
    match claims.as_slice() {
        [] => {
            let (on, option) = account.map_or_else(Default::default, |account| {
                let name = account.name;
                (format!(" on account {name}"), account_option(&name))
            });
            Err(ManageError::refused(
                format!("there is no domain {domain}{on}"),
                format!("outgate domain add {domain}{option}"),
            ))
        }
        [only] => Ok(only.clone()),
        several => {
            let accounts: Vec<_> = several.iter().map(|c| c.account.to_string()).collect();
            Err(ManageError::refused(
                format!(
                    "{domain} is pending on several accounts: {}",
                    accounts.join(", ")
                ),
                "say which one with --account NAME",
            ))
        }
    }
}

/// Whether a grant on `domain` stays when `removed` has gone from the account.
fn outlives(
    tx: &mut dyn Transaction,
    removed: &DomainRecord,
    domain: &Domain,
) -> Result<bool, StoreError> {
    if *domain == removed.domain {
        return Ok(false);
    }
    if !domain.is_below(&removed.domain) {
        return Ok(true);
    }
    Ok(footing(tx, &removed.account, domain)?.own.is_some())
}
