//! The daemon's engine as commands ask it: on the same store, by the same rules, with a journal that
//! keeps silent.

use std::sync::Arc;

use tokio::runtime::Runtime;

use super::{Answer, Case, Situation, fix};
use crate::cli::failure::Failure;
use crate::cli::host::{Host, runtime};
use crate::directory::Directory;
use crate::engine::Engine;
use crate::journal::Journal;
use crate::model::sender::EnvelopeSender;
use crate::store::Store;

/// Answers as the daemon would, and says why.
pub struct Expert {
    /// Where it waits.
    pub runtime: Runtime,
    /// The store of this host.
    pub store: Arc<dyn Store>,
    /// The engine.
    pub engine: Engine,
}

impl Expert {
    /// By the configuration and the store of this host.
    pub fn new(host: &Host) -> Result<Expert, Failure> {
        let store = host.store()?;
        let runtime = runtime()?;
        let engine = Engine::new(
            Directory::new(store.clone()),
            host.resolver(&runtime)?,
            host.config.clone(),
            Journal::new(None),
            host.clock.clone(),
        );
        Ok(Expert {
            runtime,
            store,
            engine,
        })
    }

    /// What would be answered to a message.
    pub fn answer(&self, case: &Case) -> Result<Answer, Failure> {
        let question = case.question();
        let decision = self.runtime.block_on(self.engine.decide(&question));
        let situation = Situation {
            login: &case.login,
            client: case.client,
            recipients: question.recipients,
        };
        let sender = case.sender.as_ref();
        Ok(Answer::new(
            &decision,
            &self.engine.settings().wording,
            &case.login,
            sender.map_or(0, EnvelopeSender::len_on_the_wire),
            fix(&decision, &situation, self.store.as_ref())?,
        ))
    }
}
