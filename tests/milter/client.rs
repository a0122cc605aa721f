//! A milter client that sends what it is told: Postfix's side of the protocol, version 6, byte by byte.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

/// Everything that Postfix offers.
const ACTIONS: u32 = 0x1ff;
const PROTOCOL: u32 = 0x1f_ffff;

/// One connection: one SMTP session.
pub struct Client {
    stream: UnixStream,
    /// What was agreed on.
    pub actions: u32,
    pub protocol: u32,
    pub macros: Vec<(u32, String)>,
}

/// What the milter said to an event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    Continue,
    Reply(String),
    /// A modification of the message: command and data.
    Change(char, String),
    Other(char),
}

impl Client {
    /// Connects and negotiates.
    pub async fn open(path: &std::path::Path) -> io::Result<Client> {
        let mut client = Client::raw(path).await?;
        let offer = [6_u32, ACTIONS, PROTOCOL].map(u32::to_be_bytes).concat();
        client.send(b'O', &offer).await?;
        let (command, data) = client.receive().await?;
        assert_eq!(command, b'O');
        let number = |at: usize| u32::from_be_bytes(data[at..at + 4].try_into().unwrap());
        (client.actions, client.protocol) = (number(4), number(8));
        let mut rest = &data[12..];
        while rest.len() > 4 {
            let stage = u32::from_be_bytes(rest[..4].try_into().unwrap());
            let end = rest[4..].iter().position(|b| *b == 0).unwrap();
            let names = String::from_utf8(rest[4..4 + end].to_vec()).unwrap();
            client.macros.push((stage, names));
            rest = &rest[4 + end + 1..];
        }
        Ok(client)
    }

    /// Connects and says nothing.
    pub async fn raw(path: &std::path::Path) -> io::Result<Client> {
        Ok(Client {
            stream: UnixStream::connect(path).await?,
            actions: 0,
            protocol: 0,
            macros: Vec::new(),
        })
    }

    /// Bytes as they are.
    pub async fn bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Whether the milter has closed the connection.
    pub async fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0; 1]).await, Ok(0) | Err(_))
    }

    pub async fn send(&mut self, command: u8, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len() + 1).unwrap();
        let mut packet = length.to_be_bytes().to_vec();
        packet.push(command);
        packet.extend_from_slice(data);
        self.stream.write_all(&packet).await
    }

    async fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let length = self.stream.read_u32().await?;
        let mut packet = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut packet).await?;
        Ok((packet[0], packet[1..].to_vec()))
    }

    async fn answer(&mut self) -> Said {
        let (command, data) = self.receive().await.unwrap();
        let text = || {
            let text = String::from_utf8(data.clone()).unwrap();
            text.trim_end_matches('\0').replace('\0', "|")
        };
        match command {
            b'c' => Said::Continue,
            b'y' => Said::Reply(text()),
            b'h' => Said::Change('h', text()),
            b'm' => Said::Change(
                'm',
                data[..4].iter().map(u8::to_string).collect::<String>() + &text()[4..],
            ),
            other => Said::Other(char::from(other)),
        }
    }

    pub async fn macros(&mut self, stage: u8, macros: &[(&str, &str)]) {
        let mut data = vec![stage];
        for (name, value) in macros {
            data.extend_from_slice(format!("{name}\0{value}\0").as_bytes());
        }
        self.send(b'D', &data).await.unwrap();
    }

    /// MAIL with these macros.
    pub async fn mail(&mut self, argument: &str, macros: &[(&str, &str)]) -> Said {
        self.macros(b'M', macros).await;
        self.send(b'M', format!("{argument}\0SIZE=100\0").as_bytes())
            .await
            .unwrap();
        self.answer().await
    }

    /// MAIL of a user from 192.0.2.7, as Postfix tells it.
    pub async fn mail_of(&mut self, user: &str, sender: &str) -> Said {
        let macros = [
            ("{auth_type}", "PLAIN"),
            ("{auth_authen}", user),
            ("{mail_addr}", sender),
            ("{client_addr}", "192.0.2.7"),
            ("{client_port}", "40000"),
            ("{daemon_name}", "ORIGINATING"),
        ];
        self.mail(&format!("<{sender}>"), &macros).await
    }

    pub async fn rcpt(&mut self) -> Said {
        self.send(b'R', b"<friend@elsewhere.example>\0")
            .await
            .unwrap();
        self.answer().await
    }

    pub async fn data(&mut self) -> Said {
        self.macros(b'T', &[("i", "4FakeQueueId")]).await;
        self.send(b'T', b"").await.unwrap();
        self.answer().await
    }

    /// A header field, which is not answered.
    pub async fn header(&mut self, name: &str, value: &[u8]) {
        let data = [name.as_bytes(), b"\0", value, b"\0"].concat();
        self.send(b'L', &data).await.unwrap();
    }

    /// The end of the message: changes, then the answer.
    pub async fn end(&mut self) -> (Vec<Said>, Said) {
        self.send(b'N', b"").await.unwrap();
        self.macros(b'E', &[("i", "4FakeQueueId")]).await;
        self.send(b'E', b"").await.unwrap();
        let mut changes = Vec::new();
        loop {
            match self.answer().await {
                change @ Said::Change(..) => changes.push(change),
                answer @ (Said::Continue | Said::Reply(_) | Said::Other(_)) => {
                    // Postfix ends every message so, accepted or not.
                    self.send(b'A', b"").await.unwrap();
                    return (changes, answer);
                }
            }
        }
    }

    /// A message of this user up to its first header.
    pub async fn begin(&mut self, user: &str) {
        assert_eq!(self.mail_of(user, "news@example.com").await, Said::Continue);
        assert_eq!(self.rcpt().await, Said::Continue);
        assert_eq!(self.data().await, Said::Continue);
    }

    /// A whole message after MAIL.
    pub async fn message(&mut self, headers: &[(&str, &str)]) -> Said {
        assert_eq!(self.rcpt().await, Said::Continue);
        assert_eq!(self.data().await, Said::Continue);
        self.end_with(headers).await
    }

    /// A whole message after DATA.
    pub async fn end_with(&mut self, headers: &[(&str, &str)]) -> Said {
        for (name, value) in headers {
            self.header(name, value.as_bytes()).await;
        }
        self.end().await.1
    }
}
