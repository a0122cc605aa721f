//! One SMTP session: which login it speaks for, the message under way, and the questions that its
//! commands raise.

use std::ffi::CStr;

use indymilter::Macros;

use super::message::{Envelope, FromFields, Message};
use crate::decision::Decision;
use crate::decision::facts::{Question, Resolved, Stage};
use crate::decision::reason::Reason;
use crate::engine::{Context, Engine, Record};
use crate::journal::FrontEnd;
use crate::model::header_from::{FromError, Mailbox};
use crate::model::name::UserId;
use crate::model::network::ClientAddress;
use crate::model::quota::MessageKey;
use crate::model::reply::Reply;
use crate::model::sender::EnvelopeSender;
use crate::telemetry::{self, OnceAMinute};
use crate::transactions;

/// What is kept from one command to the next.
#[derive(Default)]
pub struct Session {
    /// The user that this login meant when it was first seen. A login that comes to mean
    /// another one has to log in again, which opens another session.
    spoken_for: Option<(String, UserId)>,
    /// The message under way.
    envelope: Envelope,
    /// The trace header's name, if Postfix lets this session change headers.
    pub trace: String,
    /// How many fields of that name the message under way has, whoever sends it.
    pub traces: i32,
}

/// What the end of a message came to.
pub struct Ending {
    /// What is refused.
    pub reply: Option<Reply>,
    /// Who sent it, if it is accepted.
    pub user: Option<UserId>,
}

impl Session {
    /// MAIL: a new message, whatever became of the last one.
    pub async fn mail(
        &mut self,
        engine: &Engine,
        macros: &Macros,
        argument: &[u8],
    ) -> Option<Reply> {
        self.close();
        self.traces = 0;
        let Some(login) = login(macros) else {
            let reply = unauthenticated(engine, macros, argument);
            if reply.is_none() {
                self.envelope = Envelope::Unjudged;
            }
            return reply;
        };
        let sender = EnvelopeSender::from_mail_argument(argument);
        let resolved = resolved(macros);
        if resolved == Resolved::Missing && sender != EnvelopeSender::Null {
            macros_are_missing(engine);
        }
        let client = client(macros);
        let session = transactions::Session {
            client,
            port: port(macros, c"{client_port}"),
            login: login.as_str().into(),
        };
        let under_way = engine
            .transactions
            .open(session, port(macros, c"{daemon_port}"));
        self.envelope = Envelope::Open(Box::new(Message {
            login,
            client,
            sender,
            resolved,
            recipients: 0,
            record: Record::default(),
            from: FromFields::default(),
            key: MessageKey::unique(),
            _under_way: under_way,
        }));
        self.ask(engine, Stage::Mail, "").await
    }

    /// RCPT: counted if it is allowed.
    pub async fn rcpt(&mut self, engine: &Engine) -> Option<Reply> {
        let reply = self.ask(engine, Stage::Rcpt, "").await;
        if let (None, Envelope::Open(message)) = (&reply, &mut self.envelope) {
            message.recipients = message.recipients.saturating_add(1);
        }
        reply
    }

    /// DATA. After a refused `BDAT … LAST`, Postfix (seen with 3.7.11) forgets the message but not
    /// that it has recipients: it asks about a DATA that belongs to no message, or to one without
    /// recipients, and its smtpd dies of what comes next unless that is refused.
    pub async fn data(&mut self, engine: &Engine, macros: &Macros) -> Option<Reply> {
        let reply = self.ask(engine, Stage::Data, &queue_id(macros)).await;
        match &self.envelope {
            Envelope::Open(message) if reply.is_none() && message.recipients == 0 => {
                out_of_turn(engine, Stage::Data)
            }
            Envelope::Open(_) | Envelope::Unjudged | Envelope::Closed => reply,
        }
    }

    /// The message is over, or given up.
    pub fn close(&mut self) {
        self.envelope = Envelope::Closed;
    }

    /// A header field: only From and the trace header are of interest.
    pub fn header(&mut self, name: &CStr, value: &CStr) {
        // Postfix takes off the space in front of the colon; another MTA may not.
        let name = name.to_bytes().trim_ascii_end();
        if !self.trace.is_empty() && name.eq_ignore_ascii_case(self.trace.as_bytes()) {
            self.traces = self.traces.saturating_add(1);
        }
        if let Envelope::Open(message) = &mut self.envelope
            && name.eq_ignore_ascii_case(b"from")
        {
            message.from.add(value.to_bytes());
        }
    }

    /// The end of the message: the last word.
    pub async fn end(&mut self, engine: &Engine, macros: &Macros) -> Ending {
        let asked = engine.clock.instant();
        let message = match &mut self.envelope {
            Envelope::Open(message) => message,
            Envelope::Unjudged => {
                return Ending {
                    reply: None,
                    user: None,
                };
            }
            Envelope::Closed => {
                return Ending {
                    reply: out_of_turn(engine, Stage::Eom),
                    user: None,
                };
            }
        };
        let from = message.from.read();
        let addresses = match &from {
            Ok(mailboxes) => mailboxes.iter().map(|m| m.address.to_string()).collect(),
            Err(_) => Vec::new(),
        };
        let decision = decide(engine, &mut self.spoken_for, message, Some(&from)).await;
        let queue_id = queue_id(macros);
        let context = Context {
            front_end: FrontEnd::Milter,
            stage: Stage::Eom,
            login: &message.login,
            client: message.client,
            mail_from: Some(&message.sender),
            header_from: &addresses,
            recipients: message.recipients,
            queue_id: &queue_id,
            asked,
        };
        let reply = engine.conclude(&mut message.record, &context, &decision);
        let user = decision.user.as_ref().map(|user| user.id);
        Ending {
            user: user.filter(|_| reply.is_none()),
            reply,
        }
    }

