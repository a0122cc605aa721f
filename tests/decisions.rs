//! The rules about who may send, as scenario files that a postmaster can read and write.
//!
//! A file in `tests/decisions` holds worlds (`world TITLE`, then lines as `tests/world` reads them)
//! and cases in them:
//!
//! ```text
//! case a foreign domain
//!   login    shop                      the SASL name
//!   ip       192.0.2.7                 the client; left out: not judged
//!   mail     a@evil.example            the envelope sender as policy sees it, `<>`: the null sender
//!   argument <a@evil.example>          or: the argument of MAIL as a milter sees it
//!   resolved a@evil.example            and what Postfix made of it; `-`: Postfix did not say
//!   session  another                   the session began with a user that is not this one
//!   from     Ann <a@evil.example>      a header From field; `\n` folds it; `from-none`: there is none
//!   to       3                         so many recipients (else one)
//!   after    2                         so many messages like this were accepted before
//!   audit                              the lines are marked as written in audit mode
//!   refuse   sender-not-allowed        what is found, in order (or: defer REASON)
//!   reply    550 5.7.1 …               how that is said; `{id}` stands for the decision's id
//!   passes                             the message goes on all the same
//!   allow                              or: nothing is found
//! ```
//!
//! `\xHH` stands for a byte. Every case runs through the engine on a store, is asked twice, and is
//! compared with what the log says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may fail"
)]

mod world;

use outgate::decision::facts::{Question, Resolved, Stage};
use outgate::engine::{Context, Record};
use outgate::journal::FrontEnd;
use outgate::model::header_from;
use outgate::model::name::UserId;
use outgate::model::network::ClientAddress;
use outgate::model::quota::MessageKey;
use outgate::model::reply::{MAX_LINE, MAX_REPLY};
use outgate::model::sender::EnvelopeSender;
use world::World;

/// One submission and what is to become of it.
#[derive(Default)]
struct Case {
    title: String,
    login: String,
    client: Option<ClientAddress>,
    sender: Option<EnvelopeSender>,
    resolved: Option<Resolved>,
    session: Option<UserId>,
    from: Option<Vec<Vec<u8>>>,
    recipients: Option<u32>,
    after: u32,
    audit: bool,
    findings: Vec<Expected>,
    allow: bool,
    passes: bool,
}

struct Expected {
    verdict: String,
    reason: String,
    reply: Option<String>,
}

impl Case {
    fn line(&mut self, line: &str) {
        let (key, value) = line.split_once(' ').unwrap_or((line, ""));
        let value = value.trim();
        let bytes = bytes(value);
        match key {
            // A login arrives as text; bytes that are none are replaced on the way.
            "login" => self.login = String::from_utf8_lossy(&bytes).into_owned(),
            "ip" => self.client = Some(ClientAddress::parse(value)),
            "mail" if value == "<>" => self.sender = Some(EnvelopeSender::Null),
            "mail" => self.sender = Some(EnvelopeSender::from_policy(&bytes)),
            "argument" => self.sender = Some(EnvelopeSender::from_mail_argument(&bytes)),
            "resolved" if value == "-" => self.resolved = Some(Resolved::Missing),
            "resolved" => {
                self.resolved = Some(Resolved::As(EnvelopeSender::from_policy(&bytes)));
            }
            "session" => self.session = Some(UserId::new()),
            "from" => self.from.get_or_insert_default().push(bytes),
            "from-none" => self.from = Some(Vec::new()),
            "to" => self.recipients = Some(value.parse().unwrap()),
            "after" => self.after = value.parse().unwrap(),
            "audit" => self.audit = true,
            "refuse" | "defer" => self.findings.push(Expected {
                verdict: key.to_owned(),
                reason: value.to_owned(),
                reply: None,
            }),
            "reply" => self.findings.last_mut().unwrap().reply = Some(value.to_owned()),
            "passes" => self.passes = true,
            "allow" => self.allow = true,
            _ => panic!("{}: what is {line:?}?", self.title),
        }
    }

