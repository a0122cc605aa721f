//! Messages as Postfix asks about them, at every stage, by policy and by milter.

use crate::site::Site;
use crate::submission;

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

/// Connections of smtpd processes to the policy server.
pub struct Policy(submission::Policy);

impl Policy {
    pub fn connect(site: &Site) -> Policy {
        Policy(submission::Policy::connect(site).unwrap())
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
        self.0.put(&request).unwrap()
    }
}

/// An SMTP session as a milter sees it.
pub struct Milter(submission::Milter);

impl Milter {
    pub fn connect(site: &Site) -> Milter {
        Milter(submission::Milter::connect(site).unwrap())
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
        self.0.send(b'D', macros.as_bytes()).unwrap();
        let mail = format!("<{sender}>\0");
        let mut steps = vec![(Stage::Mail, b'M', mail.as_bytes())];
        for _ in 0..message.recipients {
            steps.push((Stage::Rcpt, b'R', b"<friend@elsewhere.example>\0"));
        }
        steps.push((Stage::Data, b'T', b""));
        for (stage, command, data) in steps {
            self.0.send(command, data).unwrap();
            if let Some(reply) = self.answer() {
                return Said { stage, reply };
            }
        }
        for from in &message.from {
            self.0
                .send(b'L', format!("From\0{from}\0").as_bytes())
                .unwrap();
        }
        self.0.send(b'N', b"").unwrap();
        self.0.send(b'E', b"").unwrap();
        Said {
            stage: Stage::Eom,
            reply: self.answer().unwrap_or_default(),
        }
    }

    /// Nothing for "go on".
    fn answer(&mut self) -> Option<String> {
        match self.0.receive().unwrap() {
            (b'c', _) => None,
            (b'y', text) => {
                let text = String::from_utf8(text).unwrap();
                Some(text.trim_end_matches('\0').replace("%%", "%"))
            }
            (other, _) => panic!("answered by {}", char::from(other)),
        }
    }
}
