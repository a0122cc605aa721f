//! Sockets that Postfix connects to: Unix or TCP, bound here or inherited from systemd.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, ToSocketAddrs};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UnixListener, UnixStream};

use crate::clock::Clock;
use crate::config::value::Endpoint;
use crate::socket;
use crate::telemetry::OnceAMinute;

/// A listening socket.
#[derive(Debug)]
pub enum Listener {
    /// Below the queue directory, as a rule.
    Unix(UnixListener, PathBuf),
    /// On loopback, as a rule.
    Tcp(TcpListener),
}

/// One connection.
#[derive(Debug)]
pub enum Stream {
    /// Over a Unix socket.
    Unix(UnixStream),
    /// Over TCP, without Nagle's delay.
    Tcp(TcpStream),
}

impl fmt::Display for Listener {
    /// In Postfix's syntax, with the port that was really taken.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listener::Unix(_, path) => write!(f, "unix:{}", path.display()),
            Listener::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "inet:{address}"),
                Err(_) => f.write_str("inet:?"),
            },
        }
    }
}

impl Listener {
    /// Listens on an endpoint: one listener, or one for each address of a host that has several.
    /// Wants a runtime. A Unix socket has this mode before anybody can connect; a stale one is
    /// replaced, a live one is not. The error says what to do.
    pub fn bind(endpoint: &Endpoint, mode: u32) -> io::Result<Vec<Listener>> {
        let explain = |error: io::Error| {
            let hint = hint(endpoint, &error);
            io::Error::new(
                error.kind(),
                format!("cannot bind {endpoint}: {error}{hint}"),
            )
        };
        match endpoint {
            Endpoint::Off => Ok(Vec::new()),
            Endpoint::Unix(path) => socket::bind(path, mode)
                .and_then(Listener::inherit_unix)
                .map(|listener| vec![listener])
                .map_err(explain),
            Endpoint::Inet { host, port } => bind_inet(host, *port).map_err(explain),
        }
    }

    /// Takes over a Unix socket that somebody else has bound.
    pub fn inherit_unix(listener: StdUnixListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let path = address.as_pathname().unwrap_or(Path::new("")).to_owned();
        Ok(Listener::Unix(UnixListener::from_std(listener)?, path))
    }

    /// Takes over a TCP socket that somebody else has bound.
    pub fn inherit_tcp(listener: std::net::TcpListener) -> io::Result<Listener> {
        listener.set_nonblocking(true)?;
        Ok(Listener::Tcp(TcpListener::from_std(listener)?))
    }

    /// The next connection. An error concerns one connection that did not come about (or the lack
    /// of file descriptors), never the socket: wait a little and call again.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Stream>> {
        match self {
            Listener::Unix(listener, _) => listener
                .poll_accept(cx)
                .map_ok(|(stream, _)| Stream::Unix(stream)),
            Listener::Tcp(listener) => listener.poll_accept(cx).map_ok(|(stream, _)| {
                // Without it an answer may wait 40 ms for an acknowledgement.
                let _ = stream.set_nodelay(true);
                Stream::Tcp(stream)
            }),
        }
    }

    /// The next connection.
    pub async fn accept(&self) -> io::Result<Stream> {
        std::future::poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// How long to wait after a connection that could not be accepted: files are closed meanwhile.
const PAUSE: Duration = Duration::from_millis(200);

/// The connections that come in at a listener. One that does not come about (no file descriptor
/// left, or the peer has gone) costs the others a short wait and is said once a minute.
pub struct Arrivals {
    listener: Listener,
    clock: Clock,
    said: OnceAMinute,
}

impl Arrivals {
    /// All that will come.
    pub fn new(listener: Listener, clock: Clock) -> Arrivals {
        Arrivals {
            listener,
            clock,
            said: OnceAMinute::new(),
        }
    }

    /// The next one.
    pub async fn next(&self) -> Stream {
        loop {
            match self.listener.accept().await {
                Ok(stream) => return stream,
                Err(error) => {
                    if self.said.is_due(&self.clock) {
                        let (address, error) = (self.listener.to_string(), error.to_string());
                        tracing::error!(address, error, "cannot accept a connection; trying on");
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

/// Every address of the host. One that this host does not have (`::1` without IPv6) is passed over
/// as long as another one works.
fn bind_inet(host: &str, port: u16) -> io::Result<Vec<Listener>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for address in (host, port).to_socket_addrs()? {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    let mut listeners = Vec::new();
    let mut absent = None;
    for address in addresses {
        match bind_tcp(address) {
            Ok(listener) => listeners.push(Listener::Tcp(listener)),
            Err(error) if is_absent(&error) => absent = Some(error),
            Err(error) => return Err(error),
        }
    }
    match absent {
        Some(error) if listeners.is_empty() => Err(error),
        Some(_) | None => Ok(listeners),
    }
}

fn is_absent(error: &io::Error) -> bool {
    let no_ipv6 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_ipv6)
}

fn bind_tcp(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Without it a restart would have to wait for connections of the last run to be forgotten.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(socket::BACKLOG.unsigned_abs())
}

/// What to do about an error, where that is known.
fn hint(endpoint: &Endpoint, error: &io::Error) -> String {
    let directory = match endpoint {
        Endpoint::Off | Endpoint::Inet { .. } => None,
        Endpoint::Unix(path) => path.parent().map(Path::display),
    };
    match (directory, error.kind()) {
        (Some(directory), ErrorKind::NotFound) => {
            format!("; create its directory: install -d -m 2750 -g postfix {directory}")
        }
        (Some(directory), ErrorKind::PermissionDenied) => {
            format!("; {directory} must be writable for the user that outgate runs as")
        }
        (None, ErrorKind::AddrInUse) => "; another process listens there: stop it first".to_owned(),
        _ => String::new(),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
