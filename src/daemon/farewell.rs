//! The end of a connection without losing a question: the other side is told first that nothing more
//! will be read, what it has said by then is answered, and then the connection is closed.
//!
//! An smtpd process keeps its connections to auth and policy, and asks when it likes. Closed just
//! when it asks, it has lost its question: its client hears 454, or waits. Where reading was shut down,
//! its next question fails to be written, and Postfix asks over a new connection, which waits in the
//! backlog for the next process. (Over TCP the other side learns nothing of it, and can lose one.)

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use rustix::net::Shutdown;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use crate::front::listener::Stream;

/// Tells all connections when it is time.
#[derive(Default)]
pub struct Farewell {
    is_time: AtomicBool,
    all: Arc<Notify>,
}

impl Farewell {
    /// From now on nobody is listened to any more.
    pub fn say(&self) {
        self.is_time.store(true, Ordering::SeqCst);
        self.all.notify_waiters();
    }
}

/// A connection that takes its leave when it is time.
pub struct Visitor {
    stream: Stream,
    farewell: Arc<Farewell>,
    /// Wakes the task that reads; polled once, as that task is always the same.
    wake: Pin<Box<OwnedNotified>>,
    stage: Stage,
}

#[derive(PartialEq, Eq)]
enum Stage {
    /// Nothing was read yet.
    New,
    /// The task will be woken.
    Here,
    /// Nothing more can be said to us.
    Leaving,
}

impl Visitor {
    /// A connection that has just come in.
    pub fn new(stream: Stream, farewell: Arc<Farewell>) -> Visitor {
        let wake = Box::pin(farewell.all.clone().notified_owned());
        Visitor {
            stream,
            farewell,
            wake,
            stage: Stage::New,
        }
    }

    fn leave(&mut self) {
        self.stage = Stage::Leaving;
        // One that the other side has closed already needs no farewell.
        let _ = match &self.stream {
            Stream::Unix(stream) => rustix::net::shutdown(stream, Shutdown::Read),
            Stream::Tcp(stream) => rustix::net::shutdown(stream, Shutdown::Read),
        };
    }
}

impl AsyncRead for Visitor {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let visitor = self.get_mut();
        if visitor.stage == Stage::New {
            visitor.stage = Stage::Here;
            let _ = visitor.wake.as_mut().poll(cx);
        }
        if visitor.stage == Stage::Here && visitor.farewell.is_time.load(Ordering::SeqCst) {
            visitor.leave();
        }
        Pin::new(&mut visitor.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Visitor {
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
    use std::io::ErrorKind;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn what_was_said_before_is_heard_and_answered_and_nothing_can_be_said_after() {
        let (mut smtpd, served) = UnixStream::pair().unwrap();
        let farewell = Arc::<Farewell>::default();
        let mut visitor = Visitor::new(Stream::Unix(served), farewell.clone());
        let serving = tokio::spawn(async move {
            while let Ok(byte) = visitor.read_u8().await {
                visitor.write_u8(byte).await.unwrap();
            }
        });
        smtpd.write_u8(1).await.unwrap();
        assert_eq!(smtpd.read_u8().await.unwrap(), 1);
        smtpd.write_u8(2).await.unwrap();
        farewell.say();
        serving.await.unwrap();
        assert_eq!(smtpd.read_u8().await.unwrap(), 2);
        let error = smtpd.write_u8(3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn who_comes_when_it_is_time_is_answered_once_more() {
        let farewell = Arc::<Farewell>::default();
        farewell.say();
        let (mut smtpd, served) = UnixStream::pair().unwrap();
        smtpd.write_u8(1).await.unwrap();
        let mut visitor = Visitor::new(Stream::Unix(served), farewell);
        assert_eq!(visitor.read_u8().await.unwrap(), 1);
        assert!(visitor.read_u8().await.is_err());
    }
}
