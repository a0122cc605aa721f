//! A name server on loopback, for tests and demonstrations: UDP and TCP on one port, with a zone that
//! can be changed while it runs, and names that misbehave.
//!
//! A test includes it with `#[path = "../nameserver/mod.rs"] mod nameserver;`. It has a thread and a
//! runtime of its own, so it answers whatever the test does meanwhile. Each question is a task: one
//! that is delayed holds up no other.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a part of tests; each uses what it needs"
)]

pub mod zone;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{NS, SOA};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::runtime;
use tokio::sync::oneshot;

use outgate::model::dns::Kind;

use zone::wire_name;
pub use zone::{Manner, Zone};

/// A running (or stopped) server.
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

struct Shared {
    zone: Mutex<Zone>,
    /// The ids of the messages that asked: a question that is sent again counts once.
    asked: Mutex<HashMap<(String, RecordType), HashSet<u16>>>,
}

/// Over what a question came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Udp,
    Tcp,
}

impl Server {
    /// Starts on a free port of 127.0.0.1.
    pub fn start(zone: Zone) -> Server {
        Server::start_on((Ipv4Addr::LOCALHOST, 0).into(), zone).unwrap()
    }

    /// Starts on an address; port 0 is any that is free for UDP and TCP.
    pub fn start_on(address: SocketAddr, zone: Zone) -> io::Result<Server> {
        let shared = Arc::new(Shared {
            zone: Mutex::new(zone),
            asked: Mutex::default(),
        });
        let (udp, tcp) = bind(address)?;
        let address = udp.local_addr()?;
        let running = Some(serve(udp, tcp, shared.clone())?);
        Ok(Server {
            address,
            shared,
            running,
        })
    }

    /// Where it listens, also while it is stopped.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says something else from now on.
    pub fn set(&self, zone: Zone) {
        *self.shared.zone.lock().unwrap() = zone;
    }

    /// How often a name was asked for a kind. What is sent again because the answer is late counts
    /// once; what is asked again over TCP counts again.
    pub fn asked(&self, name: &str, kind: Kind) -> usize {
        let key = (name.to_ascii_lowercase(), record_type(kind));
        let asked = self.shared.asked.lock().unwrap();
        asked.get(&key).map_or(0, HashSet::len)
    }

    /// How often anything was asked.
    pub fn total(&self) -> usize {
        let asked = self.shared.asked.lock().unwrap();
        asked.values().map(HashSet::len).sum()
    }

    /// Closes its sockets; delayed answers are lost.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            drop(running.stop);
            running.thread.join().unwrap();
        }
    }

    /// Starts again on the same port.
    pub fn start_again(&mut self) {
        self.stop();
        let (udp, tcp) = loop {
            match bind(self.address) {
                Ok(bound) => break bound,
                // Somebody asks from this very port, or a connection has not quite ended.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => thread::yield_now(),
                Err(error) => panic!("cannot listen on {} again: {error}", self.address),
            }
        };
        self.running = Some(serve(udp, tcp, self.shared.clone()).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The same port for UDP and TCP.
fn bind(address: SocketAddr) -> io::Result<(std::net::UdpSocket, std::net::TcpListener)> {
    loop {
        let udp = std::net::UdpSocket::bind(address)?;
        match std::net::TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            // The port was free for UDP only.
            Err(error) if address.port() == 0 && error.kind() == io::ErrorKind::AddrInUse => {}
            Err(error) => return Err(error),
        }
    }
}

fn serve(
    udp: std::net::UdpSocket,
    tcp: std::net::TcpListener,
    shared: Arc<Shared>,
) -> io::Result<Running> {
    let (stop, stopped) = oneshot::channel::<()>();
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let thread = thread::Builder::new()
        .name("nameserver".to_owned())
        .spawn(move || {
            runtime.block_on(async {
                let udp = Arc::new(UdpSocket::from_std(udp).unwrap());
                let tcp = TcpListener::from_std(tcp).unwrap();
                tokio::select! {
                    () = serve_udp(udp, shared.clone()) => {}
                    () = serve_tcp(tcp, shared) => {}
                    // Also when the sender is dropped.
                    _ = stopped => {}
                }
            });
        })?;
    Ok(Running { stop, thread })
}

async fn serve_udp(socket: Arc<UdpSocket>, shared: Arc<Shared>) {
    let mut buffer = vec![0; 65_535];
    loop {
        // An error tells of an asker who has gone.
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        let question = buffer[..length].to_vec();
        let (socket, shared) = (socket.clone(), shared.clone());
        tokio::spawn(async move {
            for answer in answers(&shared, &question, Way::Udp).await {
                let _ = socket.send_to(&answer, from).await;
            }
        });
    }
}

async fn serve_tcp(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        if let Ok((connection, _)) = listener.accept().await {
            tokio::spawn(serve_connection(connection, shared.clone()));
        }
    }
}

