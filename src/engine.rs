//! The one place where facts, decision and log meet. Front ends ask here; nothing else decides.
//!
//! [`Engine::decide`] makes the whole decision anew each time. [`Engine::tell`] says it: it gives
//! the reply, and writes what has not been written yet about this message, so that Postfix may
//! ask the same thing as often as it likes.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::{ArcSwap, Guard};
use ipnet::IpNet;
use jiff::Timestamp;

use crate::answers::{Answers, Decided};
use crate::calendar::Calendar;
use crate::clock::Clock;
use crate::config::Config;
use crate::decision::facts::{Allowance, Facts, Question, Rules, Stage};
use crate::decision::reason::{Reason, Verdict};
use crate::decision::sentence::{Wording, reply};
use crate::decision::{Decision, Finding, Judged, judge};
use crate::directory::Directory;
use crate::dns::Resolver;
use crate::journal::{FrontEnd, Journal, Line};
use crate::model::decision_id::DecisionId;
use crate::model::network::ClientAddress;
use crate::model::reply::Reply;
use crate::model::sender::EnvelopeSender;
use crate::quotas;
use crate::standings::Standings;
use crate::store::StoreError;
use crate::transactions::Transactions;
use crate::uses::Uses;

/// The configuration as decisions use it.
pub struct Settings {
    /// As read.
    pub config: Config,
    /// What decisions depend on.
    pub rules: Rules,
    /// How replies are worded.
    pub wording: Wording,
    /// What DNS says about sender domains, by this configuration.
    pub standings: Standings,
    /// When the windows of quotas begin and end.
    pub calendar: Calendar,
    /// Since when it is in force.
    pub loaded_at: Timestamp,
}

impl Settings {
    /// Prepared once, at start and at reload.
    fn new(config: Config, standings: Standings, clock: &Clock) -> Settings {
        Settings {
            rules: config.rules(),
            wording: config.wording(),
            calendar: Calendar::new(config.quota.time_zone.0.clone()),
            loaded_at: clock.now(),
            standings,
            config,
        }
    }
}

/// What a front end knows beside the question; only the log reads it.
pub struct Context<'a> {
    /// Which front end.
    pub front_end: FrontEnd,
    /// At what point of SMTP.
    pub stage: Stage,
    /// As it arrived.
    pub login: &'a str,
    /// As it arrived.
    pub client: ClientAddress,
    /// `None` before MAIL.
    pub mail_from: Option<&'a EnvelopeSender>,
    /// The addresses of the header From.
    pub header_from: &'a [String],
    /// Accepted so far.
    pub recipients: u32,
    /// Empty where there is none.
    pub queue_id: &'a str,
    /// When the question came.
    pub asked: Instant,
}

impl Context<'_> {
    /// The network that a login is remembered by; at later stages somebody else may have
    /// checked the password.
    fn came_from(&self) -> Option<IpNet> {
        match self.stage {
            Stage::Auth => self.client.neighbourhood(),
            Stage::Mail | Stage::Rcpt | Stage::Data | Stage::Eom => None,
        }
    }
}

/// What has been said about one message. A front end keeps one for each message under way.
#[derive(Debug, Default)]
pub struct Record {
    /// What spoke against it.
    said: Vec<(Reason, DecisionId)>,
    /// That it is accepted was said too.
    accepted: bool,
}

/// Decides for all front ends.
pub struct Engine {
    /// The facts.
    pub directory: Directory,
    /// The time.
    pub clock: Clock,
    settings: ArcSwap<Settings>,
    journal: Journal,
    uses: Uses,
    /// What was decided and answered, counted.
    pub answers: Answers,
    /// The messages that a milter has under way.
    pub transactions: Transactions,
}

impl Engine {
    /// An engine on a directory and a resolver.
    pub fn new(
        directory: Directory,
        resolver: Resolver,
        config: Config,
        journal: Journal,
        clock: Clock,
    ) -> Engine {
        journal.configure(&config.log);
        let standings = Standings::new(resolver, config.criteria(), clock.clone());
        let settings = Settings::new(config, standings, &clock);
        Engine {
            directory,
            clock,
            settings: ArcSwap::from_pointee(settings),
            journal,
            uses: Uses::default(),
            answers: Answers::default(),
            transactions: Transactions::default(),
        }
    }

