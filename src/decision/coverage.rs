//! Which grant, or which verified domain, covers a sender. Pure set arithmetic on domain names.

use std::fmt;

use super::facts::{Lineage, Rules};
use crate::model::address::Address;
use crate::model::domain::Domain;
use crate::model::grant::Grant;
use crate::model::name::Name;
use crate::model::user::{Mode, User};

/// Why an address is covered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cover {
    /// By this grant.
    Grant(Grant),
    /// By this verified domain of the user's account.
    Verified(Domain),
}

impl fmt::Display for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cover::Grant(grant) => write!(f, "grant {grant}"),
            Cover::Verified(domain) => write!(f, "verified domain {domain}"),
        }
    }
}

/// Whether the account owns the name, and through which verified domain. The most specific owner
/// wins: a domain that another account has verified ends the search, and so hides whatever
/// this account has verified above it.
pub fn owned_through<'a>(
    account: &Name,
    name: &Domain,
    lineage: &'a Lineage,
) -> Option<&'a Domain> {
    for owner in &lineage.verified {
        let above = owner.domain == *name || name.is_below(&owner.domain);
        if !above {
            continue;
        }
        if owner.account != *account {
            return None;
        }
        if owner.domain == *name || owner.with_subdomains {
            return Some(&owner.domain);
        }
    }
    None
}

/// The nearest domain of an account other than this one that the name is, or lies below with
/// sub-domains; none if this account owns the name. Domains of this account in between count for
/// nothing where they are hidden themselves.
pub fn foreign_owner<'a>(account: &Name, lineage: &'a Lineage) -> Option<&'a Domain> {
    if owned_through(account, &lineage.domain, lineage).is_some() {
        return None;
    }
    lineage
        .verified
        .iter()
        .filter(|owner| owner.account != *account)
        .find(|owner| owner.domain == lineage.domain || owner.with_subdomains)
        .map(|owner| &owner.domain)
}

/// What lets the user send as this address of this domain, by its mode.
pub fn cover(user: &User, address: &Address, lineage: &Lineage, rules: &Rules) -> Option<Cover> {
    match user.mode {
        Mode::Default => user
            .grants
            .iter()
            .find(|grant| grant_covers(grant, user, address, lineage, rules))
            .map(|grant| Cover::Grant(grant.clone())),
        Mode::AllDomains | Mode::AnyDomain => {
            owned_through(&user.account, &lineage.domain, lineage)
                .map(|domain| Cover::Verified(domain.clone()))
        }
    }
}

fn grant_covers(
    grant: &Grant,
    user: &User,
    address: &Address,
    lineage: &Lineage,
    rules: &Rules,
) -> bool {
    let fits = match grant {
        Grant::Domain(domain) => lineage.domain == *domain,
        Grant::Below(base) => lineage.domain.is_below(base) && !hidden_below(base, user, lineage),
        Grant::Address { local, domain } => {
            lineage.domain == *domain
                && local_part_fits(local, &address.local, &rules.recipient_delimiter)
        }
    };
    // A grant counts only while the domain that it belongs to is verified on the account.
    fits && owned_through(&user.account, grant.domain(), lineage).is_some()
}

/// Whether a name between the base and the sender domain is verified on another account.
fn hidden_below(base: &Domain, user: &User, lineage: &Lineage) -> bool {
    lineage
        .verified
        .iter()
        .any(|owner| owner.account != user.account && owner.domain.is_below(base))
}

/// `boss` covers `Boss`, and `boss+tag` if `+` is among the delimiters. As in Postfix, only the
/// first delimiter separates, and nothing does if that stands in the first place.
fn local_part_fits(granted: &str, used: &str, delimiters: &str) -> bool {
    let used = used.to_lowercase();
    if used == granted {
        return true;
    }
    let split = used.find(|c| delimiters.contains(c));
    split.is_some_and(|at| at > 0 && used[..at] == *granted)
}
