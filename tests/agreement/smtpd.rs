//! Messages as Postfix asks about them, at every stage, by policy and by milter.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use crate::site::{LONG, Site};

/// A message, and whose it is.
#[derive(Clone, Debug)]
pub struct Message {
    pub login: String,
    pub client: &'static str,
    pub sender: String,
    pub from: Vec<String>,
    pub recipients: u32,
}

/// Where a message was when an answer was given for good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    Mail,
    Rcpt,
    Data,
    Eom,
}

/// What was said last, and when. An empty reply: accepted.
#[derive(PartialEq, Eq, Debug)]
pub struct Said {
    pub stage: Stage,
    pub reply: String,
}

fn connect(site: &Site, door: &str) -> UnixStream {
    let stream = UnixStream::connect(site.socket(door)).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// Connections of smtpd processes to the policy server.
pub struct Policy(BufReader<UnixStream>);

impl Policy {
    pub fn connect(site: &Site) -> Policy {
        Policy(BufReader::new(connect(site, "policy")))
    }

    /// Asked at RCPT, and at DATA if that is allowed. No two messages have one `number`.
    pub fn hand_in(&mut self, message: &Message, number: usize) -> Said {
        for (stage, name, recipients) in [
            (Stage::Rcpt, "RCPT", 0),
            (Stage::Data, "DATA", message.recipients),
        ] {
            let reply = self.ask(message, name, recipients, number);
            if reply != "DUNNO" {
                return Said { stage, reply };
            }
        }
        Said {
            stage: Stage::Data,
            reply: String::new(),
        }
    }

    fn ask(&mut self, message: &Message, stage: &str, recipients: u32, number: usize) -> String {
        let Message {
            login,
            client,
            sender,
            ..
        } = message;
        // Postfix hands over what the quotes meant.
        let sender = sender.replace('"', "");
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state={stage}\nprotocol_name=ESMTP\n\
             client_address={client}\nclient_port=41000\nsender={sender}\nqueue_id=Q{number}\n\
             recipient_count={recipients}\ninstance=1.{number}\nsasl_username={login}\n\n"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        while !answer.ends_with("\n\n") {
            assert_ne!(self.0.read_line(&mut answer).unwrap(), 0, "{request}");
        }
        answer.trim_end().replacen("action=", "", 1)
    }
}

/// An SMTP session as a milter sees it.
pub struct Milter(UnixStream);

impl Milter {
    pub fn connect(site: &Site) -> Milter {
        let mut milter = Milter(connect(site, "milter"));
        let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
        milter.send(b'O', &offer);
        assert_eq!(milter.receive().0, b'O');
        milter
    }

    /// One message from MAIL to its end, or to where it is refused.
    pub fn hand_in(mut self, message: &Message) -> Said {
        let Message {
            login,
            client,
            sender,
            ..
        } = message;
        let macros = format!(
            "M{{auth_type}}\0PLAIN\0{{auth_authen}}\0{login}\0{{mail_addr}}\0{sender}\0\
             {{client_addr}}\0{client}\0{{client_port}}\x0040000\0{{daemon_name}}\0ORIGINATING\0"
        );
        self.send(b'D', macros.as_bytes());
        let mail = format!("<{sender}>\0");
        let mut steps = vec![(Stage::Mail, b'M', mail.as_bytes())];
        for _ in 0..message.recipients {
            steps.push((Stage::Rcpt, b'R', b"<friend@elsewhere.example>\0"));
        }
        steps.push((Stage::Data, b'T', b""));
        for (stage, command, data) in steps {
            self.send(command, data);
            if let Some(reply) = self.answer() {
                return Said { stage, reply };
            }
        }
        for from in &message.from {
            self.send(b'L', format!("From\0{from}\0").as_bytes());
        }
        self.send(b'N', b"");
        self.send(b'E', b"");
        Said {
            stage: Stage::Eom,
            reply: self.answer().unwrap_or_default(),
        }
    }

    /// Nothing for "go on".
    fn answer(&mut self) -> Option<String> {
        match self.receive() {
            (b'c', _) => None,
            (b'y', text) => {
                let text = String::from_utf8(text).unwrap();
                Some(text.trim_end_matches('\0').replace("%%", "%"))
            }
            (other, _) => panic!("answered by {}", char::from(other)),
        }
    }

    fn send(&mut self, command: u8, data: &[u8]) {
        let length = u32::try_from(data.len() + 1).unwrap();
        let frame = [&length.to_be_bytes(), &[command][..], data].concat();
        self.0.write_all(&frame).unwrap();
    }

    fn receive(&mut self) -> (u8, Vec<u8>) {
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut answer).unwrap();
        (answer[0], answer[1..].to_vec())
    }
}
