//! What DNS says, asked once for everybody: the only path to a name server.
//!
//! For the engine and the commands that need facts from DNS. [`Resolver::gather`] drives a pure
//! function of [`Known`] until it has all the answers that it wants. Behind it are one memory, one
//! look-up for many askers, and one classification of what can go wrong ([`Trouble`]). Knows
//! nothing of SPF, of decisions or of the store; nobody else knows the DNS library.
//!
//! [`Known`]: crate::model::dns::Known
//! [`Trouble`]: crate::model::dns::Trouble

mod figures;
mod flight;
mod gather;
mod memory;
mod places;
mod reading;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::runtime;

use crate::clock::Clock;
use crate::config::Dns;
use crate::metrics::Hits;
use crate::model::dns::{Answer, Query};

use figures::Figures;
use flight::Flights;
pub use gather::Gathered;

/// Asks name servers, and remembers what they said. Shared behind an `Arc`, and replaced as a
/// whole when the configuration changes.
pub struct Resolver {
    flights: Arc<Flights>,
    clock: Clock,
    budget: Duration,
    servers: Vec<SocketAddr>,
}

/// The answer to one question, and how long it counts.
#[derive(Clone, Debug)]
pub struct Looked {
    /// What came of it.
    pub answer: Arc<Answer>,
    /// Until when it need not be asked again.
    pub until: Instant,
}

/// What `outgate status` shows of the resolver.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DnsStatus {
    /// Who is asked.
    pub servers: Vec<SocketAddr>,
    /// Answers that are remembered.
    pub entries: u64,
    /// Their size in bytes, never more than `capacity`.
    pub bytes: u64,
    /// How many bytes of answers are remembered at the most.
    pub capacity: u64,
    /// Questions that somebody waits for now.
    pub in_flight: u64,
    /// Questions that name servers have answered since the start.
    pub answered: u64,
    /// Questions that ended in trouble.
    pub failed: u64,
}

/// Why there is no resolver.
#[derive(Debug, Error)]
pub enum ResolverError {
    /// `dns.servers` is empty and the host does not say whom to ask.
    #[error(
        "cannot learn this host's name servers from /etc/resolv.conf: {0}; write a line \
         \"nameserver ADDRESS\" there, or set dns.servers"
    )]
    System(String),
    /// The DNS library does not start.
    #[error("cannot prepare the asking of name servers: {0}")]
    Library(String),
}

impl Resolver {
    /// A resolver that asks `dns.servers`, or the servers in `/etc/resolv.conf` as it is now. Sends
    /// nothing yet. Its look-ups run on `runtime`, whoever waits for them and on which runtime.
    pub fn new(
        config: &Dns,
        clock: Clock,
        runtime: runtime::Handle,
    ) -> Result<Resolver, ResolverError> {
        Resolver::counting(config, clock, runtime, Arc::default())
    }

    /// One to take the place of this one, by a configuration as it is now. It remembers nothing, and
    /// goes on with the figures.
    pub fn next(&self, config: &Dns, runtime: runtime::Handle) -> Result<Resolver, ResolverError> {
        let figures = self.flights.figures.clone();
        Resolver::counting(config, self.clock.clone(), runtime, figures)
    }

    fn counting(
        config: &Dns,
        clock: Clock,
        runtime: runtime::Handle,
        figures: Arc<Figures>,
    ) -> Result<Resolver, ResolverError> {
        let servers = match config.servers.as_slice() {
            [] => wire::system_servers()?,
            servers => servers.to_vec(),
        };
        let wire = wire::Wire::new(&servers, config.timeout.0)?;
        Ok(Resolver {
            flights: Arc::new(Flights::new(wire, clock.clone(), runtime, figures)),
            clock,
            budget: config.timeout.0,
            servers,
        })
    }

    /// The answer to one question, from memory or from a name server. Never later than `deadline`:
    /// then it is [`Trouble::TimedOut`], or [`Trouble::Crowded`] if the question had to wait for
    /// others the whole time. The look-up itself goes on for those who still wait for it.
    ///
    /// [`Trouble::TimedOut`]: crate::model::dns::Trouble::TimedOut
    /// [`Trouble::Crowded`]: crate::model::dns::Trouble::Crowded
    pub async fn ask(&self, query: &Query, deadline: Instant) -> Looked {
        self.flights.ask(query, deadline).await
    }

    /// How long one decision may take for everything that it asks: `dns.timeout`.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// What it remembers and does at this moment.
    pub fn status(&self) -> DnsStatus {
        self.flights.status(self.servers.clone())
    }

    /// What look-ups came to since the first one was made, by the name of the outcome.
    pub fn outcomes(&self) -> [(&'static str, u64); 8] {
        self.flights.figures.outcomes()
    }

    /// How often memory sufficed.
    pub fn hits(&self) -> &Hits {
        &self.flights.figures.hits
    }
}
