//! The Dovecot auth protocol, as Postfix speaks it.
//!
//! Each smtpd process keeps one connection for its life and has one request on it at a time. The
//! handshake depends on nothing: an smtpd that does not get it within 10 s dies, and its port with it.
//! A connection is never closed for being idle. It is closed, unanswered, where the protocol has no
//! word for the truth (trouble: Postfix says 454), and where the other side makes no sense.
//! Requests are answered one after the other; an `AUTH` supersedes a login that was left half done,
//! because Postfix does not say when its client gave up.

pub mod lines;
pub mod mechanism;
pub mod wire;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

use self::lines::Lines;
use self::mechanism::{Conversation, Presented, Turn};
use self::wire::{Line, MAX_LINE, Request};
use crate::auth::{Answer, Asker, Authenticator, Claim};
use crate::decision::Decision;
use crate::decision::login::{refuse_clear_text, refuse_mechanism};
use crate::model::network::ClientAddress;

/// The auth front end.
pub struct AuthFront {
    authenticator: Arc<Authenticator>,
    connections: AtomicU64,
}

/// What is kept of one connection.
struct Session<'a> {
    authenticator: &'a Authenticator,
    /// The one login that waits for its client's next response.
    pending: Option<Pending>,
    /// A login was begun here.
    begun: bool,
    out: Vec<u8>,
}

struct Pending {
    id: u64,
    client: ClientAddress,
    conversation: Conversation,
}

/// Whether the connection goes on.
#[derive(PartialEq, Eq)]
enum Then {
    GoOn,
    Close,
}

impl AuthFront {
    /// A front end that asks this authenticator.
    pub fn new(authenticator: Arc<Authenticator>) -> AuthFront {
        AuthFront {
            authenticator,
            connections: AtomicU64::new(1),
        }
    }

    /// Serves one connection of an smtpd process until that closes it.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(&self, stream: S) {
        if let Err(error) = self.speak(stream).await {
            tracing::debug!(%error, "an auth connection was closed");
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send>(
        &self,
        mut stream: S,
    ) -> io::Result<()> {
        let mut session = Session {
            authenticator: &self.authenticator,
            pending: None,
            begun: false,
            out: Vec::with_capacity(256),
        };
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        wire::handshake(&mut session.out, std::process::id(), number, cookie(number));
        let mut lines = Lines::new(MAX_LINE);
        loop {
            // Nothing is read while an answer waits to be taken.
            stream.write_all(&session.out).await?;
            session.out.clear();
            let Some(line) = lines.next(&mut stream).await? else {
                return Ok(());
            };
            if session.take(line).await == Then::Close {
                return Ok(());
            }
        }
    }
}

/// Ties a master connection to this one in Dovecot; Postfix only wants to see one.
fn cookie(number: u64) -> u128 {
    let mut random = [0_u8; 16];
    match getrandom::fill(&mut random) {
        Ok(()) => u128::from_le_bytes(random),
        Err(_) => u128::from(number),
    }
}

impl Session<'_> {
    async fn take(&mut self, line: &[u8]) -> Then {
        match Line::parse(line) {
            Line::Other => Then::GoOn,
            Line::Version(Some(1)) => Then::GoOn,
            Line::Version(_) | Line::Nameless => {
                tracing::debug!("an auth connection speaks another protocol");
                Then::Close
            }
            Line::Cancel(id) => {
                self.pending.take_if(|pending| pending.id == id);
                Then::GoOn
            }
            Line::Auth(request) => self.begin(&request).await,
            Line::Continue(id, response) => match self.pending.take_if(|p| p.id == id) {
                Some(pending) => {
                    let turn = pending.conversation.answer(response);
                    self.go_on(id, pending.client, turn).await
                }
                // Begun with the process before this one: no wrong password.
                None if !self.begun => Then::Close,
                None => {
                    let why = "a response to a login that is not under way";
                    self.refuse(id, "", ClientAddress::Unknown, refuse_mechanism(why))
                }
            },
        }
    }

    async fn begin(&mut self, request: &Request<'_>) -> Then {
        self.pending = None;
        self.begun = true;
        let turn = Conversation::begin(request.mechanism, request.response);
        let must_be_secured = self
            .authenticator
            .engine()
            .settings()
            .config
            .auth
            .require_tls;
        if request.secured || !must_be_secured || matches!(turn, Turn::Broken(_)) {
            return self.go_on(request.id, request.client, turn).await;
        }
        // Before the client is asked for its password, if it has not sent it already.
        let login = match &turn {
            Turn::Complete(presented) => presented.login.as_str(),
            Turn::Ask(_, Conversation::LoginPassword(login)) => login,
            Turn::Ask(..) | Turn::Broken(_) => "",
        };
        self.refuse(request.id, login, request.client, refuse_clear_text())
    }

    async fn go_on(&mut self, id: u64, client: ClientAddress, turn: Turn) -> Then {
        match turn {
            Turn::Ask(challenge, conversation) => {
                wire::challenge(&mut self.out, id, challenge);
                self.pending = Some(Pending {
                    id,
                    client,
                    conversation,
                });
                Then::GoOn
            }
            Turn::Broken(why) => self.refuse(id, "", client, refuse_mechanism(why)),
            Turn::Complete(Presented { login, password }) => {
                let claim = Claim {
                    asker: self.asker(&login, client),
                    password: Arc::new(password),
                };
                let answer = self.authenticator.log_in(&claim).await;
                self.answer(id, &answer)
            }
        }
    }

    fn refuse(&mut self, id: u64, login: &str, client: ClientAddress, decision: Decision) -> Then {
        let answer = self
            .authenticator
            .refuse(&self.asker(login, client), decision);
        self.answer(id, &answer)
    }

    fn asker<'a>(&self, login: &'a str, client: ClientAddress) -> Asker<'a> {
        Asker {
            login,
            client,
            asked: self.authenticator.engine().clock.instant(),
        }
    }

    fn answer(&mut self, id: u64, answer: &Answer) -> Then {
        match answer {
            Answer::Accepted(user) => wire::accept(&mut self.out, id, user),
            Answer::Refused { user, text } => {
                wire::refuse(&mut self.out, id, user.as_ref(), text);
            }
            Answer::Unanswered => return Then::Close,
        }
        Then::GoOn
    }
}
