//! The rules about how much: recipients in a message, and quotas of the user and its account.
//!
//! What is judged here is what has been used so far. Whether a message still fits when many come at
//! the same moment is settled by the charge itself.

use std::cmp::Reverse;
use std::fmt;

use jiff::Timestamp;

use super::facts::{Allowance, Question};
use super::finding::{About, Decision, Finding};
use super::reason::Reason;
use super::step::{AmountDetail, Detail, Outcome, Rule, Step};
use super::{Flow, Judgement};
use crate::model::quota::{Subject, Unit};
use crate::model::user::User;

impl Judgement<'_> {
    /// How many recipients. Not judged before their number is certain.
    pub(super) fn recipients(&mut self, question: &Question<'_>, user: &User) -> Flow {
        let rule = Rule::Recipients;
        let Some(given) = question.recipients else {
            return self.skip(rule, Detail::NotGiven);
        };
        let detail = Detail::Amount(AmountDetail::Recipients(given, user.max_recipients));
        match user.max_recipients {
            Some(allowed) if given > allowed => self.fail(
                rule,
                detail,
                Reason::TooManyRecipients,
                About::Recipients {
                    given,
                    allowed: allowed.into(),
                },
            ),
            Some(_) | None => self.pass(rule, detail),
        }
    }

    /// Each quota by itself. Before the number of recipients is certain, all that can be said is
    /// whether anything is left. Of several in the way, the one is told that is so for good, or else
    /// for longest: to try again before that would be in vain.
    pub(super) fn quotas(&mut self, question: &Question<'_>) -> Flow {
        let rule = Rule::Quota;
        if self.facts.charged {
            return self.pass(rule, Detail::Amount(AmountDetail::ChargedBefore));
        }
        if self.facts.allowances.is_empty() {
            return self.pass(rule, Detail::Amount(AmountDetail::NoQuota));
        }
        let mut allowances: Vec<_> = self.facts.allowances.iter().collect();
        let needed = |allowance: &Allowance| allowance.needed(question.recipients.unwrap_or(1));
        allowances.sort_by_key(|allowance| allowance.obstacle(needed(allowance)));
        allowances
            .into_iter()
            .try_for_each(|allowance| self.allowance(allowance, question.recipients))
    }

    fn allowance(&mut self, allowance: &Allowance, recipients: Option<u32>) -> Flow {
        let rule = Rule::Quota;
        let detail = Detail::Amount(AmountDetail::Quota(allowance.clone()));
        let needed = allowance.needed(recipients.unwrap_or(1));
        match allowance.obstacle(needed) {
            Obstacle::None => self.pass(rule, detail),
            Obstacle::ForGood => {
                let about = About::Recipients {
                    given: recipients.unwrap_or_default(),
                    allowed: allowance.limit,
                };
                self.fail(rule, detail, Reason::TooManyRecipients, about)
            }
            Obstacle::Until(_) => {
                let about = About::Quota {
                    allowance: allowance.clone(),
                    needed,
                    for_good: self.rules.refuse_over_quota,
                };
                self.fail(rule, detail, Reason::QuotaExceeded, about)
            }
        }
    }
}

/// How a quota stands in the way of a message; in the order in which they are told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    /// Not at all.
    None,
    /// The message can never fit.
    ForGood,
    /// Not enough is left before then, the latest first; `Timestamp::MAX`: before a reset.
    Until(Reverse<Timestamp>),
}

impl Decision {
    /// At the charge, a quota had not enough left any more: others were faster.
    pub fn run_out(&mut self, allowance: Allowance, recipients: u32, for_good: bool) {
        self.steps.push(Step {
            rule: Rule::Quota,
            outcome: Outcome::Fail,
            detail: Detail::Amount(AmountDetail::Quota(allowance.clone())),
        });
        self.findings.push(Finding {
            reason: Reason::QuotaExceeded,
            about: About::Quota {
                needed: allowance.needed(recipients),
                allowance,
                for_good,
            },
        });
    }
}

impl Allowance {
    /// What a message with so many recipients needs. It has one at least, whatever is said.
    pub fn needed(&self, recipients: u32) -> u64 {
        match self.counter.unit {
            Unit::Messages => 1,
            Unit::Recipients => recipients.max(1).into(),
        }
    }

    /// Whether as much is left as a message with so many recipients needs.
    pub fn has_room_for(&self, recipients: u32) -> bool {
        self.obstacle(self.needed(recipients)) == Obstacle::None
    }

    fn obstacle(&self, needed: u64) -> Obstacle {
        match self.remaining() {
            None => Obstacle::None,
            Some(remaining) if needed <= remaining => Obstacle::None,
            Some(_) if needed > self.limit => Obstacle::ForGood,
            Some(_) => Obstacle::Until(Reverse(self.resets_at.unwrap_or(Timestamp::MAX))),
        }
    }

    /// Whether a message with so many recipients fits.
    pub fn has_room(&self, recipients: u32) -> bool {
        self.remaining()
            .is_none_or(|remaining| self.needed(recipients) <= remaining)
    }
}

/// For `explain`: whose, how many of how many, and when it begins anew.
impl fmt::Display for Allowance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose = match &self.counter.subject {
            Subject::User(_) => "of the user".to_owned(),
            Subject::Account(name) => format!("of account {name}"),
        };
        let (window, unit) = (self.counter.window, self.counter.unit);
        match self.remaining() {
            Some(left) => write!(
                f,
                "{}/{window} {unit} {whose}: {} used, {left} left",
                self.limit, self.used
            )?,
            None => write!(
                f,
                "{}/{window} {unit} {whose}: {} used, without a limit",
                self.limit, self.used
            )?,
        }
        match self.resets_at {
            Some(at) => write!(f, ", until {at:.0}"),
            None => Ok(()),
        }
    }
}
