//! The cases in the pages about replies: what somebody does to hear them. They stand in comments, which readers do
//! not see:
//!
//! ```text
//! <!-- case
//! reason  sender-not-allowed          what the log calls it; has to be given
//! wiring  auth-milter                 only in this wiring; else in both
//! config  quota.over-limit = "reject" another configuration
//! client  203.0.113.9                 where the client is; else 192.0.2.7
//! login   shop                        AUTH, with `password` (else the right one) and `authzid`
//! xclient jane@example.net            or: a login that something else than outgate has checked
//! guesses 10                          so many other wrong passwords before
//! first                               a message that is accepted
//! run     user remove shop            a command of outgate's, between login and message
//! gone                                from then on the database is not there; MAIL is said until that is noticed
//! mail    ceo@bank.example            the envelope sender
//! to      51                          so many recipients; else one
//! from    Ann <ann@example.com>       a header From field; `none`: there is none
//! many                                message after message, until one is not accepted
//! -->
//! ```

use serde_json::Value;

use crate::host::{Host, wait_for};
use crate::page::Page;
use crate::smtp::Smtp;

/// The right password of everybody.
pub const PASSWORD: &str = "correct-horse";

/// What somebody does.
#[derive(Clone, Default, Debug)]
pub struct Case {
    pub page: String,
    pub reason: String,
    pub wiring: Option<String>,
    pub config: Vec<String>,
    pub client: Option<String>,
    pub login: Option<String>,
    pub password: Option<String>,
    authzid: String,
    xclient: Option<String>,
    guesses: u32,
    first: bool,
    run: Vec<String>,
    gone: bool,
    pub mail: Option<String>,
    to: u32,
    from: Vec<String>,
    many: bool,
}

/// What comes of it.
pub struct Heard {
    /// The last line of what the client reads.
    pub answer: String,
    /// The line in the log.
    pub logged: Value,
}

impl Case {
    /// Those of a page.
    pub fn all(page: &Page) -> Vec<Case> {
        let comments = page.text.split("<!-- case\n").skip(1);
        comments
            .map(|rest| {
                let (text, _) = rest.split_once("-->").unwrap();
                let mut case = Case {
                    page: page.name(),
                    to: 1,
                    ..Case::default()
                };
                text.lines().for_each(|line| case.line(line));
                assert!(!case.reason.is_empty(), "{}: {text}", page.name());
                case
            })
            .collect()
    }

    fn line(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim().to_owned();
        match key {
            "reason" => self.reason = value,
            "wiring" => self.wiring = Some(value),
            "config" => self.config.push(value),
            "client" => self.client = Some(value),
            "login" => self.login = Some(value),
            "password" => self.password = Some(value),
            "authzid" => self.authzid = value,
            "xclient" => self.xclient = Some(value),
            "guesses" => self.guesses = value.parse().unwrap(),
            "first" => self.first = true,
            "run" => self.run.push(value),
            "gone" => self.gone = true,
            "mail" => self.mail = Some(value),
            "to" => self.to = value.parse().unwrap(),
            "from" => self.from.push(value),
            "many" => self.many = true,
            _ => panic!("{}: what is {line:?}?", self.page),
        }
    }

    /// Where the client is.
    pub fn address(&self) -> &str {
        self.client.as_deref().unwrap_or("192.0.2.7")
    }

    /// Does it.
    pub fn play(&self, host: &Host) -> Heard {
        let before = host.decisions().len();
        let answer = self.converse(host);
        let mut logged = None;
        wait_for(
            &format!("{}: {} in the log", self.page, self.reason),
            || {
                let lines = host.decisions();
                let mut new = lines.into_iter().skip(before);
                logged = new.find(|line| line["reason"] == *self.reason);
                logged.is_some()
            },
        );
        Heard {
            answer,
            logged: logged.unwrap(),
        }
    }

    fn converse(&self, host: &Host) -> String {
        let mut smtp = host.connect();
        smtp.xclient(self.address(), self.xclient.as_deref());
        if let Some(login) = &self.login {
            for number in 0..self.guesses {
                smtp.login(login, &format!("wrong-horse-{number}"));
            }
            let password = self.password.as_deref().unwrap_or(PASSWORD);
            let answer = smtp.login_for(&self.authzid, login, password);
            if !answer.starts_with("235 ") {
                return answer;
            }
        }
        if self.first {
            let answer = self.send(&mut smtp);
            assert!(answer.starts_with("250 "), "{}: {answer}", self.page);
        }
        for line in &self.run {
            host.outgate(line);
        }
        if !self.gone {
            return self.send(&mut smtp);
        }
        let (there, away) = (host.path("state"), host.path("state-elsewhere"));
        std::fs::rename(&there, &away).unwrap();
        let mail = format!("MAIL FROM:<{}>", self.mail.as_deref().unwrap_or_default());
        let mut answer = String::new();
        wait_for("the daemon notices", || {
            answer = smtp.say(&mail);
            smtp.reset();
            !answer.starts_with("250 ")
        });
        std::fs::rename(&away, &there).unwrap();
        wait_for("the daemon is well again", || {
            let well = self.send(&mut smtp).starts_with("250 ");
            smtp.reset();
            well
        });
        answer
    }

    fn send(&self, smtp: &mut Smtp) -> String {
        let mail = self.mail.as_deref().unwrap_or_else(|| {
            panic!(
                "{}: {}: the login was accepted, and no mail is said",
                self.page, self.reason
            )
        });
        let recipients: Vec<String> = (0..self.to)
            .map(|n| format!("friend{n}@elsewhere.example"))
            .collect();
        let recipients: Vec<&str> = recipients.iter().map(String::as_str).collect();
        let header = match self.from.as_slice() {
            [] => format!("From: {mail}"),
            [none] if none == "none" => "X-Mailer: scanner".to_owned(),
            fields => {
                let fields: Vec<String> = fields.iter().map(|f| format!("From: {f}")).collect();
                fields.join("\r\n")
            }
        };
        for _ in 0..250 {
            let answer = smtp.send(mail, &recipients, &header);
            if !(self.many && answer.starts_with("250 ")) {
                return answer;
            }
        }
        panic!("{}: {}: 250 messages were accepted", self.page, self.reason);
    }
}
