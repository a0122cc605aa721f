//! The admin listener: HTTP for monitoring. `/metrics`, `/healthz`, `/readyz`.
//!
//! What it shows comes from an [`Observed`] daemon, and it changes nothing. Whoever connects is taken for hostile:
//! a connection has bounds of size, of time for a request, and of time in all; what is no HTTP gets
//! 400, or nothing. It knows neither front ends nor stores.

mod exposition;
pub mod reading;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};

use self::exposition::{Exposition, Format};
use self::reading::Reading;

/// Connections at a time; others wait in the backlog.
pub const MAX_CONNECTIONS: usize = 64;

/// How long the head of a request may take, counted from the answer before it.
const HEAD_PATIENCE: Duration = Duration::from_secs(5);

/// How large the head of a request may be, in bytes.
const MAX_HEAD: usize = 16 << 10;

/// How long a connection may last: also one whose peer does not read.
const LIFETIME: Duration = Duration::from_secs(120);

/// How long the last answer may take after that.
const LAST_ANSWER: Duration = Duration::from_secs(5);

const TEXT: &str = "text/plain; charset=utf-8";

/// The daemon, as far as it is shown.
pub trait Observed: Send + Sync + 'static {
    /// All figures, as they are now.
    fn reading(&self) -> Reading;

    /// Why not everything works, if something does not.
    fn trouble(&self) -> Option<String>;
}

/// The admin front end.
pub struct AdminFront {
    pages: Router,
}

impl AdminFront {
    /// A front end that shows this daemon.
    pub fn new(daemon: Arc<dyn Observed>) -> AdminFront {
        let pages = Router::new()
            .route("/metrics", get(metrics))
            .with_state(Arc::new(Exposition::new(daemon.clone())))
            .route("/healthz", get(healthz))
            .route("/readyz", get(readyz))
            .with_state(daemon);
        AdminFront { pages }
    }

    /// Serves one connection until its end.
    pub async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let serving = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_PATIENCE)
            .max_buf_size(MAX_HEAD)
            .serve_connection(
                TokioIo::new(stream),
                TowerToHyperService::new(self.pages.clone()),
            );
        tokio::pin!(serving);
        let ended = tokio::select! {
            ended = &mut serving => ended,
            () = sleep(LIFETIME) => {
                serving.as_mut().graceful_shutdown();
                timeout(LAST_ANSWER, serving).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            let error = error.to_string();
            tracing::debug!(front_end = "admin", error, "connection closed");
        }
    }
}

async fn metrics(State(exposition): State<Arc<Exposition>>, headers: HeaderMap) -> Response {
    let format = Format::wanted(&headers);
    match exposition.write(format) {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// That this is answered says it all.
async fn healthz() -> Response {
    said(StatusCode::OK, "alive\n".to_owned())
}

async fn readyz(State(daemon): State<Arc<dyn Observed>>) -> Response {
    match daemon.trouble() {
        None => said(StatusCode::OK, "ready\n".to_owned()),
        Some(why) => said(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("degraded: {why}\n"),
        ),
    }
}

fn said(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, TEXT)], text).into_response()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::Instant;

    use super::reading::{Dns, Hashing, Process};
    use super::*;

    /// Has nothing to show.
    struct Nobody;

    impl Observed for Nobody {
        fn reading(&self) -> Reading {
            Reading {
                process: Process {
                    started_at: 0.0,
                    open_files: None,
                    open_files_limit: None,
                    resident: None,
                    panics: 0,
                },
                ready: true,
                decisions: Vec::new(),
                answers: Vec::new(),
                near_limit: 0,
                connections: Vec::new(),
                memories: Vec::new(),
                hashing: Hashing {
                    done: 0,
                    waiting: 0,
                    running: 0,
                },
                store: None,
                dns: Dns {
                    outcomes: [("", 0); 8],
                    in_flight: 0,
                },
                lost_lines: Vec::new(),
            }
        }

        fn trouble(&self) -> Option<String> {
            None
        }
    }

    /// How long a connection lasts on which this is sent, whose peer takes so many bytes.
    async fn lasts(sent: &[u8], taken: usize) -> Duration {
        let (mut peer, stream) = duplex(64);
        let began = Instant::now();
        let serving = tokio::spawn(async move {
            AdminFront::new(Arc::new(Nobody)).serve(stream).await;
        });
        peer.write_all(sent).await.unwrap();
        let mut answer = vec![0; taken];
        peer.read_exact(&mut answer).await.unwrap();
        serving.await.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_does_not_come_is_not_waited_for() {
        let usual = HEAD_PATIENCE..HEAD_PATIENCE + Duration::from_secs(1);
        for sent in [&b""[..], b"G", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"] {
            let lasted = lasts(sent, 0).await;
            assert!(usual.contains(&lasted), "{lasted:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_connection_is_closed_like_one_that_never_asked() {
        let lasted = lasts(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 100).await;
        assert!(
            lasted <= HEAD_PATIENCE + Duration::from_secs(1),
            "{lasted:?}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_cut_off() {
        let lasted = lasts(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", 10).await;
        assert_eq!(lasted.as_secs(), (LIFETIME + LAST_ANSWER).as_secs());
    }
}
