//! A daemon with an admin listener, and HTTP by hand.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::exposition::Exposition;
use crate::site::{Daemon, LONG, Site};

/// Where a daemon's admin listener is.
pub struct Web {
    address: String,
}

/// An answer of HTTP.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// The status line and the header, in lower case.
    pub head: String,
    pub body: String,
}

/// A site whose daemon has an admin listener.
pub fn site() -> Site {
    let site = Site::new();
    let listen = format!("{}admin = \"inet:127.0.0.1:0\"\n", site.listen());
    site.configure(&listen, "");
    site
}

/// A daemon that is ready, and its admin listener.
pub fn ready(site: &Site) -> (Daemon, Web) {
    let daemon = site.ready();
    let web = Web::of(&daemon);
    (daemon, web)
}

impl Web {
    /// As the daemon announces it.
    pub fn of(daemon: &Daemon) -> Web {
        let start = "listening front_end=admin address=inet:";
        let line = daemon.out.wait("admin", |line| line.starts_with(start));
        Web {
            address: line[start.len()..].to_owned(),
        }
    }

    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        stream
    }

    pub fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    /// `more`: lines of the header.
    pub fn ask(&self, method: &str, path: &str, more: &str) -> Answer {
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{more}\r\n");
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Answer::parse(&answer)
    }

    /// What Prometheus would see.
    pub fn scrape(&self) -> Exposition {
        let answer = self.get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Exposition::parse(&answer.body)
    }
}

impl Answer {
    #[track_caller]
    pub fn parse(bytes: &[u8]) -> Answer {
        let text = String::from_utf8_lossy(bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            panic!("no HTTP: {text:?}");
        };
        let status = head.split(' ').nth(1).unwrap();
        Answer {
            status: status.parse().unwrap(),
            head: head.to_ascii_lowercase(),
            body: body.to_owned(),
        }
    }

    pub fn has_header(&self, line: &str) -> bool {
        self.head.lines().any(|found| found == line)
    }
}
