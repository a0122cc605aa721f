//! The rules about one sender, wherever it stands: is its domain the user's, and if it is nobody's
//! here, what does its own DNS say.

use std::sync::Arc;

use super::coverage::{cover, foreign_owner};
use super::facts::Field;
use super::finding::{About, Sender};
use super::reason::Reason;
use super::step::{Detail, DnsDetail, Outcome, Rule};
use super::{Flow, Judgement, ON};
use crate::model::address::Address;
use crate::model::domain::Domain;
use crate::model::user::{Mode, Plan, User};
use crate::spf::Shortfall;
use crate::standing::dmarc::Dmarc;
use crate::standing::{Need, Outage, Scope, Standing};

/// A sender and where it stands.
#[derive(Clone, Copy)]
struct Seen<'a> {
    field: Field,
    address: &'a Address,
    /// How many steps had been taken before it.
    since: usize,
}

impl Seen<'_> {
    fn owned(self) -> Sender {
        Sender {
            field: self.field,
            address: self.address.to_string(),
            domain: self.address.domain().cloned(),
        }
    }

    fn about(self) -> About {
        About::Sender(self.owned())
    }
}

impl Judgement<'_> {
    /// What both halves of a message are held to.
    pub(super) fn sender(
        &mut self,
        rule: Rule,
        field: Field,
        address: &Address,
        user: &User,
    ) -> Flow {
        let not_allowed = match field {
            Field::Envelope => Reason::SenderNotAllowed,
            Field::HeaderFrom | Field::DisplayName => Reason::HeaderFromNotAllowed,
        };
        let sender = Seen {
            field,
            address,
            since: self.steps.len(),
        };
        let Some(domain) = address.domain() else {
            return self.fail(rule, Detail::Literal, not_allowed, sender.about());
        };
        let Some(lineage) = self.facts.lineage(domain) else {
            // The engine looks up every domain of the question; without the fact, no permit.
            return self.missing_fact(rule);
        };
        if let Some(cover) = cover(user, address, lineage, self.rules) {
            self.pass(rule, Detail::Covered(domain.clone(), cover))?;
            return if self.rules.lockdown_always {
                self.standing(Scope::Lockdown, sender, domain, user)
            } else {
                ON
            };
        }
        let owner = foreign_owner(&user.account, lineage).cloned();
        let (detail, reason) = match (user.mode, self.facts.plan(), owner) {
            (Mode::Default | Mode::AllDomains, _, owner) => (
                Detail::NotCovered(domain.clone(), user.mode, owner),
                not_allowed,
            ),
            (Mode::AnyDomain, Some(Plan::Free), _) => (Detail::PlanFree, Reason::Plan),
            (Mode::AnyDomain, Some(Plan::Pro), Some(owner)) => {
                (Detail::OwnedElsewhere(owner), Reason::OwnedByAnotherAccount)
            }
            (Mode::AnyDomain, Some(Plan::Pro), None) => {
                self.pass(rule, Detail::Stranger(domain.clone()))?;
                return self.standing(Scope::Whole, sender, domain, user);
            }
            (Mode::AnyDomain, None, _) => return self.missing_fact(rule),
        };
        self.fail(rule, detail, reason, sender.about())
    }

    /// What the DNS of a sender domain says about it: lockdown first, then SPF and DMARC if nobody here
    /// has verified the domain.
    fn standing(&mut self, scope: Scope, sender: Seen<'_>, domain: &Domain, user: &User) -> Flow {
        let need = Need {
            domain: domain.clone(),
            local: sender.address.local.clone(),
            scope,
        };
        let Some(standing) = self.facts.standing(&need).cloned() else {
            if !self.needs.contains(&need) {
                self.needs.push(need);
            }
            // As if it passed, so that everything that is needed is asked for at once.
            return ON;
        };
        self.lockdown(&standing, sender, domain, user)?;
        match scope {
            Scope::Lockdown => ON,
            Scope::Whole => {
                self.spf(&standing, sender)?;
                self.dmarc(&standing, sender, domain)
            }
        }
    }

    fn lockdown(
        &mut self,
        standing: &Standing,
        sender: Seen<'_>,
        domain: &Domain,
        user: &User,
    ) -> Flow {
        let rule = Rule::Lockdown;
        match &standing.lockdown {
            Err(outage) => self.outage(rule, outage, sender),
            Ok(lockdown) => {
                let detail = Detail::Dns(DnsDetail::Lockdown(domain.clone(), lockdown.clone()));
                if lockdown.admits(&user.name, user.id) {
                    self.pass(rule, detail)
                } else {
                    self.fail(rule, detail, Reason::LockedDown, sender.about())
                }
            }
        }
    }

    fn spf(&mut self, standing: &Arc<Standing>, sender: Seen<'_>) -> Flow {
        let rule = Rule::Spf;
        let Some(stranger) = &standing.stranger else {
            return self.missing_fact(rule);
        };
        let detail = Detail::Dns(DnsDetail::Spf(standing.clone()));
        let (shortfall, reason) = match &stranger.spf.verdict {
            Ok(()) => return self.pass(rule, detail),
            Err(Shortfall::Unavailable { query, trouble }) => {
                let outage = Outage {
                    query: query.clone(),
                    trouble: *trouble,
                };
                return self.outage(rule, &outage, sender);
            }
            Err(Shortfall::Undecided { .. }) if self.is_refused(sender) => {
                return self.skip(rule, detail);
            }
            // It should have come to an end: nothing that the domain could mend.
            Err(Shortfall::Undecided { .. }) => return self.missing_fact(rule),
            Err(shortfall @ Shortfall::Missing) => (shortfall, Reason::SpfMissing),
            Err(shortfall @ Shortfall::Invalid(_)) => (shortfall, Reason::SpfInvalid),
            Err(shortfall @ Shortfall::NotIncluding { .. }) => {
                (shortfall, Reason::SpfNotIncludingRelay)
            }
            Err(shortfall @ Shortfall::NotPassing { .. }) => (shortfall, Reason::SpfNotPassing),
        };
        let about = About::Spf(sender.owned(), shortfall.clone());
        self.fail(rule, detail, reason, about)
    }

    fn dmarc(&mut self, standing: &Standing, sender: Seen<'_>, domain: &Domain) -> Flow {
        let rule = Rule::Dmarc;
        let Some(stranger) = &standing.stranger else {
            return self.missing_fact(rule);
        };
        match &stranger.dmarc {
            None => self.skip(rule, Detail::Dns(DnsDetail::NotRequired)),
            Some(Err(outage)) => self.outage(rule, outage, sender),
            Some(Ok(dmarc)) => {
                let detail = Detail::Dns(DnsDetail::Dmarc(domain.clone(), dmarc.clone()));
                match dmarc {
                    Dmarc::Published(_) => self.pass(rule, detail),
                    Dmarc::Missing | Dmarc::Several(_) => {
                        let about = About::Dmarc(sender.owned(), dmarc.clone());
                        self.fail(rule, detail, Reason::DmarcMissing, about)
                    }
                }
            }
        }
    }

    /// Nothing is permitted before DNS has answered. Audit mode goes on after a refusal, and then it
    /// may meet trouble that could not have changed the answer: that defers nothing.
    fn outage(&mut self, rule: Rule, outage: &Outage, sender: Seen<'_>) -> Flow {
        let detail = Detail::Dns(DnsDetail::Outage(outage.clone()));
        if self.is_refused(sender) {
            return self.skip(rule, detail);
        }
        self.fail(
            rule,
            detail,
            Reason::DnsUnavailable,
            About::Outage(sender.owned(), outage.clone()),
        )
    }

    /// Whether something about this sender has been refused already, which only audit mode outlives.
    fn is_refused(&self, sender: Seen<'_>) -> bool {
        let steps = self.steps.get(sender.since..).unwrap_or_default();
        steps.iter().any(|step| step.outcome == Outcome::Fail)
    }

    fn missing_fact(&mut self, rule: Rule) -> Flow {
        self.fail(
            rule,
            Detail::MissingFact,
            Reason::InternalError,
            About::Nothing,
        )
    }
}