async fn serve_connection(connection: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let (mut reading, writing) = connection.into_split();
    let writing = Arc::new(tokio::sync::Mutex::new(writing));
    loop {
        let mut question = vec![0; usize::from(reading.read_u16().await?)];
        reading.read_exact(&mut question).await?;
        let (writing, shared) = (writing.clone(), shared.clone());
        tokio::spawn(async move {
            let answers = answers(&shared, &question, Way::Tcp).await;
            let mut writing = writing.lock().await;
            if answers.is_empty() {
                writing.shutdown().await?;
            }
            for answer in answers {
                let length: u16 = answer.len().try_into().unwrap();
                let whole = [&length.to_be_bytes()[..], &answer].concat();
                writing.write_all(&whole).await?;
            }
            io::Result::Ok(())
        });
    }
}

/// The messages that answer a question, in their order.
async fn answers(shared: &Shared, question: &[u8], way: Way) -> Vec<Vec<u8>> {
    let Ok(question) = Message::from_vec(question) else {
        return Vec::new();
    };
    let Some(query) = question.queries.first() else {
        return Vec::new();
    };
    let name = text_name(query.name());
    let kind = query.query_type();
    let zone = shared.zone.lock().unwrap().clone();
    shared
        .asked
        .lock()
        .unwrap()
        .entry((name.clone(), kind))
        .or_default()
        .insert(question.metadata.id);
    let entry = zone.look_up(&name);
    let delay = entry.as_ref().map_or(Duration::ZERO, |entry| entry.delay);
    tokio::time::sleep(delay).await;
    let mut answer = reply(&question);
    match entry.as_ref().and_then(|entry| entry.manner) {
        None => fill(&mut answer, &zone, &name, kind),
        Some(Manner::Drop) => return Vec::new(),
        Some(Manner::ServFail) => answer.metadata.response_code = ResponseCode::ServFail,
        Some(Manner::Refuse) => answer.metadata.response_code = ResponseCode::Refused,
        Some(Manner::Code(code)) => {
            fill(&mut answer, &zone, &name, kind);
            answer.metadata.response_code = ResponseCode::from(0, code);
        }
        Some(Manner::NoEdns) if question.edns.is_none() => fill(&mut answer, &zone, &name, kind),
        Some(Manner::NoEdns) => answer.metadata.response_code = ResponseCode::FormErr,
        Some(Manner::Truncate) if way == Way::Tcp => fill(&mut answer, &zone, &name, kind),
        Some(Manner::Truncate | Manner::TruncateAlways) => answer.metadata.truncation = true,
        Some(Manner::WrongQuestionOverTcp) if way == Way::Udp => answer.metadata.truncation = true,
        Some(manner) => return odd(manner, &question, &zone, &name, kind),
    }
    vec![fit(answer, &question, way)]
}

