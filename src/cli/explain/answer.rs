//! What `explain` and `user test` print: verdict, reason, reply, the rules tried, and the command
//! that would change the answer.

use jiff::Timestamp;
use serde::Serialize;

use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::decision::Decision;
use crate::decision::facts::Stage;
use crate::decision::reason::Verdict;
use crate::decision::sentence::{Wording, reply};
use crate::journal::Fields;
use crate::model::name::UserId;
use crate::model::user::Enforce;
use crate::store::log::Entry;

/// An explained decision; the fields that scripts hold on to.
#[derive(Serialize)]
pub struct Answer {
    verdict: String,
    reason: String,
    reply: String,
    steps: Vec<Step>,
    fix: String,
    /// Audit mode is on, for the site or the user.
    audit: bool,
    /// When it ends by itself.
    audit_until: Option<Timestamp>,
    /// When that of the user has ended.
    #[serde(skip)]
    audit_ended: Option<Timestamp>,
    /// Audit mode turns this refusal into an allow.
    #[serde(skip)]
    let_pass: bool,
    /// All that speaks against it: in audit mode it can be more than one thing.
    #[serde(skip)]
    findings: Vec<(&'static str, &'static str)>,
    /// Whose message it is.
    #[serde(skip)]
    user_id: Option<UserId>,
}

/// One of many.
#[derive(Serialize)]
struct OfLine<'a> {
    /// Which line of the input, from 1.
    line: u64,
    #[serde(flatten)]
    answer: &'a Answer,
}

/// The present answer to what was decided once.
#[derive(Serialize)]
struct OfDecision<'a> {
    #[serde(flatten)]
    answer: &'a Answer,
    decision: Fields<'a>,
}

/// One rule.
#[derive(Serialize)]
struct Step {
    rule: &'static str,
    outcome: &'static str,
    detail: String,
}

impl Answer {
    /// Puts it into words. `login` as it came, `sender_len` the bytes of the envelope sender. The
    /// reply is the daemon's, without the report link: nothing has been written that the link
    /// could lead to.
    pub fn new(
        decision: &Decision,
        wording: &Wording,
        login: &str,
        sender_len: usize,
        fix: String,
    ) -> Answer {
        let wording = Wording {
            report_url: String::new(),
            ..wording.clone()
        };
        let told = decision.told();
        let reply =
            told.and_then(|finding| reply(decision, finding, &wording, "", login, sender_len));
        Answer {
            verdict: decision.verdict().to_string(),
            reason: decision.reason().to_string(),
            reply: reply.map(|reply| reply.to_string()).unwrap_or_default(),
            steps: decision
                .steps
                .iter()
                .map(|step| Step {
                    rule: step.rule.id(),
                    outcome: step.outcome.id(),
                    detail: step.detail.to_string(),
                })
                .collect(),
            fix,
            audit: decision.audit,
            audit_until: decision.audit_until,
            audit_ended: ended(decision),
            let_pass: told.is_some() && decision.carried_out().is_none(),
            findings: decision
                .findings
                .iter()
                .map(|finding| (finding.verdict().id(), finding.reason.id()))
                .collect(),
            user_id: decision.user.as_ref().map(|user| user.id),
        }
    }

    /// Prints it. The exit status is that of an answer in force.
    pub fn print(&self, output: &mut Output) -> Exit {
        if output.is_json() {
            output.value(self);
        } else {
            self.print_table(output);
        }
        self.exit()
    }

    /// Prints it as the explanation of one of many lines.
    pub fn print_line(&self, number: u64, line: &str, output: &mut Output) -> Exit {
        if output.is_json() {
            let answer = self;
            output.value(&OfLine {
                line: number,
                answer,
            });
        } else {
            output.fields(&[("line", format!("{number}: {line}"))]);
            output.text("", "");
            self.print_table(output);
            output.text("", "");
        }
        self.exit()
    }

    /// What was answered then, where nothing can be judged again.
    pub fn given(line: &Entry<'_>) -> Answer {
        Answer {
            verdict: line.verdict.to_owned(),
            reason: line.reason.to_owned(),
            reply: line.reply.to_owned(),
            steps: Vec::new(),
            fix: String::new(),
            audit: line.audit,
            audit_until: None,
            audit_ended: None,
            let_pass: false,
            findings: Vec::new(),
            user_id: line.user_id,
        }
    }

