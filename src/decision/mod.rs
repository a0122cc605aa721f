//! The decision core: facts in, decision out. Pure and synchronous.
//!
//! [`judge`] answers for all front ends and for `explain`; what a front end adds is only how it
//! reads the question and how it says the answer. Nothing here awaits, logs, reads a clock, or
//! knows a protocol, a store or a configuration file.

pub mod coverage;
pub mod facts;
pub mod login;
pub mod reason;
pub mod sentence;
pub mod step;

use std::ops::ControlFlow;

use coverage::{cover, foreign_owner};
use facts::{Facts, Field, Question, Resolved, Rules};
use reason::{Reason, Verdict};
use step::{Detail, Outcome, Rule, Step};

use crate::model::address::{Address, AddressError};
use crate::model::display_name::addresses_in;
use crate::model::domain::Domain;
use crate::model::header_from::{FromError, Mailbox};
use crate::model::network::ClientAddress;
use crate::model::sender::EnvelopeSender;
use crate::model::user::{CheckFrom, Enforce, Mode, Plan, SharedUser, Status, User};

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
    Sender {
        /// Where it stands.
        field: Field,
        /// The address as it was read.
        address: String,
        /// The domain in question, if the address has one.
        domain: Option<Domain>,
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

impl Decision {
    /// The first reason, or `allowed`.
    pub fn reason(&self) -> Reason {
        self.findings.first().map_or(Reason::Allowed, |f| f.reason)
    }

    /// What would be answered in force.
    pub fn verdict(&self) -> Verdict {
        self.reason().verdict()
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

/// May this login, from there, hand in this message as that sender?
///
/// What the question leaves out is not judged. Every stage of a message asks for the whole
/// decision anew, so that a change in between counts.
pub fn judge(question: &Question<'_>, facts: &Facts, rules: &Rules) -> Decision {
    let mut judgement = Judgement {
        facts,
        rules,
        findings: Vec::new(),
        steps: Vec::with_capacity(Rule::MESSAGE.len()),
        audit: rules.audit,
    };
    if let Some(user) = &facts.user {
        judgement.audit |= user.enforce == Enforce::Audit;
    }
    let _ = judgement.message(question);
    Decision {
        user: facts.user.clone(),
        findings: judgement.findings,
        steps: judgement.steps,
        audit: judgement.audit,
    }
}

/// The work in progress on one decision.
struct Judgement<'a> {
    facts: &'a Facts,
    rules: &'a Rules,
    findings: Vec<Finding>,
    steps: Vec<Step>,
    audit: bool,
}

/// Whether judging goes on after a rule: `?` leaves at the first refusal that is carried out.
type Flow = ControlFlow<()>;
const ON: Flow = ControlFlow::Continue(());

impl Judgement<'_> {
    fn message(&mut self, question: &Question<'_>) -> Flow {
        let Some(user) = self.facts.user.as_deref() else {
            return self.unknown_login();
        };
        self.login(question, user)?;
        self.status(user)?;
        self.client(question.client, user)?;
        self.envelope(question, user)?;
        self.header_from(question, user)
    }

    fn unknown_login(&mut self) -> Flow {
        if self.rules.allow_unknown_users {
            return self.pass(Rule::Login, Detail::UnknownLoginAllowed);
        }
        self.fail(
            Rule::Login,
            Detail::UnknownLogin,
            Reason::UnknownUser,
            About::Nothing,
        )
    }

    fn login(&mut self, question: &Question<'_>, user: &User) -> Flow {
        match question.session_user {
            Some(id) if id != user.id => self.fail(
                Rule::Login,
                Detail::LoginChangedHands,
                Reason::UnknownUser,
                About::LoginChangedHands,
            ),
            Some(_) | None => self.pass(Rule::Login, Detail::User(user.name.clone(), user.mode)),
        }
    }

    fn status(&mut self, user: &User) -> Flow {
        match user.status {
            Status::Active => self.pass(Rule::Status, Detail::Active),
            Status::Suspended => self.fail(
                Rule::Status,
                Detail::Suspended,
                Reason::Suspended,
                About::Nothing,
            ),
        }
    }

    fn client(&mut self, client: Option<ClientAddress>, user: &User) -> Flow {
        let Some(client) = client else {
            return self.skip(Rule::Client, Detail::NotGiven);
        };
        match client_fits(client, user) {
            Ok(detail) => self.pass(Rule::Client, detail),
            Err(detail) => self.fail(
                Rule::Client,
                detail,
                Reason::IpNotAuthorized,
                About::Nothing,
            ),
        }
    }

    fn envelope(&mut self, question: &Question<'_>, user: &User) -> Flow {
        let Some(sender) = question.sender else {
            return self.skip(Rule::EnvelopeSender, Detail::NotGiven);
        };
        match user.check_from {
            CheckFrom::Both | CheckFrom::Envelope => {}
            CheckFrom::Header => {
                return self.skip(Rule::EnvelopeSender, Detail::CheckFrom(user.check_from));
            }
        }
        let rule = Rule::EnvelopeSender;
        let address = match sender {
            EnvelopeSender::Null => return self.pass(rule, Detail::NullSender),
            EnvelopeSender::Malformed { text, error } => {
                let about = About::Malformed {
                    text: text.to_string(),
                    error: *error,
                };
                return self.fail(
                    rule,
                    Detail::Malformed(*error),
                    Reason::SenderMalformed,
                    about,
                );
            }
            EnvelopeSender::Address(address) => address,
        };
        match question.resolved {
            Resolved::NotAsked => {}
            Resolved::Missing => {
                let about = About::MissingMacro("{mail_addr}");
                return self.fail(rule, Detail::MissingMacro, Reason::InternalError, about);
            }
            Resolved::As(EnvelopeSender::Address(resolved)) if resolved.site == address.site => {}
            Resolved::As(resolved) => {
                let about = About::ResolvesElsewhere {
                    text: address.to_string(),
                    resolved: resolved.to_string(),
                };
                let detail = Detail::ResolvesElsewhere(resolved.to_string());
                return self.fail(rule, detail, Reason::SenderMalformed, about);
            }
        }
        self.sender(rule, Field::Envelope, address, user)
    }

    fn header_from(&mut self, question: &Question<'_>, user: &User) -> Flow {
        let rule = Rule::HeaderFrom;
        let Some(header_from) = question.header_from else {
            return self.skip(rule, Detail::NotGiven);
        };
        match user.check_from {
            CheckFrom::Both | CheckFrom::Header => {}
            CheckFrom::Envelope => return self.skip(rule, Detail::CheckFrom(user.check_from)),
        }
        let mailboxes = match header_from {
            Ok(mailboxes) => mailboxes,
            Err(error) => {
                let reason = if error.is_missing() {
                    Reason::HeaderFromMissing
                } else {
                    Reason::HeaderFromMalformed
                };
                return self.fail(
                    rule,
                    Detail::HeaderFrom(*error),
                    reason,
                    About::HeaderFrom(*error),
                );
            }
        };
        for mailbox in mailboxes {
            self.mailbox(mailbox, user)?;
        }
        ON
    }

    /// Each mailbox has to pass by itself.
    fn mailbox(&mut self, mailbox: &Mailbox, user: &User) -> Flow {
        self.sender(Rule::HeaderFrom, Field::HeaderFrom, &mailbox.address, user)?;
        if !self.rules.refuse_display_name_addresses {
            return ON;
        }
        let name = mailbox.display_name.as_deref().unwrap_or_default();
        for address in addresses_in(name) {
            self.sender(Rule::HeaderFrom, Field::DisplayName, &address, user)?;
        }
        ON
    }

    /// One address, wherever it stands: what both halves of a message are held to.
    fn sender(&mut self, rule: Rule, field: Field, address: &Address, user: &User) -> Flow {
        let not_allowed = match field {
            Field::Envelope => Reason::SenderNotAllowed,
            Field::HeaderFrom | Field::DisplayName => Reason::HeaderFromNotAllowed,
        };
        let about = |domain: Option<&Domain>| About::Sender {
            field,
            address: address.to_string(),
            domain: domain.cloned(),
        };
        let Some(domain) = address.domain() else {
            return self.fail(rule, Detail::Literal, not_allowed, about(None));
        };
        let Some(lineage) = self.facts.lineage(domain) else {
            // The engine looks up every domain of the question; without the fact, no permit.
            return self.fail(
                rule,
                Detail::MissingFact,
                Reason::InternalError,
                About::Nothing,
            );
        };
        if let Some(cover) = cover(user, address, lineage, self.rules) {
            return self.pass(rule, Detail::Covered(domain.clone(), cover));
        }
        let owner = foreign_owner(&user.account, lineage).cloned();
        let (detail, reason) = match user.mode {
            Mode::Default => (
                Detail::NotCovered(domain.clone(), user.mode, owner),
                not_allowed,
            ),
            Mode::AllDomains => (
                Detail::NotCovered(domain.clone(), user.mode, owner),
                not_allowed,
            ),
            Mode::AnyDomain => self.any_domain(domain, owner),
        };
        self.fail(rule, detail, reason, about(Some(domain)))
    }

    /// Why mode `any-domain` refuses a domain that the account has not verified itself. Nothing
    /// passes here before the domain's SPF record has been read.
    fn any_domain(&self, domain: &Domain, owner: Option<Domain>) -> (Detail, Reason) {
        match (self.facts.plan, owner) {
            (Some(Plan::Pro), Some(owner)) => {
                (Detail::OwnedElsewhere(owner), Reason::OwnedByAnotherAccount)
            }
            (Some(Plan::Pro), None) => (Detail::NoSpf(domain.clone()), Reason::SpfMissing),
            (Some(Plan::Free), _) => (Detail::PlanFree, Reason::Plan),
            (None, _) => (Detail::MissingFact, Reason::InternalError),
        }
    }

    fn pass(&mut self, rule: Rule, detail: Detail) -> Flow {
        self.note(rule, Outcome::Pass, detail);
        ON
    }

    fn skip(&mut self, rule: Rule, detail: Detail) -> Flow {
        self.note(rule, Outcome::Skip, detail);
        ON
    }

    fn fail(&mut self, rule: Rule, detail: Detail, reason: Reason, about: About) -> Flow {
        self.note(rule, Outcome::Fail, detail);
        let finding = Finding { reason, about };
        if !self.findings.contains(&finding) {
            self.findings.push(finding);
        }
        if self.audit && reason.bows_to_audit() {
            ON
        } else {
            ControlFlow::Break(())
        }
    }

    fn note(&mut self, rule: Rule, outcome: Outcome, detail: Detail) {
        self.steps.push(Step {
            rule,
            outcome,
            detail,
        });
    }
}

/// Whether the user may connect from there. No list: from anywhere. No address: only without a list.
pub(crate) fn client_fits(client: ClientAddress, user: &User) -> Result<Detail, Detail> {
    match client {
        _ if user.networks.is_empty() => Ok(Detail::NoIpList),
        ClientAddress::Unknown => Err(Detail::ClientUnknown),
        ClientAddress::Known(address) => match user.networks.iter().find(|n| n.contains(address)) {
            Some(network) => Ok(Detail::Network(*network)),
            None => Err(Detail::NotInList(address)),
        },
    }
}