    /// The configuration in force.
    pub fn settings(&self) -> Guard<Arc<Settings>> {
        self.settings.load()
    }

    /// Puts another configuration in force, from the next question on. Nothing that DNS said
    /// before is remembered.
    pub fn reload(&self, config: Config, resolver: Resolver) {
        self.journal.configure(&config.log);
        let before = self.settings();
        let standings = before.standings.next(resolver, config.criteria());
        let settings = Settings::new(config, standings, &self.clock);
        self.settings.store(Arc::new(settings));
    }

    /// Where decisions are written.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Who was used lately.
    pub fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Gathers the facts and judges. Without the facts, nothing is permitted.
    pub async fn decide(&self, question: &Question<'_>) -> Decision {
        // Not counted as long as nothing takes long: all threads would write to the one counter.
        let settings = self.settings.load();
        let mut facts = match self.directory.facts(question, &settings.rules).await {
            Ok(facts) => facts,
            Err(error) => return self.trouble(&error),
        };
        facts.now = self.clock.now();
        if let Err(error) = self.add_quotas(question, &settings, &mut facts).await {
            return self.trouble(&error);
        }
        let needs = match judge(question, &facts, &settings.rules) {
            Judged::Decided(decision) => return decision,
            Judged::Needs(needs) => needs,
        };
        let settings = Guard::into_inner(settings);
        facts.standings = settings.standings.look_up(needs).await;
        match judge(question, &facts, &settings.rules) {
            Judged::Decided(decision) => decision,
            Judged::Needs(needs) => {
                tracing::error!(?needs, "a decision asks again for what it was told");
                Decision::trouble(Reason::InternalError)
            }
        }
    }

    /// Looks up what has been used of the quotas that apply.
    async fn add_quotas(
        &self,
        question: &Question<'_>,
        settings: &Settings,
        facts: &mut Facts,
    ) -> Result<(), StoreError> {
        let Some(user) = &facts.user else {
            return Ok(());
        };
        let store = self.directory.store().as_ref();
        let terms = facts.terms.as_deref();
        facts.allowances =
            quotas::allowances(store, user, terms, facts.now, &settings.calendar).await?;
        // Only then does it matter here. Where there is room, the charge itself knows.
        let recipients = question.recipients.unwrap_or(1);
        let fits = |allowance: &Allowance| allowance.has_room(recipients);
        if let (Some(key), false) = (question.charge, facts.allowances.iter().all(fits)) {
            facts.charged = store.is_charged(key).await?;
        }
        Ok(())
    }

    /// The decision that may accept a message for good: like [`Engine::decide`], and if nothing is
    /// in the way, the message is charged to its quotas before this returns. Asked again with the
    /// same [`Question::charge`], it charges nothing and says the same.
    pub async fn accept(&self, question: &Question<'_>) -> Decision {
        let mut decision = self.decide(question).await;
        let Some(key) = question.charge else {
            return decision;
        };
        if decision.carried_out().is_some() {
            return decision;
        }
        let recipients = question.recipients.unwrap_or(1);
        let charged = quotas::charge(
            self.directory.store().as_ref(),
            key,
            self.clock.now(),
            &decision.allowances,
            recipients,
            decision.audit,
        );
        match charged.await {
            Ok(None) => {
                self.answers.charged(&decision.allowances, recipients);
                decision
            }
            Ok(Some(allowance)) => {
                let for_good = self.settings().rules.refuse_over_quota;
                decision.run_out(allowance, recipients, for_good);
                decision
            }
            Err(error) => Decision {
                user: decision.user,
                ..self.trouble(&error)
            },
        }
    }

