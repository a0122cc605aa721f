//! The resolver against a real name server on loopback, which can also misbehave.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../nameserver/mod.rs"]
mod nameserver;

mod answers;
mod crowd;
mod gathering;
mod recovery;
mod zone_file;

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use outgate::clock::Clock;
use outgate::config::{self, Dns};
use outgate::dns::{Looked, Resolver};
use outgate::model::dns::{Answer, DnsName, Kind, Query, Records, Trouble};

use nameserver::{Server, Zone};

/// A resolver, its server and its clock.
struct Site {
    server: Server,
    resolver: Arc<Resolver>,
    clock: Clock,
}

impl Site {
    /// With the time that the configuration gives by default.
    fn new(zone: Zone) -> Site {
        Site::within(zone, Duration::from_secs(5))
    }

    fn within(zone: Zone, budget: Duration) -> Site {
        let server = Server::start(zone);
        let clock = Clock::movable();
        let resolver = resolver(&[server.address()], budget, &clock);
        Site {
            server,
            resolver,
            clock,
        }
    }

    fn deadline(&self) -> Instant {
        self.clock.instant() + self.resolver.budget()
    }

    async fn look(&self, kind: Kind, name: &str) -> Looked {
        self.resolver.ask(&query(kind, name), self.deadline()).await
    }

    async fn ask(&self, kind: Kind, name: &str) -> Answer {
        Answer::clone(&self.look(kind, name).await.answer)
    }

    /// Until no question is on its way, also none that its asker has given up.
    async fn quiet(&self) {
        while self.resolver.status().in_flight > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// Seconds, from now on, that what was looked up counts.
    fn lasts(&self, looked: &Looked) -> u64 {
        let left = looked.until - self.clock.instant();
        // What passes while the test runs is not worth a second.
        (left + Duration::from_millis(999)).as_secs()
    }
}

fn resolver(servers: &[SocketAddr], budget: Duration, clock: &Clock) -> Arc<Resolver> {
    let config = Dns {
        servers: servers.to_vec(),
        timeout: config::value::Duration(budget),
    };
    let runtime = tokio::runtime::Handle::current();
    Arc::new(Resolver::new(&config, clock.clone(), runtime).unwrap())
}

fn query(kind: Kind, name: &str) -> Query {
    let name = DnsName::parse(name).unwrap();
    Query { name, kind }
}

fn texts(texts: &[&str]) -> Answer {
    let texts = texts.iter().map(|t| Arc::from(t.as_bytes())).collect();
    Answer::Records(Records::Txt(texts))
}

fn trouble(trouble: Trouble) -> Answer {
    Answer::Trouble(trouble)
}

/// A port at which nobody answers, as long as the socket lives.
fn dead() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_nonblocking(true).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}
