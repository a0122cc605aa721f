//! The Dovecot auth protocol, as Postfix speaks it.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::auth::Authenticator;

/// The auth front end.
pub struct AuthFront {
    authenticator: Arc<Authenticator>,
}

impl AuthFront {
    /// A front end that asks this authenticator.
    pub fn new(authenticator: Arc<Authenticator>) -> AuthFront {
        AuthFront { authenticator }
    }

    /// Serves one connection of an smtpd process until that closes it.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S) {
        let _ = (&self.authenticator, stream);
    }
}