    /// An answer is on its way, whatever it says: for the figures.
    pub fn answered(&self, front_end: FrontEnd, asked: Instant) {
        let spent = self.clock.instant().saturating_duration_since(asked);
        self.answers.answered(front_end, spent);
    }

    /// The decision that the store's trouble leaves. Audit mode shows in its line, and changes
    /// nothing about it.
    pub fn trouble(&self, error: &StoreError) -> Decision {
        crate::telemetry::store_trouble(&self.clock, error);
        Decision {
            audit: self.settings().rules.audit,
            ..Decision::trouble(Reason::StoreUnavailable)
        }
    }

    /// Says a decision that is not the last word on its message: writes what speaks against it and
    /// was not yet written, and gives the reply to what is carried out (`None`: go on).
    pub fn tell(
        &self,
        record: &mut Record,
        context: &Context<'_>,
        decision: &Decision,
    ) -> Option<Reply> {
        let mut answer = None;
        for finding in &decision.findings {
            let (reply, carried_out) = self.tell_finding(record, context, decision, finding);
            if carried_out && answer.is_none() {
                answer = reply;
            }
        }
        answer
    }

    /// Says the last word on a message: like [`Engine::tell`], and if it is accepted, that is
    /// written once too.
    pub fn conclude(
        &self,
        record: &mut Record,
        context: &Context<'_>,
        decision: &Decision,
    ) -> Option<Reply> {
        let answer = self.tell(record, context, decision);
        if answer.is_none() && !record.accepted {
            record.accepted = true;
            let now = self.clock.now();
            let allowed = (Reason::Allowed, Verdict::Allow);
            self.write(
                context,
                decision,
                allowed,
                "",
                self.journal.new_id(now),
                now,
            );
            if let Some(user) = &decision.user {
                self.uses.note(user.id, context.came_from(), now);
            }
        }
        answer
    }

    fn tell_finding(
        &self,
        record: &mut Record,
        context: &Context<'_>,
        decision: &Decision,
        finding: &Finding,
    ) -> (Option<Reply>, bool) {
        let known = record
            .said
            .iter()
            .find(|(reason, _)| *reason == finding.reason);
        let now = self.clock.now();
        let (id, is_new) = match known {
            Some((_, id)) => (*id, false),
            None => (self.journal.new_id(now), true),
        };
        let settings = self.settings();
        let sender_len = context.mail_from.map_or(0, EnvelopeSender::len_on_the_wire);
        let reply = reply(
            decision,
            finding,
            &settings.wording,
            &id.to_string(),
            context.login,
            sender_len,
        );
        if is_new {
            let text = reply.as_ref().map(ToString::to_string).unwrap_or_default();
            let refused = (finding.reason, finding.verdict());
            self.write(context, decision, refused, &text, id, now);
            record.said.push((finding.reason, id));
        }
        let carried_out =
            decision.carried_out() == Some(finding) && finding.verdict() != Verdict::Allow;
        (reply, carried_out)
    }

    fn write(
        &self,
        context: &Context<'_>,
        decision: &Decision,
        (reason, verdict): (Reason, Verdict),
        reply: &str,
        id: DecisionId,
        time: Timestamp,
    ) {
        self.answers.decided(Decided {
            front_end: context.front_end,
            stage: context.stage,
            verdict,
            reason,
            audit: decision.audit,
        });
        let user = decision.user.as_ref();
        let mail_from = context.mail_from.map(ToString::to_string);
        let spent = self
            .clock
            .instant()
            .saturating_duration_since(context.asked);
        self.journal.write(&Line {
            time,
            id,
            front_end: context.front_end,
            stage: context.stage,
            verdict,
            reason,
            reply,
            user: user.map(|u| &u.name),
            user_id: user.map(|u| u.id),
            account: user.map(|u| &u.account),
            login: context.login,
            client: &context.client.to_string(),
            mail_from: mail_from.as_deref(),
            header_from: context.header_from,
            recipients: context.recipients,
            queue_id: context.queue_id,
            audit: decision.audit,
            micros: u32::try_from(spent.as_micros()).unwrap_or(u32::MAX),
        });
    }
}
