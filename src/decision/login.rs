//! The decision about a login: may this name with this password come in from there?
//!
//! The order is the promise: the IP list is looked at only after the right password, so that
//! `IP not authorized` tells nobody anything new who does not know the password.

use jiff::Timestamp;

use super::reason::Reason;
use super::step::{Detail, Outcome, Rule, Step};
use super::{About, Audit, Decision, Finding, client_fits};
use crate::model::network::ClientAddress;
use crate::model::user::{SharedUser, Status};

/// What checking the password came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Password {
    /// It is the user's.
    Right,
    /// It is not, or there is no such user.
    Wrong,
    /// Nobody gave one (`outgate user test` without a password).
    NotGiven,
    /// Too many different wrong ones: this one was not looked at.
    Throttled,
}

/// What is known about an attempt to log in. Made by the authenticator and by `user test`.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The user of that login, if there is one.
    pub user: Option<SharedUser>,
    /// What checking the password came to.
    pub password: Password,
    /// The client's address; `None` is not judged.
    pub client: Option<ClientAddress>,
    /// Audit mode of the whole site.
    pub audit: bool,
    /// When it is made.
    pub now: Timestamp,
}

/// Judges an attempt whose mechanism and TLS are in order.
pub fn judge_login(attempt: &Attempt) -> Decision {
    let audit = Audit::of(attempt.user.as_deref(), attempt.audit, attempt.now);
    let mut decision = Decision {
        user: attempt.user.clone(),
        findings: Vec::new(),
        steps: Vec::with_capacity(Rule::LOGIN.len()),
        audit: audit.on,
        audit_until: audit.until,
        allowances: Vec::new(),
    };
    let settled = [throttle, account, password, status, client]
        .into_iter()
        .find_map(|rule| rule(attempt, &mut decision.steps));
    if let Some(reason) = settled {
        decision.findings.push(Finding {
            reason,
            about: About::Login,
        });
    }
    decision
}

/// Refuses before any password is looked at.
pub fn refuse_mechanism(why: &'static str) -> Decision {
    refused(
        Rule::Mechanism,
        Detail::MechanismRefused(why),
        Reason::Mechanism,
    )
}

/// Refuses a password that came over a connection without TLS.
pub fn refuse_clear_text() -> Decision {
    refused(Rule::Tls, Detail::TlsMissing, Reason::TlsRequired)
}

fn refused(rule: Rule, detail: Detail, reason: Reason) -> Decision {
    let mut decision = Decision::trouble(reason);
    decision.steps.push(step(rule, Outcome::Fail, detail));
    decision
}

fn step(rule: Rule, outcome: Outcome, detail: Detail) -> Step {
    Step {
        rule,
        outcome,
        detail,
    }
}

fn throttle(attempt: &Attempt, steps: &mut Vec<Step>) -> Option<Reason> {
    match attempt.password {
        Password::Throttled => {
            steps.push(step(Rule::Throttle, Outcome::Fail, Detail::Throttled));
            Some(Reason::Throttled)
        }
        Password::Right | Password::Wrong => {
            steps.push(step(Rule::Throttle, Outcome::Pass, Detail::ThrottleFine));
            None
        }
        Password::NotGiven => {
            steps.push(step(Rule::Throttle, Outcome::Skip, Detail::NotGiven));
            None
        }
    }
}

fn account(attempt: &Attempt, steps: &mut Vec<Step>) -> Option<Reason> {
    match &attempt.user {
        Some(user) => {
            steps.push(step(
                Rule::Login,
                Outcome::Pass,
                Detail::User(user.name.clone(), user.mode),
            ));
            None
        }
        None => {
            steps.push(step(Rule::Login, Outcome::Fail, Detail::UnknownLogin));
            Some(Reason::NoSuchUser)
        }
    }
}

fn password(attempt: &Attempt, steps: &mut Vec<Step>) -> Option<Reason> {
    let (outcome, detail, reason) = match attempt.password {
        Password::Right => (Outcome::Pass, Detail::PasswordRight, None),
        Password::NotGiven => (Outcome::Skip, Detail::NotGiven, None),
        Password::Wrong => (
            Outcome::Fail,
            Detail::PasswordWrong,
            Some(Reason::BadPassword),
        ),
        Password::Throttled => (Outcome::Skip, Detail::Settled, Some(Reason::Throttled)),
    };
    steps.push(step(Rule::Password, outcome, detail));
    reason
}

fn status(attempt: &Attempt, steps: &mut Vec<Step>) -> Option<Reason> {
    match attempt.user.as_ref()?.status {
        Status::Active => {
            steps.push(step(Rule::Status, Outcome::Pass, Detail::Active));
            None
        }
        Status::Suspended => {
            steps.push(step(Rule::Status, Outcome::Fail, Detail::Suspended));
            Some(Reason::Suspended)
        }
    }
}

fn client(attempt: &Attempt, steps: &mut Vec<Step>) -> Option<Reason> {
    let Some(address) = attempt.client else {
        steps.push(step(Rule::Client, Outcome::Skip, Detail::NotGiven));
        return None;
    };
    match client_fits(address, attempt.user.as_ref()?) {
        Ok(detail) => {
            steps.push(step(Rule::Client, Outcome::Pass, detail));
            None
        }
        Err(detail) => {
            steps.push(step(Rule::Client, Outcome::Fail, detail));
            Some(Reason::IpNotAuthorized)
        }
    }
}