    /// Prints it behind the line of the log that it explains anew; `unjudged` says what could not be.
    pub fn print_decision(
        &self,
        line: &Entry<'_>,
        unjudged: Option<&str>,
        output: &mut Output,
    ) -> Exit {
        if output.is_json() {
            output.value(&OfDecision {
                answer: self,
                decision: Fields(line),
            });
            return self.exit();
        }
        output.fields(&logged_fields(line));
        if self.steps.is_empty() {
            output.say(
                "note",
                "nobody had logged in, so there is nothing to judge again",
            );
            return self.exit();
        }
        output.text("", "");
        self.print_table(output);
        let allowed = self.verdict == Verdict::Allow.id();
        let (then, why) = (line.verdict, line.reason);
        let today = if self.is_as(line) {
            "the answer is the same".to_owned()
        } else if allowed && unjudged.is_some() {
            format!("nothing else speaks against it than {why}, which could not be judged again")
        } else {
            format!(
                "the answer differs: it was {then} ({why}), now it is {} ({})",
                self.verdict, self.reason
            )
        };
        output.fields(&[("today", today)]);
        if let Some(words) = unjudged.filter(|_| allowed || line.stage == Stage::Auth.id()) {
            output.say("note", words);
        }
        if let (Some(then), Some(now)) = (line.user_id, self.user_id)
            && then != now
        {
            let words = format!(
                "the login is that of another user today: it was {then}, and {now} was judged"
            );
            output.say("note", &words);
        }
        self.exit()
    }

    /// Whether the daemon would write this line again.
    fn is_as(&self, line: &Entry<'_>) -> bool {
        let (then, why) = (line.verdict, line.reason);
        // What audit mode lets pass has a line for each thing that speaks against it, and one more.
        let again = then == Verdict::Allow.id() || self.findings.contains(&(then, why));
        (self.let_pass && again) || (then, why) == (&self.verdict, &self.reason)
    }

    fn exit(&self) -> Exit {
        if self.verdict == Verdict::Allow.to_string() {
            Exit::Done
        } else {
            Exit::Refused
        }
    }

    /// What audit mode does about the verdict, if it is on.
    fn audit_words(&self) -> Option<String> {
        let until = |time: &Timestamp| format!(" until {time}");
        let until = self.audit_until.as_ref().map(until).unwrap_or_default();
        let allowed = self.verdict == Verdict::Allow.to_string();
        match (self.audit, self.audit_ended) {
            (true, _) if self.let_pass => Some(format!(
                "audit mode is on{until}: this is only logged, and it passes"
            )),
            (true, _) if !allowed => Some(format!(
                "audit mode is on{until}, and does not touch this: it is answered like that"
            )),
            (false, Some(end)) if !allowed => Some(format!("audit mode of this user ended {end}")),
            (_, _) => None,
        }
    }

    fn print_table(&self, output: &mut Output) {
        let rows: Vec<_> = self
            .steps
            .iter()
            .map(|step| {
                vec![
                    step.rule.to_owned(),
                    step.outcome.to_owned(),
                    step.detail.clone(),
                ]
            })
            .collect();
        output.table(&["rule", "outcome", "detail"], &rows);
        output.text("", "");
        let mut fields = vec![("verdict", format!("{} ({})", self.verdict, self.reason))];
        for (name, value) in [("reply", &self.reply), ("fix", &self.fix)] {
            if !value.is_empty() {
                fields.push((name, value.clone()));
            }
        }
        if let Some(words) = self.audit_words() {
            fields.push(("audit", words));
        }
        output.fields(&fields);
    }
}

/// When the audit mode of the user ended, if none is on.
fn ended(decision: &Decision) -> Option<Timestamp> {
    let user = decision.user.as_deref()?;
    match user.enforce {
        Enforce::Audit if !decision.audit => user.enforce_until,
        Enforce::Audit | Enforce::On => None,
    }
}

/// A line of the log for eyes, a field a line.
fn logged_fields(line: &Entry<'_>) -> Vec<(&'static str, String)> {
    let audit = if line.audit { ", audit mode" } else { "" };
    let header_from: Vec<&str> = line.header_from.iter().collect();
    let mut fields = vec![
        ("id", line.id.to_string()),
        ("time", format!("{:.3}", line.at)),
        ("asked", format!("{} {}", line.front_end, line.stage)),
        (
            "decided",
            format!("{} ({}{audit})", line.verdict, line.reason),
        ),
        ("replied", line.reply.to_owned()),
        ("user", line.user.unwrap_or_default().to_owned()),
        (
            "user id",
            line.user_id.map(|id| id.to_string()).unwrap_or_default(),
        ),
        ("account", line.account.unwrap_or_default().to_owned()),
        ("login", line.login.to_owned()),
        ("client", line.client.to_owned()),
        (
            "envelope sender",
            line.mail_from.map(sender).unwrap_or_default(),
        ),
        ("header From", header_from.join(", ")),
        ("recipients", line.recipients.to_string()),
        ("queue id", line.queue_id.to_owned()),
    ];
    fields.retain(|(_, value)| !value.is_empty());
    fields
}

fn sender(text: &str) -> String {
    match text {
        "" => "<>".to_owned(),
        address => address.to_owned(),
    }
}
