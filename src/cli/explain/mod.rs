//! `explain`: what would be answered to a message, and why, by the very code that the daemon runs.

mod answer;
mod fix;

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use clap::Args;
use tokio::runtime::Runtime;

use super::failure::{Exit, Failure};
use super::host::{Host, runtime};
use super::output::Output;
use crate::decision::facts::{Question, Resolved};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::journal::Journal;
use crate::model::header_from::{self, FromError, Mailbox};
use crate::model::network::ClientAddress;
use crate::model::sender::EnvelopeSender;
use crate::store::Store;

pub use answer::Answer;
pub use fix::{Situation, fix};

/// `outgate explain …`
#[derive(Args)]
pub struct Options {
    /// The login, as the client gives it
    #[arg(long, value_name = "LOGIN")]
    user: String,
    /// The client's address
    #[arg(long, value_name = "ADDR")]
    ip: Option<String>,
    /// The envelope sender; '' or '<>' is the null sender
    #[arg(long, value_name = "ADDR", allow_hyphen_values = true)]
    mail_from: Option<OsString>,
    /// The value of a header From field; given again: another such field
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true)]
    header_from: Vec<OsString>,
    /// How many recipients the message has
    #[arg(long, value_name = "N")]
    recipients: Option<u32>,
}

impl Options {
    /// Asks the engine and prints what it says.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let client = self.ip.as_deref().map(client).transpose()?;
        let sender = self
            .mail_from
            .map(|text| EnvelopeSender::from_mail_argument(text.as_bytes()));
        let header_from = (!self.header_from.is_empty()).then(|| fields(&self.header_from));
        let question = Question {
            login: &self.user,
            session_user: None,
            client,
            sender: sender.as_ref(),
            resolved: &Resolved::NotAsked,
            header_from: header_from.as_ref(),
            recipients: self.recipients,
            charge: None,
        };
        let store = host.store()?;
        let runtime = runtime()?;
        let engine = silent_engine(host, store.clone(), &runtime)?;
        let decision = runtime.block_on(engine.decide(&question));
        let situation = Situation {
            login: &self.user,
            client,
        };
        let fix = fix(&decision, &situation, store.as_ref())?;
        let sender_len = sender.map_or(0, |sender| sender.to_string().len());
        let answer = Answer::new(
            &decision,
            &engine.settings().wording,
            &self.user,
            sender_len,
            fix,
        );
        Ok(answer.print(output))
    }
}

/// The engine of the daemon, with a journal that keeps silent.
pub fn silent_engine(
    host: &Host,
    store: Arc<dyn Store>,
    runtime: &Runtime,
) -> Result<Engine, Failure> {
    Ok(Engine::new(
        Directory::new(store),
        host.resolver(runtime)?,
        host.config.clone(),
        Journal::new(None),
        host.clock.clone(),
    ))
}

/// Reads `--ip`. Postfix's word for an address that it does not know is taken; a slip is not.
pub fn client(text: &str) -> Result<ClientAddress, Failure> {
    let client = ClientAddress::parse(text);
    let meant = text.is_empty() || text.eq_ignore_ascii_case("unknown");
    if client == ClientAddress::Unknown && !meant {
        return Err(Failure::refused(
            format!("{text:?} is not an IP address"),
            "write the client's address, e.g. --ip 192.0.2.7 or --ip 2001:db8::7, or --ip unknown",
        ));
    }
    Ok(client)
}

/// The header From fields of one message, as the milter reads them.
fn fields(values: &[OsString]) -> Result<Vec<Mailbox>, FromError> {
    let values: Vec<&[u8]> = values.iter().map(|value| value.as_bytes()).collect();
    header_from::parse_fields(&values)
}