    /// The whole envelope decision, made anew.
    async fn ask(&mut self, engine: &Engine, stage: Stage, queue_id: &str) -> Option<Reply> {
        let asked = engine.clock.instant();
        let message = match &mut self.envelope {
            Envelope::Open(message) => message,
            Envelope::Unjudged => return None,
            Envelope::Closed => return out_of_turn(engine, stage),
        };
        let decision = decide(engine, &mut self.spoken_for, message, None).await;
        if decision.findings.is_empty() {
            return None;
        }
        let context = Context {
            front_end: FrontEnd::Milter,
            stage,
            login: &message.login,
            client: message.client,
            mail_from: Some(&message.sender),
            header_from: &[],
            recipients: message.recipients,
            queue_id,
            asked,
        };
        engine.tell(&mut message.record, &context, &decision)
    }
}

/// Decides about the envelope, or with the header From about the whole message: then it is charged
/// if nothing is in the way.
async fn decide(
    engine: &Engine,
    spoken_for: &mut Option<(String, UserId)>,
    message: &Message,
    header_from: Option<&Result<Vec<Mailbox>, FromError>>,
) -> Decision {
    let known = spoken_for
        .as_ref()
        .filter(|(login, _)| *login == message.login)
        .map(|(_, user)| *user);
    let question = Question {
        login: &message.login,
        session_user: known,
        client: Some(message.client),
        sender: Some(&message.sender),
        resolved: &message.resolved,
        header_from,
        recipients: header_from.map(|_| message.recipients),
        charge: header_from.map(|_| message.key),
    };
    let decision = engine.accept(&question).await;
    if known.is_none()
        && let Some(user) = &decision.user
    {
        *spoken_for = Some((message.login.clone(), user.id));
    }
    decision
}

/// Without a login there is no opinion, unless the daemon is one where everybody logs in.
fn unauthenticated(engine: &Engine, macros: &Macros, argument: &[u8]) -> Option<Reply> {
    let settings = engine.settings();
    let daemon = text(macros, c"{daemon_name}");
    let guarded = &settings.config.milter.authenticated_daemons;
    if daemon.is_empty() || !guarded.contains(&daemon) {
        return None;
    }
    let sender = EnvelopeSender::from_mail_argument(argument);
    let context = Context {
        client: client(macros),
        mail_from: Some(&sender),
        ..nobody(engine, Stage::Mail)
    };
    let decision = Decision::unauthenticated(&settings.rules);
    engine.tell(&mut Record::default(), &context, &decision)
}

/// Postfix asks about a message that it has not begun. Never a permit.
fn out_of_turn(engine: &Engine, stage: Stage) -> Option<Reply> {
    telemetry::out_of_turn(&engine.clock);
    let decision = Decision::trouble(Reason::InternalError);
    engine.tell(&mut Record::default(), &nobody(engine, stage), &decision)
}

/// What is said where no login is known.
fn nobody(engine: &Engine, stage: Stage) -> Context<'static> {
    Context {
        front_end: FrontEnd::Milter,
        stage,
        login: "",
        client: ClientAddress::Unknown,
        mail_from: None,
        header_from: &[],
        recipients: 0,
        queue_id: "",
        asked: engine.clock.instant(),
    }
}

/// `{auth_authen}` counts only together with `{auth_type}`: without, it may be the name of a
/// client certificate.
fn login(macros: &Macros) -> Option<String> {
    let method = text(macros, c"{auth_type}");
    let login = text(macros, c"{auth_authen}");
    (!method.is_empty() && !login.is_empty()).then_some(login)
}

fn client(macros: &Macros) -> ClientAddress {
    ClientAddress::parse(&text(macros, c"{client_addr}"))
}

/// 0: not known.
fn port(macros: &Macros, name: &CStr) -> u16 {
    text(macros, name).parse().unwrap_or(0)
}

fn resolved(macros: &Macros) -> Resolved {
    match macros.get(c"{mail_addr}") {
        Some(address) => Resolved::As(EnvelopeSender::from_policy(address.to_bytes())),
        None => Resolved::Missing,
    }
}

fn queue_id(macros: &Macros) -> String {
    text(macros, c"i")
}

fn text(macros: &Macros, name: &CStr) -> String {
    macros
        .get(name)
        .map(|value| value.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// Said once a minute: the message that it costs reads like a fault of ours.
fn macros_are_missing(engine: &Engine) {
    static LAST: OnceAMinute = OnceAMinute::new();
    if LAST.is_due(&engine.clock) {
        tracing::warn!(
            "Postfix does not send the macro {{mail_addr}}, so senders cannot be judged and mail is deferred: \
             take milter_mail_macros out of main.cf and master.cf, or add {{mail_addr}} to it"
        );
    }
}
