//! The doors of the front ends that run here: accepts connections, each a task of its own, and counts
//! them. For auth and policy there is no limit but that of open files: Postfix bounds its own processes.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

use crate::clock::Clock;
use crate::front::listener::{Arrivals, Listener, Stream};

/// Connections that are open now.
#[derive(Default, Debug)]
pub struct Gauge {
    open: AtomicUsize,
    /// Somebody was the last to leave.
    left: Notify,
}

impl Gauge {
    /// How many.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Waits until none is.
    pub async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.open() == 0 {
                return;
            }
            left.await;
        }
    }

    fn enter(self: &Arc<Gauge>) -> Guest {
        self.open.fetch_add(1, Ordering::SeqCst);
        Guest(self.clone())
    }
}

/// One connection; counted until it is dropped, also by a panic.
struct Guest(Arc<Gauge>);

impl Drop for Guest {
    fn drop(&mut self) {
        let Guest(gauge) = self;
        if gauge.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            gauge.left.notify_waiters();
        }
    }
}

/// Accepts for ever. A panic costs its own connection.
pub async fn keep<Serve, Serving>(listener: Listener, gauge: Arc<Gauge>, clock: Clock, serve: Serve)
where
    Serve: Fn(Stream) -> Serving,
    Serving: Future<Output = ()> + Send + 'static,
{
    keep_few(listener, Semaphore::MAX_PERMITS, gauge, clock, serve).await;
}

/// Like [`keep`], so many at a time: others wait in the backlog of the socket.
pub async fn keep_few<Serve, Serving>(
    listener: Listener,
    most: usize,
    gauge: Arc<Gauge>,
    clock: Clock,
    serve: Serve,
) where
    Serve: Fn(Stream) -> Serving,
    Serving: Future<Output = ()> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(most));
    let arrivals = Arrivals::new(listener, clock);
    // Nobody closes the room.
    while let Ok(place) = room.clone().acquire_owned().await {
        let stream = arrivals.next().await;
        let guest = gauge.enter();
        let serving = serve(stream);
        tokio::spawn(async move {
            let _guest = (guest, place);
            serving.await;
        });
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::config::value::Endpoint;

    #[tokio::test]
    async fn a_panic_costs_one_connection() {
        let endpoint: Endpoint = "inet:127.0.0.1:0".parse().unwrap();
        let listener = Listener::bind(&endpoint, 0o600).unwrap().remove(0);
        let address = listener.to_string();
        let address = address.strip_prefix("inet:").unwrap();
        let gauge = Arc::<Gauge>::default();
        let serve = |mut stream: Stream| async move {
            let byte = stream.read_u8().await.unwrap();
            assert_ne!(byte, b'!', "told to");
            stream.write_u8(byte).await.unwrap();
            let _ = stream.read_u8().await;
        };
        let keeping = tokio::spawn(keep(listener, gauge.clone(), Clock::system(), serve));

        let mut good = TcpStream::connect(address).await.unwrap();
        let mut bad = TcpStream::connect(address).await.unwrap();
        bad.write_u8(b'!').await.unwrap();
        assert_eq!(bad.read(&mut [0]).await.unwrap_or(0), 0);
        good.write_u8(b'1').await.unwrap();
        assert_eq!(good.read_u8().await.unwrap(), b'1');
        let mut later = TcpStream::connect(address).await.unwrap();
        later.write_u8(b'2').await.unwrap();
        assert_eq!(later.read_u8().await.unwrap(), b'2');

        // The connection is closed before its guest has left, by a hair.
        while gauge.open() > 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gauge.open(), 2);
        drop((good, later));
        while gauge.open() > 0 {
            tokio::task::yield_now().await;
        }
        keeping.abort();
    }
}
