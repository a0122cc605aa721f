//! Which domains an account can give to its users, pending ones included.
//!
//! The decision core asks the same question about verified domains at the time of sending
//! (`decision::coverage`); here it is asked when a grant is stored, so that what can never count
//! is refused while somebody is there to correct it.

use std::iter;

use super::fault::Fault;
use crate::model::domain::Domain;
use crate::model::name::Name;
use crate::model::user::DEFAULT_ACCOUNT;
use crate::store::{StoreError, Transaction};

/// What an account has at and above a name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Footing {
    /// The account's domain that the name is, or lies below with sub-domains.
    pub own: Option<Domain>,
    /// Whether a grant on the name counts now.
    pub counts: bool,
    /// Another account's verified domain, the same or nearer than `own`, and that account: the most
    /// specific owner wins.
    pub foreign: Option<(Domain, Name)>,
    /// The account's nearest domain above the name that was added without sub-domains.
    pub narrow: Option<Domain>,
}

/// Finds out what an account has at and above a name.
pub(super) fn footing(
    tx: &mut dyn Transaction,
    account: &Name,
    domain: &Domain,
) -> Result<Footing, StoreError> {
    let mut footing = Footing::default();
    let mut hidden = false;
    let names = iter::once(domain.clone()).chain(domain.ancestors());
    for name in names.filter(|name| name.as_str().contains('.')) {
        let claims = tx.claims(&name)?;
        let foreign = claims
            .iter()
            .find(|claim| claim.verified_by.is_some() && claim.account != *account);
        if let Some(foreign) = foreign {
            hidden = true;
            if footing.own.is_none() && footing.foreign.is_none() {
                footing.foreign = Some((name.clone(), foreign.account.clone()));
            }
        }
        let Some(own) = claims.iter().find(|claim| claim.account == *account) else {
            continue;
        };
        if name == *domain || own.with_subdomains {
            footing.counts |= own.verified_by.is_some() && !hidden;
            footing.own.get_or_insert(name);
        } else {
            footing.narrow.get_or_insert(name);
        }
    }
    Ok(footing)
}

/// Checks that a grant on this domain can be stored for users of the account.
pub(super) fn check_grant(
    tx: &mut dyn Transaction,
    account: &Name,
    domain: &Domain,
) -> Result<(), Fault> {
    let footing = footing(tx, account, domain)?;
    if let Some((owner, other)) = footing.foreign {
        let error = if owner == *domain {
            format!("{domain} is verified on account {other}: users of {account} cannot have it")
        } else {
            format!(
                "{domain} lies below {owner}, which is verified on account {other}: users of {account} cannot have it"
            )
        };
        let hint = format!("outgate domain show {owner}");
        return Err(Fault::with_hint("allow", error, hint));
    }
    if footing.own.is_some() {
        return Ok(());
    }
    Err(not_owned(account, domain, footing.narrow))
}

/// The refusal of a grant on what is not the account's domain.
pub(super) fn not_owned(account: &Name, domain: &Domain, narrow: Option<Domain>) -> Fault {
    let option = account_option(account);
    let (error, base, more) = match narrow {
        Some(above) => {
            let error = format!(
                "{domain} lies below {above}, which account {account} has without its sub-domains"
            );
            match above.has_strangers_below() {
                true => (error, domain.clone(), ""),
                false => (error, above, " --with-subdomains"),
            }
        }
        None => (
            format!("{domain} is not a domain of account {account}"),
            domain.clone(),
            "",
        ),
    };
    Fault::with_hint(
        "allow",
        error,
        format!("outgate domain add {base}{option}{more}"),
    )
}

/// ` --account NAME`, unless it is the account that nobody needs to name.
pub(super) fn account_option(account: &Name) -> String {
    if account.as_str() == DEFAULT_ACCOUNT {
        String::new()
    } else {
        format!(" --account {account}")
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::decision::coverage::owned_through;
    use crate::decision::facts::Lineage;
    use crate::manage::{change, look};
    use crate::model::user::{Account, DomainRecord, Ownership, Plan, VerifiedBy};
    use crate::store::Store;
    use crate::store::memory::MemoryStore;

    const NAMES: [&str; 5] = [
        "example.com",
        "a.example.com",
        "b.a.example.com",
        "c.b.a.example.com",
        "a.example.net",
    ];
    const ACCOUNTS: [&str; 3] = ["default", "acme", "other"];

    /// Account, name, verified, with sub-domains.
    fn claims() -> impl Strategy<Value = Vec<(usize, usize, bool, bool)>> {
        prop::collection::vec(
            (
                0..ACCOUNTS.len(),
                0..NAMES.len(),
                any::<bool>(),
                any::<bool>(),
            ),
            0..12,
        )
    }

    fn domain(name: &str) -> Domain {
        Domain::parse(name).unwrap()
    }

    /// Stores the claims; the first that has a name verified keeps it.
    fn store_of(claims: &[(usize, usize, bool, bool)]) -> MemoryStore {
        let store = MemoryStore::new();
        change(&store, |tx| {
            for name in ACCOUNTS {
                tx.put_account(&Account {
                    name: Name::parse(name).unwrap(),
                    plan: Plan::Pro,
                    quotas: Vec::new(),
                    created_at: Timestamp::UNIX_EPOCH,
                })?;
            }
            for (account, name, verified, with_subdomains) in claims {
                let account = Name::parse(ACCOUNTS[*account]).unwrap();
                let domain = domain(NAMES[*name]);
                let there = tx.claims(&domain)?;
                let free = there
                    .iter()
                    .all(|c| c.account == account || c.verified_by.is_none());
                tx.put_domain(&DomainRecord {
                    domain,
                    account,
                    verified_by: (*verified && free).then_some(VerifiedBy::Operator),
                    with_subdomains: *with_subdomains,
                    token: String::new(),
                    added_at: Timestamp::UNIX_EPOCH,
                })?;
            }
            Ok(())
        })
        .unwrap();
        store
    }

    /// The verified domains at and above a name, as decisions see them.
    fn lineage(store: &dyn Store, domain: &Domain) -> Lineage {
        let mut verified = Vec::new();
        look(store, |tx| {
            for name in iter::once(domain.clone()).chain(domain.ancestors()) {
                let owner = tx
                    .claims(&name)?
                    .into_iter()
                    .find(|c| c.verified_by.is_some());
                verified.extend(owner.map(|owner| Ownership {
                    domain: name,
                    account: owner.account,
                    with_subdomains: owner.with_subdomains,
                }));
            }
            Ok(())
        })
        .unwrap();
        Lineage {
            domain: domain.clone(),
            verified,
        }
    }

    proptest! {
        /// What an operator is told about a grant is what happens when it is used.
        #[test]
        fn a_grant_counts_here_where_it_counts_in_a_decision(claims in claims()) {
            let store = store_of(&claims);
            for account in ACCOUNTS {
                let account = Name::parse(account).unwrap();
                for name in NAMES {
                    let domain = domain(name);
                    let lineage = lineage(&store, &domain);
                    let covered = owned_through(&account, &domain, &lineage).is_some();
                    let footing = look(&store, |tx| Ok(footing(tx, &account, &domain)?)).unwrap();
                    prop_assert_eq!(footing.counts, covered, "{} {}", account, domain);
                    prop_assert!(!footing.counts || footing.own.is_some());
                    prop_assert!(!footing.counts || footing.foreign.is_none());
                }
            }
        }
    }
}
