//! What a client that logs in hears, and the log line that goes with it.

use std::time::Instant;

use crate::decision::Decision;
use crate::decision::facts::Stage;
use crate::decision::reason::{Reason, Verdict};
use crate::engine::{Context, Engine, Record};
use crate::journal::FrontEnd;
use crate::model::name::Name;
use crate::model::network::ClientAddress;
use crate::store::StoreError;

/// As many characters of a login as a log line shows.
const SHOWN: usize = 256;

/// What the client hears.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// It is this user.
    Accepted(Name),
    /// It is not let in.
    Refused {
        /// Whose name it used, if anybody's: for the mail log, not for the client.
        user: Option<Name>,
        /// For the client.
        text: String,
    },
    /// Not now: a fact is missing. The protocol has no word for it; silence and closing the
    /// connection are what Postfix turns into a 454.
    Unanswered,
}

/// Who asked, from where and when; what a log line needs beside the decision.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The SASL name as it arrived, or empty where none did.
    pub login: &'a str,
    /// Where the client is.
    pub client: ClientAddress,
    /// When it asked.
    pub asked: Instant,
}

impl Answer {
    /// Writes the line of this login, and puts the decision into the client's words.
    pub(super) fn tell(engine: &Engine, asker: &Asker<'_>, decision: &Decision) -> Answer {
        let context = Context {
            front_end: FrontEnd::Auth,
            stage: Stage::Auth,
            login: shown(asker.login),
            client: asker.client,
            mail_from: None,
            header_from: &[],
            recipients: 0,
            queue_id: "",
            asked: asker.asked,
        };
        let reply = engine.conclude(&mut Record::default(), &context, decision);
        engine.answered(FrontEnd::Auth, asker.asked);
        let user = decision.user.as_ref().map(|user| user.name.clone());
        let verdict = decision
            .carried_out()
            .map_or(Verdict::Allow, |finding| finding.reason.verdict());
        match (verdict, reply, user) {
            (Verdict::Allow, None, Some(user)) => Answer::Accepted(user),
            (Verdict::Refuse, Some(reply), user) => Answer::Refused {
                user,
                text: reply.text,
            },
            (Verdict::Allow | Verdict::Refuse | Verdict::Defer, _, _) => Answer::Unanswered,
        }
    }
}

/// Why a login can be neither let in nor refused.
pub(super) enum Trouble {
    /// The store does not say.
    Store(StoreError),
    /// The queue is full.
    Overloaded,
    /// It took too long.
    Late,
    /// The stored hash cannot be used.
    Hash,
    /// The user changed each time that it was looked at.
    Restless,
}

impl Trouble {
    pub(super) fn decision(&self, engine: &Engine) -> Decision {
        match self {
            Trouble::Store(error) => engine.trouble(error),
            Trouble::Overloaded | Trouble::Late => {
                crate::telemetry::logins_wait(&engine.clock);
                Decision::trouble(Reason::InternalError)
            }
            Trouble::Hash | Trouble::Restless => Decision::trouble(Reason::InternalError),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        Trouble::Store(error)
    }
}

/// The beginning of a login.
fn shown(login: &str) -> &str {
    match login.char_indices().nth(SHOWN) {
        Some((end, _)) => &login[..end],
        None => login,
    }
}
