//! What judging comes to: the decision, and what speaks against the message. For the engine, which
//! puts it into words, and for whoever explains.

use jiff::Timestamp;

use super::facts::{Allowance, Field, Rules};
use super::reason::{Reason, Verdict};
use super::step::Step;
use crate::model::address::AddressError;
use crate::model::domain::Domain;
use crate::model::header_from::FromError;
use crate::model::user::SharedUser;
use crate::spf::Shortfall;
use crate::standing::Outage;
use crate::standing::dmarc::Dmarc;

/// The answer to one question.
#[derive(Clone, Debug)]
#[must_use]
pub struct Decision {
    /// Whose question it was, if the login is known.
    pub user: Option<SharedUser>,
    /// What speaks against it, the most important first. In force, judging ends at the first one;
    /// in audit mode it goes on, so that a trial shows everything.
    pub findings: Vec<Finding>,
    /// The rules tried, in order.
    pub steps: Vec<Step>,
    /// Refusals are recorded and not carried out.
    pub audit: bool,
    /// When that ends by itself; `None`: it does not, or is not so.
    pub audit_until: Option<Timestamp>,
    /// The quotas that an accepted message is charged to.
    pub allowances: Vec<Allowance>,
}

/// One thing that speaks against.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// Why.
    pub reason: Reason,
    /// What exactly.
    pub about: About,
}

/// What a finding is about: the words of the reply are made from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum About {
    /// The reason says it all.
    Nothing,
    /// Somebody who logs in: the reply tells no more than whoever knows the password may know.
    Login,
    /// This sender of the message.
    Sender(Sender),
    /// This sender of the message, because of its domain's SPF record.
    Spf(Sender, Shortfall),
    /// This sender of the message, because of its domain's DMARC records.
    Dmarc(Sender, Dmarc),
    /// This sender of the message, because its domain's DNS does not answer.
    Outage(Sender, Outage),
    /// The message needs more than this quota has left.
    Quota {
        /// The quota, and what has been used of it.
        allowance: Allowance,
        /// What the message needs.
        needed: u64,
        /// What is over the limit is refused for good, not deferred.
        for_good: bool,
    },
    /// The message has more recipients than it may.
    Recipients {
        /// So many.
        given: u32,
        /// At most so many.
        allowed: u64,
    },
    /// The envelope sender cannot be used.
    Malformed {
        /// As it came.
        text: String,
        /// What is wrong with it.
        error: AddressError,
    },
    /// Postfix resolves the envelope sender to another domain than it says.
    ResolvesElsewhere {
        /// As it came.
        text: String,
        /// Where Postfix would go.
        resolved: String,
    },
    /// The header From cannot be used.
    HeaderFrom(FromError),
    /// Postfix did not hand over this macro.
    MissingMacro(&'static str),
    /// The login means another user than when the session began.
    LoginChangedHands,
}

impl Finding {
    /// What it amounts to.
    pub fn verdict(&self) -> Verdict {
        match self.about {
            About::Quota { for_good: true, .. } => Verdict::Refuse,
            About::Quota {
                for_good: false, ..
            }
            | About::Nothing
            | About::Login
            | About::Sender(_)
            | About::Spf(..)
            | About::Dmarc(..)
            | About::Outage(..)
            | About::Recipients { .. }
            | About::Malformed { .. }
            | About::ResolvesElsewhere { .. }
            | About::HeaderFrom(_)
            | About::MissingMacro(_)
            | About::LoginChangedHands => self.reason.verdict(),
        }
    }
}

impl About {
    /// The sender domain that it is about, if it is about one.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            About::Sender(sender)
            | About::Spf(sender, _)
            | About::Dmarc(sender, _)
            | About::Outage(sender, _) => sender.domain.as_ref(),
            About::Nothing
            | About::Login
            | About::Quota { .. }
            | About::Recipients { .. }
            | About::Malformed { .. }
            | About::ResolvesElsewhere { .. }
            | About::HeaderFrom(_)
            | About::MissingMacro(_)
            | About::LoginChangedHands => None,
        }
    }
}

/// One of the senders of a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sender {
    /// Where it stands.
    pub field: Field,
    /// The address as it was read.
    pub address: String,
    /// The domain in question, if the address has one.
    pub domain: Option<Domain>,
}

impl Decision {
    /// The reason that is told: of [`Decision::told`], or `allowed`.
    pub fn reason(&self) -> Reason {
        self.told().map_or(Reason::Allowed, |f| f.reason)
    }

    /// What is answered; where audit mode lets everything pass, what would be answered in force.
    pub fn verdict(&self) -> Verdict {
        self.told().map_or(Verdict::Allow, Finding::verdict)
    }

    /// The finding that is answered with; where audit mode lets everything pass, the first.
    pub fn told(&self) -> Option<&Finding> {
        self.carried_out().or(self.findings.first())
    }

    /// The finding that is carried out: the first that audit mode does not turn into an allow.
    pub fn carried_out(&self) -> Option<&Finding> {
        self.findings
            .iter()
            .find(|f| !(self.audit && f.reason.bows_to_audit()))
    }

    /// A decision that could not be made.
    pub fn trouble(reason: Reason) -> Decision {
        Decision {
            user: None,
            findings: vec![Finding {
                reason,
                about: About::Nothing,
            }],
            steps: Vec::new(),
            audit: false,
            audit_until: None,
            allowances: Vec::new(),
        }
    }

    /// The refusal of a session without a login on a daemon that is declared as authenticated.
    pub fn unauthenticated(rules: &Rules) -> Decision {
        Decision {
            audit: rules.audit,
            ..Decision::trouble(Reason::Unauthenticated)
        }
    }
}