/// Answers that no server should give.
fn odd(
    manner: Manner,
    question: &Message,
    zone: &Zone,
    name: &str,
    kind: RecordType,
) -> Vec<Vec<u8>> {
    let mut answer = reply(question);
    let id = question.metadata.id.to_be_bytes();
    match manner {
        Manner::WrongName => {
            fill(&mut answer, zone, name, kind);
            for record in &mut answer.answers {
                record.name = wire_name("another.name.test");
            }
        }
        Manner::WrongQuestion | Manner::WrongQuestionOverTcp => {
            fill(&mut answer, zone, name, kind);
            answer.queries[0].name = wire_name("another.name.test");
        }
        Manner::WrongId => {
            let mut forged = reply(question);
            fill(&mut forged, zone, "forged.test", kind);
            for record in &mut forged.answers {
                record.name = question.queries[0].name().clone();
            }
            forged.metadata.id ^= 1;
            fill(&mut answer, zone, name, kind);
            return vec![forged.to_vec().unwrap(), answer.to_vec().unwrap()];
        }
        Manner::Garbage => {
            // A response with one question, of which there is nothing but a label that is too long.
            let head = [0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0];
            return vec![[id.as_slice(), &head, &[0xbf; 40]].concat()];
        }
        Manner::CompressionLoop => {
            // A response with one question, whose name is a pointer to itself.
            let rest = [0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 16, 0, 1];
            return vec![[id.as_slice(), &rest].concat()];
        }
        Manner::Referral => {
            let server = RData::NS(NS(wire_name("ns.elsewhere.test")));
            answer.add_authority(Record::from_rdata(wire_name(name), 300, server));
        }
        Manner::Elsewhere => {
            fill(&mut answer, zone, name, kind);
            let records = std::mem::take(&mut answer.answers);
            answer.insert_additionals(records);
        }
        Manner::ServFail
        | Manner::Refuse
        | Manner::Drop
        | Manner::NoEdns
        | Manner::Code(_)
        | Manner::Truncate
        | Manner::TruncateAlways => unreachable!("answered above"),
    }
    vec![answer.to_vec().unwrap()]
}

fn reply(question: &Message) -> Message {
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.recursion_desired = true;
    answer.metadata.recursion_available = true;
    answer.add_query(question.queries[0].clone());
    answer
}

/// Records and CNAMEs, or the denial of the last name.
fn fill(answer: &mut Message, zone: &Zone, name: &str, kind: RecordType) {
    let mut name = name.to_owned();
    // A chain that goes in a circle is told as far as it fits in a small message.
    for _ in 0..20 {
        let Some(entry) = zone.look_up(&name) else {
            answer.metadata.response_code = ResponseCode::NXDomain;
            return deny(answer, zone);
        };
        let of = |kind| {
            let records = entry
                .records
                .iter()
                .filter(move |r| r.record_type() == kind);
            records.map(|data| Record::from_rdata(wire_name(&name), zone.ttl, data.clone()))
        };
        answer.add_answers(of(kind));
        let alias = of(RecordType::CNAME).next();
        match (of(kind).next(), alias) {
            (Some(_), _) => return,
            (None, None) => return deny(answer, zone),
            (None, Some(alias)) => {
                let RData::CNAME(target) = &alias.data else {
                    unreachable!("filtered by type");
                };
                let target = text_name(&target.0);
                answer.add_answer(alias);
                if zone.lone_cnames {
                    return;
                }
                name = target;
            }
        }
    }
}

fn deny(answer: &mut Message, zone: &Zone) {
    if let Some(ttl) = zone.denial_ttl {
        let master = wire_name("ns.test");
        let soa = SOA::new(master.clone(), master, 1, 3600, 600, 86_400, ttl);
        answer.add_authority(Record::from_rdata(Name::root(), ttl, RData::SOA(soa)));
    }
}

/// The message in bytes; over UDP cut to nothing if it does not fit into what the asker takes.
fn fit(answer: Message, question: &Message, way: Way) -> Vec<u8> {
    let bytes = answer.to_vec().unwrap();
    if way == Way::Tcp || bytes.len() <= usize::from(question.max_payload()) {
        return bytes;
    }
    let mut cut = reply(question);
    cut.metadata.truncation = true;
    cut.to_vec().unwrap()
}

/// A name as text in lower case, label by label as it is.
fn text_name(name: &Name) -> String {
    let labels: Vec<_> = name.iter().map(String::from_utf8_lossy).collect();
    labels.join(".").to_ascii_lowercase()
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::Txt => RecordType::TXT,
        Kind::Mx => RecordType::MX,
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
    }
}
