//! The command that would change an answer.
//!
//! What it prints is pasted into a root shell by somebody in a hurry, and it contains what a
//! client sent: every argument is quoted.

use crate::cli::failure::Failure;
use crate::decision::coverage::{foreign_owner, owned_through};
use crate::decision::facts::Lineage;
use crate::decision::reason::Reason;
use crate::decision::{About, Decision};
use crate::model::domain::Domain;
use crate::model::name::{Login, Name, as_id};
use crate::model::network::ClientAddress;
use crate::model::quota::Subject;
use crate::model::user::{DEFAULT_ACCOUNT, DomainRecord, Mode, Ownership, User};
use crate::store::{ManageError, Store, StoreError, Transaction};

/// What was asked, as far as a command can change the answer to it.
pub struct Situation<'a> {
    /// As given.
    pub login: &'a str,
    /// As given.
    pub client: Option<ClientAddress>,
    /// As given.
    pub recipients: Option<u32>,
}

/// The command, or nothing where the sender, not the operator, has to change something.
pub fn fix(
    decision: &Decision,
    situation: &Situation<'_>,
    store: &dyn Store,
) -> Result<String, Failure> {
    let user = decision.user.as_deref();
    let about = decision.told().map(|finding| &finding.about);
    let for_user = |command: &str| user.map(|user| format!("outgate user {command} {}", user.name));
    let command = match decision.reason() {
        Reason::Allowed
        // The client has to do something else: log in, use TLS, send a proper sender.
        | Reason::Unauthenticated
        | Reason::Mechanism
        | Reason::TlsRequired
        | Reason::SenderMalformed
        | Reason::HeaderFromMalformed
        // No operator may hand out what belongs to somebody else, or what its owner keeps.
        | Reason::OwnedByAnotherAccount
        | Reason::LockedDown
        // Trouble goes away by itself or by mending the host.
        | Reason::DnsUnavailable
        | Reason::StoreUnavailable
        | Reason::InternalError => None,
        Reason::BadPassword => for_user("passwd"),
        Reason::Throttled => for_user("unlock"),
        Reason::Suspended => for_user("resume"),
        Reason::HeaderFromMissing => user
            .map(|user| format!("outgate user set {} --check-from envelope", user.name)),
        Reason::IpNotAuthorized => user
            .zip(situation.client)
            .and_then(|(user, client)| add_address(user, client)),
        Reason::NoSuchUser | Reason::UnknownUser => {
            view(store, |tx| add_login(situation.login, tx))?
        }
        Reason::QuotaExceeded => user.map(|user| reset(decision, user, situation)),
        Reason::TooManyRecipients => user.zip(about).and_then(|(user, about)| allow_more(user, about)),
        Reason::Plan => {
            user.map(|user| format!("outgate account set {} --plan pro", user.account))
        }
        // It is a stranger's: what is to be published is for its owner, not for us to vouch for.
        Reason::SpfMissing
        | Reason::SpfInvalid
        | Reason::SpfNotIncludingRelay
        | Reason::SpfNotPassing
        | Reason::DmarcMissing => about
            .and_then(About::domain)
            .map(|domain| format!("outgate domain check {domain}")),
        Reason::SenderNotAllowed | Reason::HeaderFromNotAllowed => match (user, about.and_then(About::domain)) {
            (Some(user), Some(domain)) => view(store, |tx| allow_domain(user, domain, tx))?,
            // An address literal: nobody can be granted one.
            (Some(_) | None, _) => None,
        },
    };
    Ok(command.unwrap_or_default())
}

fn add_address(user: &User, client: ClientAddress) -> Option<String> {
    match client {
        ClientAddress::Known(address) => {
            Some(format!("outgate user set {} --add-ip {address}", user.name))
        }
        ClientAddress::Unknown => None,
    }
}

/// Begins all quotas anew that are in the way: one that is left would be told next.
fn reset(decision: &Decision, user: &User, situation: &Situation<'_>) -> String {
    let recipients = situation.recipients.unwrap_or(1);
    let mut subjects: Vec<&Subject> = decision
        .allowances
        .iter()
        .filter(|allowance| !allowance.has_room_for(recipients))
        .map(|allowance| &allowance.counter.subject)
        .collect();
    subjects.dedup();
    let commands = subjects.into_iter().map(|subject| match subject {
        Subject::User(_) => format!("outgate quota reset {}", user.name),
        Subject::Account(account) => format!("outgate quota reset account:{account}"),
    });
    commands.collect::<Vec<_>>().join(" && ")
}

