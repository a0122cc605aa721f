//! The policy front end: SMTPD policy delegation (Postfix SMTPD_POLICY_README).
//!
//! Reads questions, hands them to the engine, and puts its answers into the words of the protocol.
//! Postfix keeps a connection for as long as it likes; it is never closed from here but for
//! bytes that are no question, or a question that stops half-way.

mod connection;
pub mod envelope;
mod message;
pub mod wire;

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::decision::Decision;
use crate::decision::facts::Stage;
use crate::decision::reason::Reason;
use crate::engine::{Context, Engine};
use crate::journal::FrontEnd;
use crate::telemetry;
use connection::Connection;
use envelope::Envelope;
use message::Messages;
use wire::{Action, Closed, Malformed, Request};

/// The policy front end.
pub struct PolicyFront {
    engine: Arc<Engine>,
    messages: Messages,
}

impl PolicyFront {
    /// A front end on an engine.
    pub fn new(engine: Arc<Engine>) -> PolicyFront {
        PolicyFront {
            engine,
            messages: Messages::new(),
        }
    }

    /// Serves one connection of an smtpd process until that closes it.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S) {
        let mut connection = Connection::new(stream);
        let ended = self.converse(&mut connection).await;
        let Err(why) = ended else { return };
        // Questions before the one that could not be answered get their answers.
        let _ = connection.flush().await;
        match why {
            Closed::Malformed(_) | Closed::Late(_) => {
                tracing::warn!(front_end = "policy", error = %why, "connection closed: not a question from Postfix");
            }
            Closed::Broken(_) => {
                tracing::debug!(front_end = "policy", error = %why, "connection lost");
            }
        }
    }

    async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        connection: &mut Connection<S>,
    ) -> Result<(), Closed> {
        let mut queues = false;
        while let Some(request) = connection.next().await? {
            let action = self.answer(&request, &mut queues).await?;
            connection.answer(&action).await?;
        }
        Ok(())
    }

    async fn answer(&self, request: &Request, queues: &mut bool) -> Result<Action, Malformed> {
        let asked = self.engine.clock.instant();
        let action = self.judge(request, queues, asked).await?;
        self.engine.answered(FrontEnd::Policy, asked);
        Ok(action)
    }

    /// The whole envelope decision, made anew for each question. `queues`: the smtpd process at the
    /// other end was seen to queue messages itself.
    async fn judge(
        &self,
        request: &Request,
        queues: &mut bool,
        asked: Instant,
    ) -> Result<Action, Malformed> {
        let Some(envelope) = Envelope::read(request)? else {
            return Ok(Action::Dunno);
        };
        let last_word = envelope.stage == Stage::Data;
        // Where a milter has the message under way, that has the last word, and charges.
        let charges = last_word
            && !envelope.is_out_of_turn(*queues)
            && !self
                .engine
                .transactions
                .is_open(|| envelope.session(), envelope.server_port());
        let question = envelope.question(charges);
        let mut decision = self.engine.accept(&question).await;
        if envelope.is_out_of_turn(*queues) && decision.carried_out().is_none() {
            telemetry::out_of_turn(&self.engine.clock);
            decision = Decision::trouble(Reason::InternalError);
        }
        *queues |= last_word && !envelope.queue_id.is_empty();
        if decision.findings.is_empty() && !last_word {
            return Ok(Action::Dunno);
        }
        let context = Context {
            front_end: FrontEnd::Policy,
            stage: envelope.stage,
            login: &envelope.login,
            client: envelope.client,
            mail_from: Some(&envelope.sender),
            header_from: &[],
            recipients: envelope.recipients,
            queue_id: &envelope.queue_id,
            asked,
        };
        let message = self.messages.of(&envelope, asked);
        let reply = if last_word {
            message.conclude(envelope.key(), |record| {
                self.engine.conclude(record, &context, &decision)
            })
        } else {
            message.speak(|record| self.engine.tell(record, &context, &decision))
        };
        Ok(reply.map_or(Action::Dunno, Action::Reply))
    }
}
