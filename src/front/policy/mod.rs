//! SMTPD policy delegation (Postfix SMTPD_POLICY_README).

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::engine::Engine;

/// The policy front end.
pub struct PolicyFront {
    engine: Arc<Engine>,
}

impl PolicyFront {
    /// A front end on an engine.
    pub fn new(engine: Arc<Engine>) -> PolicyFront {
        PolicyFront { engine }
    }

    /// Serves one connection of an smtpd process until that closes it.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S) {
        let _ = (&self.engine, stream);
    }
}
