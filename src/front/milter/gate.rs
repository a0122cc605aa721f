//! How connections come in: accepted one by one while there is room, spread over the threads, and
//! counted until they end. A connection that does not come about costs nothing but itself.

use std::io;
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use super::frames::{CHUNK, Frames};
use crate::front::listener::{Arrivals, Stream};

/// More than any [`Room`] has.
pub const UNBOUNDED: usize = Semaphore::MAX_PERMITS;

/// How many sessions there may be, and are.
pub struct Room {
    places: Arc<Semaphore>,
    most: u32,
}

impl Room {
    /// Room for so many.
    pub fn new(most: NonZeroU32) -> Room {
        let most = most.get();
        let places = usize::try_from(most).unwrap_or(UNBOUNDED).min(UNBOUNDED);
        Room {
            places: Arc::new(Semaphore::new(places)),
            most,
        }
    }

    /// How many there may be.
    pub fn most(&self) -> u32 {
        self.most
    }

    /// How many are there.
    pub fn taken(&self) -> usize {
        let most = usize::try_from(self.most).unwrap_or(UNBOUNDED);
        most.saturating_sub(self.places.available_permits())
    }

    /// Waits until nobody is left. Takes the places of those who leave, so nobody may be let in any
    /// more.
    pub async fn empty(&self) {
        let _ = self.places.acquire_many(self.most).await;
    }
}

/// A connection on its way to the thread that serves it: bare, because a socket belongs to the
/// runtime that it was registered with.
pub struct Connection {
    socket: OwnedFd,
    is_unix: bool,
    place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(stream: Stream, place: OwnedSemaphorePermit) -> io::Result<Connection> {
        let is_unix = matches!(stream, Stream::Unix(_));
        let socket = match stream {
            Stream::Unix(stream) => OwnedFd::from(stream.into_std()?),
            Stream::Tcp(stream) => OwnedFd::from(stream.into_std()?),
        };
        Ok(Connection {
            socket,
            is_unix,
            place,
        })
    }

    fn open(self) -> io::Result<Session> {
        let stream = if self.is_unix {
            Stream::Unix(tokio::net::UnixStream::from_std(self.socket.into())?)
        } else {
            Stream::Tcp(tokio::net::TcpStream::from_std(self.socket.into())?)
        };
        Ok(Session {
            stream,
            frames: Frames::default(),
            _place: self.place,
        })
    }
}

/// How a front end ends, step by step.
#[derive(Clone, Default)]
pub struct Ending {
    /// Nobody is to be let in any more.
    pub closing: CancellationToken,
    /// Nobody is let in any more.
    pub closed: CancellationToken,
    /// Whoever is left is to be cut off.
    pub cut: CancellationToken,
}

/// Accepts until `closing`, then keeps the socket, in whose backlog new sessions wait, until `cut`.
/// Ends earlier if a thread that serves connections has ended.
pub async fn keep(
    arrivals: Arrivals,
    room: Arc<Room>,
    workers: Vec<UnboundedSender<Connection>>,
    ending: Ending,
) {
    tokio::select! {
        () = accept(&arrivals, &room, &workers) => {}
        () = ending.closing.cancelled() => {
            ending.closed.cancel();
            ending.cut.cancelled().await;
        }
    }
}

/// Whoever is let in has a place: nobody else takes any before this has ended.
async fn accept(arrivals: &Arrivals, room: &Room, workers: &[UnboundedSender<Connection>]) {
    for worker in workers.iter().cycle() {
        // One that is free now is still free when a connection comes, and until then it counts as
        // free.
        drop(room.places.acquire().await);
        let stream = arrivals.next().await;
        let Ok(place) = room.places.clone().try_acquire_owned() else {
            return;
        };
        if let Ok(connection) = Connection::new(stream, place)
            && worker.send(connection).is_err()
        {
            return;
        }
    }
}

/// The end of the channel at which a thread takes its connections.
pub struct Gate {
    receiver: UnboundedReceiver<Connection>,
}

impl Gate {
    /// Takes them from there.
    pub fn new(receiver: UnboundedReceiver<Connection>) -> Gate {
        Gate { receiver }
    }
}

impl indymilter::Listener for Gate {
    type Io = Session;

    /// Never fails: indymilter would stop serving for ever.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Session>> {
        loop {
            match ready!(self.receiver.poll_recv(cx)) {
                Some(connection) => match connection.open() {
                    Ok(session) => return Poll::Ready(Ok(session)),
                    // Its place is free again, and Postfix finds it closed.
                    Err(error) => {
                        let error = error.to_string();
                        tracing::warn!(front_end = "milter", error, "connection lost");
                    }
                },
                None => return Poll::Pending,
            }
        }
    }
}

/// One SMTP session's connection; gives its place back when it ends.
pub struct Session {
    stream: Stream,
    /// On their way in.
    frames: Frames,
    _place: OwnedSemaphorePermit,
}

impl AsyncRead for Session {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let session = self.get_mut();
        while session.frames.is_empty() {
            let mut chunk = buf.take(CHUNK);
            ready!(Pin::new(&mut session.stream).poll_read(cx, &mut chunk))?;
            if chunk.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            session.frames.feed(chunk.filled());
        }
        session.frames.take(buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Session {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::net::TcpStream;
    use tokio::sync::mpsc::unbounded_channel;

    use super::*;
    use crate::clock::Clock;
    use crate::config::value::Endpoint;
    use crate::front::listener::Listener;

    #[tokio::test]
    async fn a_thread_that_has_ended_is_noticed_at_the_next_connection() {
        let endpoint: Endpoint = "inet:127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&endpoint, 0o600).unwrap().remove(0);
        let address = listener.to_string();
        let address = address.strip_prefix("inet:").unwrap();
        let (worker, mut serving) = unbounded_channel();
        let room = Arc::new(Room::new(NonZeroU32::MAX));
        let accepting = tokio::spawn(keep(
            Arrivals::new(listener, Clock::system()),
            room.clone(),
            vec![worker],
            Ending::default(),
        ));
        let _one = TcpStream::connect(address).await.unwrap();
        let one = serving.recv().await.unwrap();
        assert_eq!(room.taken(), 1);
        assert!(!accepting.is_finished());
        drop(serving);
        let _two = TcpStream::connect(address).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), accepting).await;
        ended.unwrap().unwrap();
        drop(one);
        assert_eq!(room.taken(), 0);
    }
}
