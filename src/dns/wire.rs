//! Questions on their way to name servers: whom to ask, when to ask the next one, and CNAMEs that
//! lead to a further question.
//!
//! Asks the servers one by one through the library and not the library's own choice among them:
//! that takes the first answer for the last word, also "refused" by a server which refuses
//! everything. Names are asked as they are: no search list, no hosts file, no name that is answered
//! without asking. Case is not randomised, because some servers answer in a case of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::xfer::FirstAnswer;
use hickory_resolver::net::{DnsHandle, NetError};
use hickory_resolver::proto::op::{self, DnsRequestOptions, DnsResponse};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;
use hickory_resolver::{NameServerPool, PoolContext, TlsConfig};
use tokio::time::{sleep, timeout};

use super::ResolverError;
use super::reading::{self, MOST_ALIASES, Reading};
use crate::model::dns::{Answer, DnsName, Kind, Query, Trouble};

/// How many servers of the host's configuration are asked, as the C library does.
const SYSTEM_SERVERS: usize = 3;
/// How long a server is waited for before the next one is asked beside it.
const PATIENCE: Duration = Duration::from_millis(500);
/// How many questions share one TCP connection.
const TCP_QUESTIONS: usize = 1024;

type Way = NameServerPool<TokioRuntimeProvider>;

/// One name server. Each way to it is a pool of its own: left the choice, the library stays with
/// TCP once it has a connection and one datagram was lost, and over that many servers answer one
/// question after the other, so a slow one would hold up all.
struct Server {
    udp: Way,
    /// The same once more: a pool does not send a question while it waits for its answer.
    again: Way,
    tcp: Way,
}

/// The name servers.
pub struct Wire {
    servers: Vec<Server>,
    /// The one that has answered last: it is asked first.
    favourite: AtomicUsize,
    options: DnsRequestOptions,
    /// For one question, whatever it takes.
    budget: Duration,
    patience: Duration,
    /// After which time a question is sent anew. The library sends it three times within 0.7 s, and
    /// all three are lost together while a resolver restarts.
    pause: Duration,
}

impl Wire {
    /// Sends nothing yet.
    pub fn new(servers: &[SocketAddr], budget: Duration) -> Result<Wire, ResolverError> {
        let servers = servers
            .iter()
            .map(|address| Server::new(*address, budget))
            .collect::<Result<Vec<_>, ResolverError>>()?;
        let mut options = DnsRequestOptions::default();
        options.use_edns = true;
        options.recursion_desired = true;
        Ok(Wire {
            servers,
            favourite: AtomicUsize::new(0),
            options,
            budget,
            patience: PATIENCE.min(budget / 4),
            pause: budget / 3,
        })
    }

    /// The answer to a question, and how long its records or its denial say that it counts.
    pub async fn ask(&self, query: &Query) -> (Answer, Option<Duration>) {
        match timeout(self.budget, self.follow(query)).await {
            Ok(Ok((answer, ttl))) => (answer, ttl.map(|s| Duration::from_secs(u64::from(s)))),
            Ok(Err(trouble)) => (Answer::Trouble(trouble), None),
            Err(_) => (Answer::Trouble(Trouble::TimedOut), None),
        }
    }

    /// Asks on behind CNAMEs whose end the server has not told.
    async fn follow(&self, query: &Query) -> Result<(Answer, Option<u32>), Trouble> {
        let mut name = wire_name(&query.name)?;
        let mut aliases = 0;
        let mut shortest = u32::MAX;
        loop {
            match self.ask_all(&name, query.kind).await? {
                Reading::Answer { answer, ttl } => {
                    return Ok((answer, ttl.map(|ttl| ttl.min(shortest))));
                }
                Reading::Alias { target, ttl, steps } => {
                    aliases += steps;
                    if aliases > MOST_ALIASES {
                        return Err(Trouble::Lame);
                    }
                    shortest = shortest.min(ttl);
                    name = target;
                }
            }
        }
    }

