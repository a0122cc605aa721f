//! What `explain` and `user test` print: verdict, reason, reply, the rules tried, and the command
//! that would change the answer.

use serde::Serialize;

use crate::cli::failure::Exit;
use crate::cli::output::Output;
use crate::decision::Decision;
use crate::decision::reason::Verdict;
use crate::decision::sentence::{Wording, reply};

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
    /// Audit mode turns this refusal into an allow.
    #[serde(skip)]
    let_pass: bool,
}

/// One of many.
#[derive(Serialize)]
struct OfLine<'a> {
    /// Which line of the input, from 1.
    line: u64,
    #[serde(flatten)]
    answer: &'a Answer,
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
            let_pass: told.is_some() && decision.carried_out().is_none(),
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

    fn exit(&self) -> Exit {
        if self.verdict == Verdict::Allow.to_string() {
            Exit::Done
        } else {
            Exit::Refused
        }
    }

    /// What audit mode does about the verdict, if it is on.
    fn audit_words(&self) -> Option<&'static str> {
        match (self.audit, self.let_pass) {
            (_, true) => Some("audit mode is on: this is only logged, and it passes"),
            (true, false) if self.verdict != Verdict::Allow.to_string() => {
                Some("audit mode is on, and does not touch this: it is answered like that")
            }
            (_, false) => None,
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
            fields.push(("audit", words.to_owned()));
        }
        output.fields(&fields);
    }
}
