//! A client of the auth socket, as an smtpd is one, and the front end that it talks to.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use outgate::auth::Authenticator;
use outgate::front::auth::AuthFront;
use outgate::store::Store;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::world::World;

/// Hashes that cost next to nothing, TLS required.
pub const CHEAP: &str = "config auth.hash = { memory-kib = 64, iterations = 1, parallelism = 1 }\n";

/// A daemon's auth front end.
pub struct Front {
    pub world: World,
    pub authenticator: Arc<Authenticator>,
    front: Arc<AuthFront>,
}

/// One connection of an smtpd process, after the handshake.
pub struct Smtpd {
    stream: BufReader<UnixStream>,
    server: JoinHandle<()>,
}

impl Front {
    pub fn new(description: &str) -> Front {
        Front::of(World::new(&format!("{CHEAP}{description}")))
    }

    pub fn on(store: Arc<dyn Store>) -> Front {
        Front::of(World::on(store, "log.format = \"json\""))
    }

    fn of(world: World) -> Front {
        let authenticator = Arc::new(Authenticator::new(world.engine.clone()));
        let front = Arc::new(AuthFront::new(authenticator.clone()));
        Front {
            world,
            authenticator,
            front,
        }
    }

    /// Connects and says nothing.
    pub fn open(&self) -> Smtpd {
        let (near, far) = UnixStream::pair().unwrap();
        let front = self.front.clone();
        let server = tokio::spawn(async move { front.serve(far).await });
        Smtpd {
            stream: BufReader::new(near),
            server,
        }
    }

    pub async fn connect(&self) -> Smtpd {
        let mut smtpd = self.open();
        while smtpd.line().await != "DONE" {}
        smtpd
    }

    /// The answer to one login on a connection of its own, without its id.
    pub async fn login(&self, name: &str, password: &str, client: &str) -> String {
        self.connect().await.login(name, password, client).await
    }

    /// The reasons that were logged since the last time.
    pub fn reasons(&self) -> Vec<String> {
        let lines = self.world.logged();
        let reason = |line: &serde_json::Value| line["reason"].as_str().unwrap().to_owned();
        lines.iter().map(reason).collect()
    }
}

impl Smtpd {
    pub async fn send(&mut self, bytes: &[u8]) {
        // The other side may have had enough already.
        let _ = self.stream.get_mut().write_all(bytes).await;
    }

    /// The next line; `(closed)` at the end.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        match self.stream.read_until(b'\n', &mut line).await {
            Ok(read) if read > 0 => {
                assert_eq!(line.pop(), Some(b'\n'));
                String::from_utf8(line).unwrap()
            }
            Ok(_) | Err(_) => "(closed)".to_owned(),
        }
    }

    /// The answer to a login with PLAIN, without its id: `OK user`, a reason, or `(closed)`.
    pub async fn login(&mut self, name: &str, password: &str, client: &str) -> String {
        let response = STANDARD.encode(format!("\0{name}\0{password}"));
        let request = format!("AUTH\t1\tPLAIN\trip={client}\tsecured\tresp={response}\n");
        self.send(request.as_bytes()).await;
        let line = self.line().await;
        let fields: Vec<&str> = line.split('\t').collect();
        match fields[..] {
            ["OK", "1", user] => format!("OK {}", user.strip_prefix("user=").unwrap()),
            ["FAIL", "1", .., reason] => reason.strip_prefix("reason=").unwrap().to_owned(),
            _ => line,
        }
    }

    /// Ends the connection from this side; what was still said.
    pub async fn rest(mut self) -> String {
        let _ = self.stream.get_mut().shutdown().await;
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
        self.server.await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}
