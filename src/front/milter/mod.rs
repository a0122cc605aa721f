//! The milter front end, on indymilter.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::listener::Listener;
use crate::engine::Engine;

/// The running milter front end.
pub struct MilterFront {
    engine: Arc<Engine>,
}

impl MilterFront {
    /// Starts serving a socket, on threads of its own.
    pub fn start(engine: Arc<Engine>, listener: Listener) -> io::Result<MilterFront> {
        drop(listener);
        Ok(MilterFront { engine })
    }

    /// Stops accepting (new sessions wait in the backlog of the socket), lets the sessions that
    /// are open end by themselves for that long, and cuts off the rest.
    pub async fn drain(self, patience: Duration) {
        let _ = (&self.engine, patience);
    }
}
