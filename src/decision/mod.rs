//! The decision core: facts in, decision out. Pure and synchronous.
//!
//! [`judge`] answers for all front ends and for `explain`; what a front end adds is only how it
//! reads the question and how it says the answer. Nothing here awaits, logs, reads a clock, or
//! knows a protocol, a store or a configuration file.

pub mod coverage;
pub mod facts;
pub mod finding;
pub mod login;
mod quota;
pub mod reason;
mod sender;
pub mod sentence;
pub mod step;

use std::ops::ControlFlow;

use jiff::Timestamp;

use facts::{Facts, Field, Question, Resolved, Rules, addresses_in_names};
pub use finding::{About, Decision, Finding};
use reason::Reason;
use step::{Detail, Outcome, Rule, Step};

use crate::model::address::Address;
use crate::model::header_from::{FromError, Mailbox};
use crate::model::network::ClientAddress;
use crate::model::sender::EnvelopeSender;
use crate::model::user::{CheckFrom, Status, User};
use crate::standing::Need;

/// May this login, from there, hand in this message as that sender?
///
/// What the question leaves out is not judged. Every stage of a message asks for the whole
/// decision anew, so that a change in between counts.
///
/// Where DNS has a say, and has not been asked yet, no decision can be made: the answer is then what
/// to look up, for all senders at once, and judging again with that decides.
pub fn judge(question: &Question<'_>, facts: &Facts, rules: &Rules) -> Judged {
    let audit = Audit::of(facts.user.as_deref(), rules.audit, facts.now);
    let mut judgement = Judgement {
        facts,
        rules,
        findings: Vec::new(),
        steps: Vec::with_capacity(Rule::MESSAGE.len()),
        needs: Vec::new(),
        audit: audit.on,
    };
    let _ = judgement.message(question);
    if !judgement.needs.is_empty() {
        return Judged::Needs(judgement.needs);
    }
    Judged::Decided(Decision {
        user: facts.user.clone(),
        findings: judgement.findings,
        steps: judgement.steps,
        audit: audit.on,
        audit_until: audit.until,
        allowances: facts.allowances.clone(),
    })
}

/// What judging comes to.
#[derive(Debug)]
#[must_use]
pub enum Judged {
    /// A decision.
    Decided(Decision),
    /// These have to be looked up first.
    Needs(Vec<Need>),
}

/// The work in progress on one decision.
struct Judgement<'a> {
    facts: &'a Facts,
    rules: &'a Rules,
    findings: Vec<Finding>,
    steps: Vec<Step>,
    needs: Vec<Need>,
    audit: bool,
}

/// Whether judging goes on after a rule: `?` leaves at the first refusal that is carried out.
type Flow = ControlFlow<()>;
const ON: Flow = ControlFlow::Continue(());

impl Judgement<'_> {
    fn message(&mut self, question: &Question<'_>) -> Flow {
        let Some(user) = self.facts.user.as_deref() else {
            return self.unknown_login(question);
        };
        self.login(question, user)?;
        self.status(user)?;
        self.client(question.client, user)?;
        self.envelope(question, user)?;
        self.header_from(question, user)?;
        self.recipients(question, user)?;
        self.quotas(question)
    }

    /// A login that had a user when the session began is one that was deleted, not one that
    /// nobody has moved over yet.
    fn unknown_login(&mut self, question: &Question<'_>) -> Flow {
        if self.rules.allow_unknown_users && question.session_user.is_none() {
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
        if let EnvelopeSender::Malformed { text, error } = sender {
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
        let literal = matches!(sender, EnvelopeSender::Address(a) if a.domain().is_none());
        match question.resolved {
            Resolved::NotAsked => {}
            // Refused below whatever Postfix makes of it: it rewrites the case of a literal.
            Resolved::Missing | Resolved::As(_) if literal => {}
            Resolved::Missing if *sender == EnvelopeSender::Null => {}
            Resolved::Missing => {
                let about = About::MissingMacro("{mail_addr}");
                return self.fail(rule, Detail::MissingMacro, Reason::InternalError, about);
            }
            Resolved::As(resolved) if resolved.is_at_the_site_of(sender) => {}
            Resolved::As(resolved) => {
                let about = About::ResolvesElsewhere {
                    text: sender.to_string(),
                    resolved: resolved.to_string(),
                };
                let detail = Detail::ResolvesElsewhere(resolved.to_string());
                return self.fail(rule, detail, Reason::SenderMalformed, about);
            }
        }
        let EnvelopeSender::Address(address) = sender else {
            return self.pass(rule, Detail::NullSender);
        };
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
        let read = match header_from {
            // Nothing passes for want of anything to look at.
            Ok(mailboxes) if mailboxes.is_empty() => Err(FromError::Empty),
            Ok(mailboxes) if self.rules.refuse_display_name_addresses => {
                addresses_in_names(mailboxes).map(|in_names| (mailboxes, in_names))
            }
            Ok(mailboxes) => Ok((mailboxes, Vec::new())),
            Err(error) => Err(*error),
        };
        let error = match read {
            Ok((mailboxes, in_names)) => return self.mailboxes(mailboxes, &in_names, user),
            Err(error) => error,
        };
        let reason = if error.is_missing() {
            Reason::HeaderFromMissing
        } else {
            Reason::HeaderFromMalformed
        };
        self.fail(
            rule,
            Detail::HeaderFrom(error),
            reason,
            About::HeaderFrom(error),
        )
    }

    /// Each mailbox has to pass by itself, and each address that a reader could take for one.
    fn mailboxes(&mut self, mailboxes: &[Mailbox], in_names: &[Address], user: &User) -> Flow {
        let rule = Rule::HeaderFrom;
        for mailbox in mailboxes {
            self.sender(rule, Field::HeaderFrom, &mailbox.address, user)?;
        }
        for address in in_names {
            self.sender(rule, Field::DisplayName, address, user)?;
        }
        ON
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

/// Whether refusals are only recorded, and until when.
pub(crate) struct Audit {
    pub on: bool,
    /// `None`: no end is set.
    pub until: Option<Timestamp>,
}

impl Audit {
    /// By the site's configuration or the user's own setting: either suffices.
    pub fn of(user: Option<&User>, site: bool, now: Timestamp) -> Audit {
        let user = user.filter(|user| user.is_audited(now));
        Audit {
            on: site || user.is_some(),
            until: user.filter(|_| !site).and_then(|user| user.enforce_until),
        }
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