    async fn run(&self, world: &World) {
        let title = &self.title;
        let header_from = self.from.as_deref().map(header_from::parse_fields);
        let question = Question {
            login: &self.login,
            session_user: self.session,
            client: self.client,
            sender: self.sender.as_ref(),
            resolved: self.resolved.as_ref().unwrap_or(&Resolved::NotAsked),
            header_from: header_from.as_ref(),
            recipients: Some(self.recipients.unwrap_or(1)),
            charge: Some(MessageKey::unique()),
        };
        for _ in 0..self.after {
            let before = Question {
                charge: Some(MessageKey::unique()),
                ..question.clone()
            };
            let decision = world.engine.accept(&before).await;
            assert_eq!(decision.carried_out(), None, "{title}: before");
        }
        let context = Context {
            front_end: FrontEnd::Milter,
            stage: Stage::Eom,
            login: &self.login,
            client: self.client.unwrap_or(ClientAddress::Unknown),
            mail_from: self.sender.as_ref(),
            header_from: &[],
            recipients: question.recipients.unwrap_or(1),
            queue_id: "4F1XyZ",
            asked: world.clock.instant(),
        };
        let decision = world.engine.accept(&question).await;
        assert!(!decision.steps.is_empty(), "{title}: explains nothing");
        let mut record = Record::default();
        let answer = world.engine.conclude(&mut record, &context, &decision);
        let again = world.engine.accept(&question).await;
        let again = world.engine.conclude(&mut record, &context, &again);
        assert_eq!(answer, again, "{title}: asking twice changed something");

        let lines = world.logged();
        let reasons: Vec<_> = lines
            .iter()
            .map(|line| format!("{} {}", text(line, "verdict"), text(line, "reason")))
            .collect();
        let passes = self.allow || self.passes;
        let expected = self
            .findings
            .iter()
            .map(|finding| format!("{} {}", finding.verdict, finding.reason))
            .chain(passes.then(|| "allow allowed".to_owned()));
        assert_eq!(reasons, expected.collect::<Vec<_>>(), "{title}");
        assert_eq!(answer.is_none(), passes, "{title}: {answer:?}");
        for line in &lines {
            assert_eq!(line["audit"], self.audit, "{title}");
        }
        for (finding, line) in self.findings.iter().zip(&lines) {
            let reply = text(line, "reply");
            self.fits(reply);
            if let Some(expected) = &finding.reply {
                let id = text(line, "id");
                assert_eq!(*reply, expected.replace("{id}", id), "{title}");
            }
        }
        if let Some(answer) = answer {
            let said = lines
                .iter()
                .any(|line| text(line, "reply") == answer.to_string());
            assert!(said, "{title}: {answer} is not in the log");
        }
    }

    /// What must be true of every reply.
    fn fits(&self, reply: &str) {
        let title = &self.title;
        let prefix = self.sender.as_ref().map_or(0, |sender| {
            format!("<{sender}>: Sender address rejected: ").len()
        });
        let (code, rest) = reply.split_once(' ').unwrap();
        let (status, words) = rest.split_once(' ').unwrap();
        assert_eq!(code[..1], status[..1], "{title}: {reply}");
        assert!(!words.is_empty(), "{title}: {reply}");
        assert!(
            reply.bytes().all(|b| (b' '..=b'~').contains(&b)),
            "{title}: {reply}"
        );
        assert!(reply.len() <= MAX_REPLY, "{title}: {reply}");
        // Only a sender that leaves no room at all may make the line longer.
        let nothing_left = reply.contains("Blocked: ...");
        assert!(
            nothing_left || prefix + reply.len() <= MAX_LINE,
            "{title}: {reply}"
        );
    }
}

fn text<'a>(line: &'a serde_json::Value, key: &str) -> &'a str {
    line[key].as_str().unwrap()
}

/// The bytes of a value: `\xHH` is one, `\n` is a line end.
fn bytes(value: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        bytes.extend(rest[..at].bytes());
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('x') {
            bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
            rest = &after[2..];
        } else if let Some(after) = rest.strip_prefix('n') {
            bytes.push(b'\n');
            rest = after;
        } else {
            bytes.push(b'\\');
        }
    }
    bytes.extend(rest.bytes());
    bytes
}

/// Runs all cases of a file; how many there are.
async fn play(file: &str, content: &str) -> usize {
    let mut count = 0;
    let (mut description, mut cases) = (String::new(), Vec::<Case>::new());
    let mut world_title = "";
    for line in world::lines(content).chain(["world end"]) {
        if let Some(title) = line.strip_prefix("world ") {
            let world = World::new(&description);
            for case in &cases {
                case.run(&world).await;
            }
            count += cases.len();
            description.clear();
            cases.clear();
            world_title = title;
        } else if let Some(title) = line.strip_prefix("case ") {
            cases.push(Case {
                title: format!("{file}: {world_title}: {title}"),
                ..Case::default()
            });
        } else if let Some(case) = cases.last_mut() {
            case.line(line);
        } else {
            description += line;
            description.push('\n');
        }
    }
    count
}

#[tokio::test]
async fn scenarios() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/decisions");
    let mut count = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        count += play(file, &std::fs::read_to_string(&path).unwrap()).await;
    }
    assert!(count > 100, "only {count} cases were found");
}
