//! What most commands stand on: the configuration, the store that it names, and the daemon that
//! may be running on that store.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use tokio::runtime::{Builder, Runtime};

use crate::clock::Clock;
use crate::config::{Config, load};
use crate::control::{self, Outcome, Request};
use crate::dns::Resolver;
use crate::model::dns::{Known, Unknown};
use crate::store::{self, Age, Store};

use super::failure::{Exit, Failure};
use super::output::{Output, Shown};

/// How long a command waits for the daemon.
pub const PATIENCE: Duration = Duration::from_secs(2);

/// This host, as its configuration describes it.
pub struct Host {
    /// As read.
    pub config: Config,
    /// The time.
    pub clock: Clock,
}

impl Host {
    /// Reads the configuration.
    pub fn load(file: &Path) -> Result<Host, Failure> {
        let config = load::load(file).map_err(|e| Failure::configuration(e.to_string()))?;
        Ok(Host {
            config,
            clock: Clock::system(),
        })
    }

    /// Opens the store; creates it if there is none, and brings one of an earlier version up to date. Not under
    /// a daemon, which would have done that itself if it were not older than this program.
    pub fn store(&self) -> Result<Arc<dyn Store>, Failure> {
        let url = &self.config.store.url;
        if let Age::Older { found, known } = store::age(url)?
            && self.ask(&Request::Status) != Outcome::NoDaemon
        {
            return Err(Failure::temporary(
                format!(
                    "the daemon that is running is older than this program: it works with schema version {found} of \
                     {}, and this needs {known}",
                    url.path().display()
                ),
                "restart the daemon first, which brings the store up to date: systemctl restart outgate",
            ));
        }
        Ok(store::open(url)?)
    }

    /// Whoever asks name servers, on this runtime.
    pub fn resolver(&self, runtime: &Runtime) -> Result<Resolver, Failure> {
        Resolver::new(
            &self.config.dns,
            self.clock.clone(),
            runtime.handle().clone(),
        )
        .map_err(|error| Failure::temporary(error.to_string(), ""))
    }

    /// Asks name servers what `judge` wants to know, within the time of one decision.
    pub fn look_up<T>(
        &self,
        judge: impl FnMut(&Known) -> Result<T, Unknown>,
    ) -> Result<T, Failure> {
        let runtime = runtime()?;
        let resolver = self.resolver(&runtime)?;
        let deadline = self.clock.instant() + resolver.budget();
        Ok(runtime.block_on(resolver.gather(deadline, judge)).value)
    }

    /// Whose midnight quotas follow.
    pub fn time_zone(&self) -> &TimeZone {
        &self.config.quota.time_zone.0
    }

    /// Shows what is true after a change, and waits until a running daemon answers by it.
    pub fn changed(&self, output: &mut Output, now_true: &impl Shown) -> Result<Exit, Failure> {
        output.show(now_true);
        self.confirm()
    }

    /// Waits until a running daemon answers by what is stored now.
    pub fn confirm(&self) -> Result<Exit, Failure> {
        match self.ask(&Request::Noted) {
            Outcome::NoDaemon | Outcome::Done(_) => Ok(Exit::Done),
            Outcome::Late(why) => Err(Failure::temporary(
                format!("stored, not confirmed: the daemon did not answer in time ({why})"),
                "see what ails it: outgate status",
            )),
        }
    }

    /// Asks the daemon behind the control socket.
    pub fn ask(&self, request: &Request) -> Outcome {
        control::ask(&self.config.control_socket(), request, PATIENCE)
    }
}

/// A place to wait in: for the store, for name servers.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::temporary(format!("cannot start a runtime: {error}"), ""))
}