    /// Asks one server after the other, until one of them knows. A server that is silent is waited
    /// for while the next one is asked; one that fails makes room for the next at once.
    async fn ask_all(&self, name: &Name, kind: Kind) -> Result<Reading, Trouble> {
        let count = self.servers.len();
        let first = self.favourite.load(Ordering::Relaxed);
        let mut others = (0..count).map(|i| (first + i) % count);
        let mut asked = FuturesUnordered::new();
        let mut trouble = Trouble::TimedOut;
        loop {
            let next = others.next();
            let last = next.is_none();
            asked.extend(next.map(|server| self.ask_one(server, name, kind)));
            let heard = match timeout(self.patience, asked.next()).await {
                Ok(heard) => heard,
                Err(_) if last => asked.next().await,
                Err(_) => continue,
            };
            match heard {
                Some((server, Ok(reading))) => {
                    self.favourite.store(server, Ordering::Relaxed);
                    return Ok(reading);
                }
                // What a server says tells more than the silence of another one.
                Some((_, Err(said))) if trouble == Trouble::TimedOut => trouble = said,
                Some((_, Err(_))) => {}
                None => return Err(trouble),
            }
        }
    }

    async fn ask_one(
        &self,
        server: usize,
        name: &Name,
        kind: Kind,
    ) -> (usize, Result<Reading, Trouble>) {
        let Some(ways) = self.servers.get(server) else {
            return (server, Err(Trouble::TimedOut));
        };
        let question = op::Query::query(name.clone(), record_type(kind));
        let heard = tokio::select! {
            heard = self.ask_way(&ways.udp, ways, &question) => heard,
            heard = async {
                sleep(self.pause).await;
                self.ask_way(&ways.again, ways, &question).await
            } => heard,
        };
        (server, reading::read(name, kind, heard))
    }

    /// Asks in datagrams, without EDNS if need be, and over TCP if the answer does not fit.
    async fn ask_way(
        &self,
        udp: &Way,
        server: &Server,
        question: &op::Query,
    ) -> Result<DnsResponse, NetError> {
        let mut options = self.options;
        let mut heard = send(udp, question, options).await;
        if reading::is_about_edns(&heard) {
            options.use_edns = false;
            heard = send(udp, question, options).await;
        }
        if matches!(heard, Err(NetError::Truncated)) {
            heard = send(&server.tcp, question, options).await;
        }
        heard
    }
}

impl Server {
    fn new(address: SocketAddr, budget: Duration) -> Result<Server, ResolverError> {
        let way = |connection| Server::way(address, connection, budget);
        Ok(Server {
            udp: way(ConnectionConfig::udp())?,
            again: way(ConnectionConfig::udp())?,
            tcp: way(ConnectionConfig::tcp())?,
        })
    }

    fn way(
        address: SocketAddr,
        mut connection: ConnectionConfig,
        budget: Duration,
    ) -> Result<Way, ResolverError> {
        let mut settings = ResolverOpts::default();
        settings.timeout = budget;
        settings.max_active_requests = TCP_QUESTIONS;
        connection.port = address.port();
        let server = NameServerConfig::new(address.ip(), true, vec![connection]);
        let tls = TlsConfig::new().map_err(|error| ResolverError::Library(error.to_string()))?;
        let context = Arc::new(PoolContext::new(settings, tls));
        let runtime = TokioRuntimeProvider::default();
        Ok(NameServerPool::from_config([server], context, runtime))
    }
}

async fn send(
    way: &Way,
    question: &op::Query,
    options: DnsRequestOptions,
) -> Result<DnsResponse, NetError> {
    way.lookup(question.clone(), options).first_answer().await
}

/// The name servers of `/etc/resolv.conf`.
pub fn system_servers() -> Result<Vec<SocketAddr>, ResolverError> {
    let (system, _) = read_system_conf().map_err(|error| {
        let error = error.to_string();
        ResolverError::System(error.trim_start_matches("io error: ").to_owned())
    })?;
    Ok(system
        .name_servers()
        .iter()
        .take(SYSTEM_SERVERS)
        .map(|server| SocketAddr::new(server.ip, 53))
        .collect())
}

/// A name as the library has it, label by label: a label is whatever stands between two dots.
fn wire_name(name: &DnsName) -> Result<Name, Trouble> {
    Name::from_labels(name.as_str().split('.').map(str::as_bytes)).map_err(|_| Trouble::Lame)
}

/// The number of a kind.
pub fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::Txt => RecordType::TXT,
        Kind::Mx => RecordType::MX,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
    }
}
