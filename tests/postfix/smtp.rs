//! A client that says exactly what it is told, bytes included.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One SMTP session.
pub struct Smtp {
    stream: BufReader<TcpStream>,
}

impl Smtp {
    /// Connects and greets.
    pub fn connect(port: u16) -> Smtp {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(40)))
            .unwrap();
        let mut smtp = Smtp {
            stream: BufReader::new(stream),
        };
        let banner = smtp.answer();
        assert!(banner.starts_with("220 "), "{banner}");
        smtp.say("EHLO client.example");
        smtp
    }

    /// Says a line and returns the last line of the answer.
    pub fn say(&mut self, line: &str) -> String {
        self.bytes(format!("{line}\r\n").as_bytes())
    }

    /// Sends bytes and returns the last line of one answer.
    pub fn bytes(&mut self, bytes: &[u8]) -> String {
        self.stream.get_mut().write_all(bytes).unwrap();
        self.answer()
    }

    /// The last line of the next answer.
    pub fn answer(&mut self) -> String {
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            let line = line.trim_end().to_owned();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line;
            }
        }
    }

    /// Pretends to come from there, and to have logged in as that user where one is given.
    pub fn xclient(&mut self, address: &str, login: Option<&str>) {
        let login = login.map_or(String::new(), |name| format!(" LOGIN={name}"));
        let answer = self.say(&format!("XCLIENT ADDR={address}{login}"));
        assert!(answer.starts_with("220 "), "{answer}");
        self.say("EHLO client.example");
    }

    /// AUTH PLAIN.
    pub fn login(&mut self, user: &str, password: &str) -> String {
        self.login_for("", user, password)
    }

    /// AUTH PLAIN with an authorization identity.
    pub fn login_for(&mut self, authzid: &str, user: &str, password: &str) -> String {
        let response = STANDARD.encode(format!("{authzid}\0{user}\0{password}"));
        self.say(&format!("AUTH PLAIN {response}"))
    }

    /// A whole message: the answer to the first command that was refused, else to the final dot.
    pub fn send(&mut self, sender: &str, recipients: &[&str], header: &str) -> String {
        let mut answer = self.say(&format!("MAIL FROM:<{sender}>"));
        for recipient in recipients {
            if !answer.starts_with("250") {
                return answer;
            }
            answer = self.say(&format!("RCPT TO:<{recipient}>"));
        }
        if !answer.starts_with("250") {
            return answer;
        }
        answer = self.say("DATA");
        if !answer.starts_with("354") {
            return answer;
        }
        self.say(&format!("{header}\r\nSubject: test\r\n\r\nText.\r\n."))
    }

    /// RSET.
    pub fn reset(&mut self) {
        assert!(self.say("RSET").starts_with("250"));
    }
}
