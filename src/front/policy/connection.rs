//! One policy connection: bytes between a socket and the codec, within bounds of size and time.

use std::future::Future;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::codec::{Decoder, Encoder};

use super::wire::{Action, Closed, PolicyCodec, Request};

/// How long the rest of a request, or the reading of answers, may take. Between requests there
/// is no limit: Postfix keeps idle connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// Room for reading: some questions of the usual 650 bytes.
const CHUNK: usize = 4096;

/// Answers that are gathered before they are written although more questions are waiting.
const BATCH: usize = 16 << 10;

/// A stream with what has been read and not yet understood, and said and not yet written.
pub struct Connection<S> {
    stream: S,
    codec: PolicyCodec,
    input: BytesMut,
    output: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Nothing read yet.
    pub fn new(stream: S) -> Connection<S> {
        Connection {
            stream,
            codec: PolicyCodec::default(),
            input: BytesMut::new(),
            output: BytesMut::new(),
        }
    }

    /// The next request; `None` when the other side has closed. Answers are written before
    /// anything is waited for: many that were asked for at once go out together.
    pub async fn next(&mut self) -> Result<Option<Request>, Closed> {
        if let Some(request) = self.codec.decode(&mut self.input)? {
            return Ok(Some(request));
        }
        self.flush().await?;
        if self.input.is_empty() && !self.read().await? {
            return Ok(None);
        }
        if let Some(request) = self.codec.decode(&mut self.input)? {
            return Ok(Some(request));
        }
        in_time(async {
            while self.read().await? {
                if let Some(request) = self.codec.decode(&mut self.input)? {
                    return Ok(Some(request));
                }
            }
            Ok(None)
        })
        .await
    }

    /// Puts an answer behind the others.
    pub async fn answer(&mut self, action: &Action) -> Result<(), Closed> {
        self.codec.encode(action, &mut self.output)?;
        if self.output.len() < BATCH {
            return Ok(());
        }
        self.flush().await
    }

    /// Writes the answers that are waiting.
    pub async fn flush(&mut self) -> Result<(), Closed> {
        if self.output.is_empty() {
            return Ok(());
        }
        let written = self.stream.write_all(&self.output);
        in_time(async { Ok(written.await?) }).await?;
        self.output.clear();
        Ok(())
    }

    /// Whether more came, or the other side has closed.
    async fn read(&mut self) -> Result<bool, Closed> {
        self.input.reserve(CHUNK);
        Ok(self.stream.read_buf(&mut self.input).await? > 0)
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Closed>>) -> Result<T, Closed> {
    let mut work = pin!(work);
    // Most of the time there is nothing to wait for, and no use for a timer.
    if let Poll::Ready(done) = futures_util::poll!(work.as_mut()) {
        return done;
    }
    tokio::time::timeout(PATIENCE, work)
        .await
        .unwrap_or(Err(Closed::Late(PATIENCE)))
}
