//! What is allowed but perhaps not meant. Shown beside a result, never instead of it.

use std::collections::BTreeSet;
use std::fmt;

use super::ManageError;
use super::ownership::footing;
use super::view::QuotaView;
use crate::decision::step::mode_name;
use crate::model::domain::Domain;
use crate::model::name::Name;
use crate::model::user::{CheckFrom, Mode, Plan, UserRecord};
use crate::store::Transaction;

/// How many domains a warning names.
const EXAMPLES: usize = 5;

/// Something that an operator should know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Warning {
    /// The IP list has addresses of one family only: a host with both may come by the other one.
    OneFamily {
        /// Which one the list has.
        ipv4: bool,
    },
    /// The last entry of the IP list has gone.
    OpenToAll,
    /// Only the header From is checked, which policy never sees.
    HeaderOnly,
    /// The mode does not use the user's own grants.
    UnusedGrants(Mode),
    /// The user may send as nothing but the null sender.
    NoGrants,
    /// Grants on domains that are still pending.
    PendingGrants(Vec<Domain>),
    /// Grants on names that another account has verified since.
    ForeignGrants(Vec<Domain>),
    /// The account's plan does not include the user's mode.
    PlanFree(Name),
    /// A pending domain that another account has verified.
    VerifiedElsewhere(Domain, Name),
    /// Nothing is left of a quota.
    UsedUp(QuotaView),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Warning::OneFamily { ipv4 } => {
                let (has, lacks) = if *ipv4 {
                    ("IPv4", "IPv6")
                } else {
                    ("IPv6", "IPv4")
                };
                write!(
                    f,
                    "the IP list has only {has} networks: a client that connects over {lacks} is refused"
                )
            }
            Warning::OpenToAll => {
                f.write_str("the IP list is empty now: the user may connect from anywhere")
            }
            Warning::HeaderOnly => f.write_str(
                "check-from header: where no milter is wired, the sender is not checked at all",
            ),
            Warning::UnusedGrants(mode) => {
                write!(
                    f,
                    "the grants are kept, but mode {} does not use them",
                    mode_name(*mode)
                )
            }
            Warning::NoGrants => {
                f.write_str("mode default without a grant: the user may not send as any domain yet")
            }
            Warning::PendingGrants(domains) => {
                write!(f, "not verified yet, so grants on it do not count: ")?;
                write_some(f, domains)
            }
            Warning::ForeignGrants(domains) => {
                write!(
                    f,
                    "verified on another account, so grants on it do not count: "
                )?;
                write_some(f, domains)
            }
            Warning::PlanFree(account) => write!(
                f,
                "account {account} has plan free: of mode any-domain, only its own verified domains work"
            ),
            Warning::VerifiedElsewhere(domain, account) => write!(
                f,
                "{domain} is verified on account {account}: it stays pending here as long as that is so"
            ),
            Warning::UsedUp(quota) => {
                let (limit, used) = (quota.quota(), quota.used);
                match quota.resets_at {
                    Some(time) => write!(f, "quota {limit} is used up until {time} ({used} used)"),
                    None => write!(
                        f,
                        "quota {limit} is used up until it is reset ({used} used)"
                    ),
                }
            }
        }
    }
}

fn write_some(f: &mut fmt::Formatter<'_>, domains: &[Domain]) -> fmt::Result {
    for (i, domain) in domains.iter().take(EXAMPLES).enumerate() {
        let comma = if i == 0 { "" } else { ", " };
        write!(f, "{comma}{domain}")?;
    }
    match domains.len().checked_sub(EXAMPLES) {
        None | Some(0) => Ok(()),
        Some(more) => write!(f, " and {more} more"),
    }
}

/// What an operator should know about a user as it is stored.
pub(super) fn of_user(
    tx: &mut dyn Transaction,
    record: &UserRecord,
) -> Result<Vec<Warning>, ManageError> {
    let user = &record.user;
    let mut warnings = Vec::new();
    let ipv4 = user.networks.iter().filter(|n| n.is_ipv4()).count();
    if !user.networks.is_empty() && (ipv4 == 0 || ipv4 == user.networks.len()) {
        warnings.push(Warning::OneFamily { ipv4: ipv4 > 0 });
    }
    match user.check_from {
        CheckFrom::Both | CheckFrom::Envelope => {}
        CheckFrom::Header => warnings.push(Warning::HeaderOnly),
    }
    match user.mode {
        Mode::Default if user.grants.is_empty() => warnings.push(Warning::NoGrants),
        Mode::Default => of_grants(tx, record, &mut warnings)?,
        Mode::AllDomains | Mode::AnyDomain if user.grants.is_empty() => {}
        Mode::AllDomains | Mode::AnyDomain => warnings.push(Warning::UnusedGrants(user.mode)),
    }
    if user.mode == Mode::AnyDomain
        && tx.account(&user.account)?.map(|a| a.plan) == Some(Plan::Free)
    {
        warnings.push(Warning::PlanFree(user.account.clone()));
    }
    Ok(warnings)
}

fn of_grants(
    tx: &mut dyn Transaction,
    record: &UserRecord,
    warnings: &mut Vec<Warning>,
) -> Result<(), ManageError> {
    let (mut pending, mut foreign) = (Vec::new(), Vec::new());
    let domains: BTreeSet<_> = record.user.grants.iter().map(|g| g.domain()).collect();
    for domain in domains {
        let footing = footing(tx, &record.user.account, domain)?;
        if footing.foreign.is_some() {
            foreign.push(domain.clone());
        } else if !footing.counts {
            pending.push(domain.clone());
        }
    }
    if !pending.is_empty() {
        warnings.push(Warning::PendingGrants(pending));
    }
    if !foreign.is_empty() {
        warnings.push(Warning::ForeignGrants(foreign));
    }
    Ok(())
}