/// As many recipients as the message has. Where a quota is in the way, its new size is the
/// operator's choice.
fn allow_more(user: &User, about: &About) -> Option<String> {
    let About::Recipients { given, allowed } = about else {
        return None;
    };
    let mine = user.max_recipients.map(u64::from) == Some(*allowed);
    mine.then(|| format!("outgate user set {} --max-recipients {given}", user.name))
}

/// A new user of this name, or an extra login for the user that it seems to be meant for.
fn add_login(login: &str, tx: &mut dyn Transaction) -> Result<Option<String>, ManageError> {
    if as_id(login).is_some() {
        return Ok(None);
    }
    if let Ok(name) = Name::parse(login) {
        return Ok(Some(format!("outgate user add {name}")));
    }
    let local = login.split_once('@').map_or(login, |(local, _)| local);
    let (Ok(login), Ok(name)) = (Login::parse(login), Name::parse(local)) else {
        return Ok(None);
    };
    let mut command = match tx.user_named(&name)? {
        None => format!("outgate user add {name}"),
        Some(record) => {
            // The option replaces the list, so what is there has to be given again.
            let mut command = format!("outgate user set {name}");
            for login in &record.logins {
                command.push_str(&format!(" --login {}", quoted(login.as_str())));
            }
            command
        }
    };
    command.push_str(&format!(" --login {}", quoted(login.as_str())));
    Ok(Some(command))
}

/// The domain on the user's account, verified, and granted where the mode asks for grants.
fn allow_domain(
    user: &User,
    domain: &Domain,
    tx: &mut dyn Transaction,
) -> Result<Option<String>, ManageError> {
    let claims = lineage_of(domain, tx)?;
    let lineage = Lineage {
        domain: domain.clone(),
        verified: claims.iter().filter_map(ownership).collect(),
    };
    if foreign_owner(&user.account, &lineage).is_some() || domain.is_public_suffix() {
        return Ok(None);
    }
    let mut commands = Vec::new();
    if owned_through(&user.account, domain, &lineage).is_none() {
        let account = match user.account.as_str() {
            DEFAULT_ACCOUNT => String::new(),
            account => format!(" --account {account}"),
        };
        commands.push(format!("outgate domain add {domain}{account} --trusted"));
    }
    let granted = user
        .grants
        .iter()
        .any(|grant| grant.to_string() == domain.as_str());
    match user.mode {
        Mode::Default if !granted => {
            commands.push(format!(
                "outgate user set {} --add-allow {domain}",
                user.name
            ));
        }
        Mode::Default | Mode::AllDomains | Mode::AnyDomain => {}
    }
    Ok((!commands.is_empty()).then(|| commands.join(" && ")))
}

/// Looks something up in one consistent view.
fn view<T: Default>(
    store: &dyn Store,
    mut read: impl FnMut(&mut dyn Transaction) -> Result<T, ManageError>,
) -> Result<T, ManageError> {
    let mut found = T::default();
    store.view(&mut |tx| {
        found = read(tx)?;
        Ok(())
    })?;
    Ok(found)
}

/// Who has this name or one above it, nearest first.
fn lineage_of(domain: &Domain, tx: &mut dyn Transaction) -> Result<Vec<DomainRecord>, StoreError> {
    let mut claims = tx.claims(domain)?;
    for above in domain.ancestors() {
        claims.extend(tx.claims(&above)?);
    }
    Ok(claims)
}

fn ownership(claim: &DomainRecord) -> Option<Ownership> {
    claim.verified_by.map(|_| Ownership {
        domain: claim.domain.clone(),
        account: claim.account.clone(),
        with_subdomains: claim.with_subdomains,
    })
}

/// An argument as a POSIX shell reads it back.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_meant() {
        for (text, word) in [
            ("jane@example.com", "jane@example.com"),
            ("$(reboot)", "'$(reboot)'"),
            ("it's", "'it'\\''s'"),
            ("a;b", "'a;b'"),
            ("~root", "'~root'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
