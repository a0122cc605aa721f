//! The policy front end over real sockets: legitimate and hostile streams, and the log they leave.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::too_many_lines,
    reason = "a test may fail, and a table may be long"
)]

mod world;

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use outgate::front::policy::PolicyFront;
use outgate::model::domain::Domain;
use outgate::model::name::{Login, Name, UserId};
use outgate::model::quota::{Counter, MessageKey};
use outgate::model::user::{AccountTerms, Ownership, User};
use outgate::store::memory::MemoryStore;
use outgate::store::{
    Answer, Changes, Charge, Charged, Credential, Held, ManageError, Store, Use, Work,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinHandle;
use world::World;

const WORLD: &str = "
    account acme
    account other
    domain example.com
    domain acme.example --account acme --with-subdomains
    domain other.example --account other
    user shop --allow example.com
    user acme --account acme --mode all-domains
    user office --allow example.com --ip 192.0.2.0/24 --ip 2001:db8::/32
    user idle --allow example.com --suspended
    user trial --allow example.com --enforce audit
    user juser --allow example.com --login юзер@example.com
";

/// A daemon's policy front end.
struct Front {
    world: World,
    front: Arc<PolicyFront>,
}

/// One connection of an smtpd process.
struct Smtpd {
    stream: UnixStream,
    server: JoinHandle<()>,
}

impl Front {
    fn new(description: &str) -> Front {
        Front::of(World::new(description))
    }

    fn of(world: World) -> Front {
        let front = Arc::new(PolicyFront::new(world.engine.clone()));
        Front { world, front }
    }

    fn connect(&self) -> Smtpd {
        let (stream, served) = UnixStream::pair().unwrap();
        let front = self.front.clone();
        let server = tokio::spawn(async move { front.serve(served).await });
        Smtpd { stream, server }
    }

    /// What a fresh connection answers to the bytes before it is closed, by us or by the other side.
    async fn talk(&self, bytes: &[u8]) -> String {
        let mut smtpd = self.connect();
        smtpd.send(bytes).await;
        smtpd.rest().await
    }

    /// The answer to one request on a connection of its own.
    async fn ask(&self, request: &Ask) -> String {
        let mut smtpd = self.connect();
        let answer = smtpd.ask(request).await;
        assert_eq!(smtpd.rest().await, "");
        answer
    }

    fn reasons(&self) -> Vec<String> {
        let text = |line: &serde_json::Value, key: &str| line[key].as_str().unwrap().to_owned();
        self.world
            .logged()
            .iter()
            .map(|line| format!("{} {}", text(line, "stage"), text(line, "reason")))
            .collect()
    }
}

impl Smtpd {
    async fn send(&mut self, bytes: &[u8]) {
        // The other side may have had enough already.
        let _ = self.stream.write_all(bytes).await;
    }

    async fn answer(&mut self) -> String {
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n\n") {
            match self.stream.read_u8().await {
                Ok(byte) => answer.push(byte),
                Err(_) => panic!("closed after {:?}", String::from_utf8_lossy(&answer)),
            }
        }
        let answer = String::from_utf8(answer).unwrap();
        let action = answer.strip_prefix("action=").unwrap();
        action.strip_suffix("\n\n").unwrap().to_owned()
    }

    async fn ask(&mut self, request: &Ask) -> String {
        self.send(&request.bytes()).await;
        self.answer().await
    }

    /// Ends the connection from this side; what was still said.
    async fn rest(mut self) -> String {
        let _ = self.stream.shutdown().await;
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
        self.server.await.unwrap();
        String::from_utf8(rest).unwrap()
    }

    /// Waits until the other side has closed; what was still said.
    async fn closed(mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.stream.read_to_end(&mut rest).await;
        self.server.await.unwrap();
        String::from_utf8(rest).unwrap()
    }
}

/// A request as Postfix 3.8 writes it.
#[derive(Clone)]
struct Ask(Vec<(&'static str, String)>);

impl Ask {
    fn new(state: &str, login: &str, sender: &str) -> Ask {
        let at_mail = state == "MAIL";
        Ask([
            ("request", "smtpd_access_policy"),
            ("protocol_state", state),
            ("protocol_name", "ESMTP"),
            ("client_address", "192.0.2.7"),
            ("client_name", "unknown"),
            ("client_port", "53564"),
            ("reverse_client_name", "unknown"),
            ("server_address", "127.0.0.1"),
            ("server_port", "2530"),
            ("helo_name", "cli.example"),
            ("sender", sender),
            ("recipient", if at_mail { "" } else { "r1@dest.example" }),
            ("recipient_count", if state == "DATA" { "1" } else { "0" }),
            ("queue_id", if state == "DATA" { "4F1XyZ" } else { "" }),
            (
                "instance",
                if at_mail { "" } else { "2668.6b05193d.e50e2.0" },
            ),
            ("size", "1234"),
            ("etrn_domain", ""),
            ("stress", ""),
            ("sasl_method", if login.is_empty() { "" } else { "PLAIN" }),
            ("sasl_username", login),
            ("sasl_sender", ""),
            ("ccert_subject", ""),
            ("ccert_issuer", ""),
            ("ccert_fingerprint", ""),
            ("ccert_pubkey_fingerprint", ""),
            ("encryption_protocol", "TLSv1.3"),
            ("encryption_cipher", "TLS_AES_256_GCM_SHA384"),
            ("encryption_keysize", "256"),
            ("policy_context", "submission"),
            ("compatibility_level", "3.6"),
            ("mail_version", "3.8.6"),
        ]
        .map(|(name, value)| (name, value.to_owned()))
        .into())
    }

    fn with(mut self, name: &'static str, value: &str) -> Ask {
        let value = value.to_owned();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
        self
    }

    fn without(mut self, name: &str) -> Ask {
        self.0.retain(|(known, _)| *known != name);
        self
    }

    /// Says the attribute a second time, at the end.
    fn also(mut self, name: &'static str, value: &str) -> Ask {
        self.0.push((name, value.to_owned()));
        self
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, value) in &self.0 {
            bytes.extend(format!("{name}={value}\n").bytes());
        }
        bytes.push(b'\n');
        bytes
    }

    /// Puts bytes that are no text in the place of `?`.
    fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let text = self.bytes();
        let at = text.iter().position(|byte| *byte == b'?').unwrap();
        [&text[..at], bytes, &text[at + 1..]].concat()
    }
}

const BLOCKED: &str =
    "550 5.7.1 [ACL] Blocked: user shop may not send as a@evil.example (envelope sender)";

#[tokio::test]
async fn each_stage_gets_the_answer_that_postfix_can_take() {
    let front = Front::new(WORLD);
    for (state, login, sender, action) in [
        ("MAIL", "shop", "a@example.com", "DUNNO"),
        ("RCPT", "shop", "a@example.com", "DUNNO"),
        ("DATA", "shop", "a@example.com", "DUNNO"),
        ("MAIL", "shop", "a@evil.example", BLOCKED),
        ("RCPT", "shop", "a@evil.example", BLOCKED),
        ("DATA", "shop", "a@evil.example", BLOCKED),
        ("MAIL", "shop", "", "DUNNO"),
        ("DATA", "shop", "", "DUNNO"),
        ("CONNECT", "shop", "a@evil.example", "DUNNO"),
        ("EHLO", "shop", "a@evil.example", "DUNNO"),
        ("HELO", "shop", "a@evil.example", "DUNNO"),
        ("VRFY", "shop", "a@evil.example", "DUNNO"),
        ("ETRN", "shop", "a@evil.example", "DUNNO"),
        ("END-OF-MESSAGE", "shop", "a@evil.example", "DUNNO"),
        ("END-OF-MESSAGE", "nobody", "a@example.com", "DUNNO"),
        ("MAIL", "", "a@evil.example", "DUNNO"),
        ("RCPT", "", "a@evil.example", "DUNNO"),
        ("DATA", "", "a@evil.example", "DUNNO"),
        ("RCPT", "SHOP", "a@EXAMPLE.com.", "DUNNO"),
        ("RCPT", "acme", "a@mail.acme.example", "DUNNO"),
    ] {
        let answer = front.ask(&Ask::new(state, login, sender)).await;
        assert_eq!(answer, action, "{state} {login} {sender}");
    }
}

#[tokio::test]
async fn every_refusal_has_code_status_and_text() {
    let front = Front::new(WORLD);
    let ask = |login: &str, sender: &str| Ask::new("RCPT", login, sender);
    for (request, reason, action) in [
        (
            ask("nobody", "a@example.com"),
            "unknown-user",
            "550 5.7.1 [ACL] Blocked: login nobody is not known here",
        ),
        (
            ask("idle", "a@example.com"),
            "suspended",
            "550 5.7.1 [ACL] Blocked: user idle is suspended",
        ),
        (
            ask("office", "a@example.com").with("client_address", "198.51.100.1"),
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
        ),
        (
            ask("office", "a@example.com").with("client_address", "unknown"),
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
        ),
        (
            ask("office", "a@example.com").with("client_address", ""),
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
        ),
        (
            ask("office", "a@example.com").without("client_address"),
            "ip-not-authorized",
            "535 5.7.8 IP not authorized",
        ),
        (
            ask("shop", "a@[192.0.2.7]"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: user shop may not send as a@[192.0.2.7] (envelope sender)",
        ),
        (
            ask("shop", "bob%evil.example"),
            "sender-malformed",
            "550 5.7.1 [ACL] Blocked: user shop used the envelope sender bob%evil.example: it has no domain",
        ),
        (
            ask("shop", "bob@"),
            "sender-malformed",
            "550 5.7.1 [ACL] Blocked: user shop used the envelope sender bob@: its domain is not a valid name",
        ),
        (
            ask("shop", "a=b=c@evil.example"),
            "sender-not-allowed",
            "550 5.7.1 [ACL] Blocked: user shop may not send as a=b=c@evil.example (envelope sender)",
        ),
    ] {
        front.world.clock.advance(Duration::from_secs(1));
        let request = request.with("instance", &front.world.clock.now().to_string());
        assert_eq!(front.ask(&request).await, action);
        assert_eq!(front.reasons(), [format!("rcpt {reason}")], "{action}");
    }
}

#[tokio::test]
async fn questions_without_an_opinion_leave_no_line() {
    let front = Front::new(WORLD);
    for state in ["MAIL", "RCPT", "DATA"] {
        front.ask(&Ask::new(state, "", "a@evil.example")).await;
        front
            .ask(&Ask::new(state, "", "a@evil.example").without("sasl_username"))
            .await;
    }
    for state in ["CONNECT", "EHLO", "HELO", "VRFY", "ETRN", "END-OF-MESSAGE"] {
        front.ask(&Ask::new(state, "shop", "a@evil.example")).await;
    }
    for state in ["MAIL", "RCPT"] {
        front.ask(&Ask::new(state, "shop", "a@example.com")).await;
    }
    assert_eq!(front.reasons(), Vec::<String>::new());
}

#[tokio::test]
async fn only_what_is_needed_must_be_there() {
    let front = Front::new(WORLD);
    let full = Ask::new("RCPT", "shop", "a@evil.example");
    let needed = ["request", "protocol_state", "sender", "sasl_username"];
    for (name, _) in &full.0 {
        let answer = front.talk(&full.clone().without(name).bytes()).await;
        match *name {
            "sasl_username" => assert_eq!(answer, "action=DUNNO\n\n"),
            name if needed.contains(&name) => assert_eq!(answer, "", "{name}"),
            name => assert_eq!(answer, format!("action={BLOCKED}\n\n"), "{name}"),
        }
    }
    // Postfix 2.1 had no more than this.
    let least = "request=smtpd_access_policy\nprotocol_state=RCPT\nsender=a@example.com\nsasl_username=shop\n\n";
    assert_eq!(front.talk(least.as_bytes()).await, "action=DUNNO\n\n");
    let nothing = "request=smtpd_access_policy\n\n";
    assert_eq!(front.talk(nothing.as_bytes()).await, "action=DUNNO\n\n");
}

#[tokio::test]
async fn what_is_not_known_is_passed_over() {
    let front = Front::new(WORLD);
    let ask = Ask::new("RCPT", "shop", "a@example.com");
    for request in [
        ask.clone().also("tls_sni", "mail.example"),
        ask.clone().also("Sender", "a@evil.example"),
        ask.clone().also("sender ", "a@evil.example"),
        ask.clone().also(" sender", "a@evil.example"),
        ask.clone().also("SASL_USERNAME", "nobody"),
        ask.clone().also("action", "OK"),
        ask.clone().also("x", "=a=b="),
        ask.clone().also("x", "1").also("x", "2"),
        ask.clone().with("sasl_method", "XCLIENT"),
        ask.clone().with("sasl_sender", "a@evil.example"),
        ask.clone().with("recipient", "\u{1}\u{202e}"),
        ask.clone().with("size", "many"),
        ask.clone().with("helo_name", "a\rb\0c"),
        // An equal value is no contradiction.
        ask.clone().also("sender", "a@example.com"),
        ask.clone().also("request", "smtpd_access_policy"),
        ask.clone().also("sasl_username", "shop"),
    ] {
        assert_eq!(front.ask(&request).await, "DUNNO");
    }
    let reversed = Ask(ask.0.iter().rev().cloned().collect());
    assert_eq!(front.ask(&reversed).await, "DUNNO");
    let mut bytes = ask.bytes();
    bytes.splice(0..0, *b"odd=\xff\xfe\n");
    assert_eq!(front.talk(&bytes).await, "action=DUNNO\n\n");
}

#[tokio::test]
async fn xclient_logins_count() {
    let front = Front::new(WORLD);
    let ask = Ask::new("RCPT", "shop", "a@evil.example").with("sasl_method", "XCLIENT");
    assert_eq!(front.ask(&ask).await, BLOCKED);
}

/// Streams that must end the connection without an answer, and above all without a permit.
#[tokio::test]
async fn garbage_closes_the_connection_unanswered() {
    let front = Front::new(WORLD);
    let ask = || Ask::new("RCPT", "shop", "a@example.com");
    let many = |count: usize| (0..count).fold(ask(), |request, _| request.also("x", "y"));
    let mut streams: Vec<(String, Vec<u8>)> = [
        ("an empty line", b"\n".to_vec()),
        ("two empty lines", b"\n\n".to_vec()),
        ("HTTP", b"GET / HTTP/1.0\r\n\r\n".to_vec()),
        ("SMTP", b"EHLO client.example\r\n".to_vec()),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n".to_vec(),
        ),
        (
            "the auth protocol",
            b"VERSION\t1\t0\nCPID\t27567\n".to_vec(),
        ),
        (
            "the milter protocol",
            b"\x00\x00\x00\rO\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff\n".to_vec(),
        ),
        ("a line without =", b"request\n".to_vec()),
        ("a line without a name", b"=smtpd_access_policy\n".to_vec()),
        ("a lone CR LF", b"\r\n".to_vec()),
        (
            "CR LF line ends",
            String::from_utf8(ask().bytes())
                .unwrap()
                .replace('\n', "\r\n")
                .into_bytes(),
        ),
        ("another request", b"request=junk_policy\n".to_vec()),
        (
            "a request in capitals",
            b"request=SMTPD_ACCESS_POLICY\n".to_vec(),
        ),
        ("no request", ask().without("request").bytes()),
        ("an empty request", ask().with("request", "").bytes()),
        (
            "two requests",
            ask().also("request", "smtpd_access_policy2").bytes(),
        ),
        ("too many attributes", many(300).bytes()),
        ("an endless line", vec![b'x'; 70 << 10]),
        (
            "an endless value",
            ask().with("helo_name", &"x".repeat(64 << 10)).bytes(),
        ),
        (
            "an unknown stage",
            ask().with("protocol_state", "AUTH").bytes(),
        ),
        (
            "a stage in small letters",
            ask().with("protocol_state", "rcpt").bytes(),
        ),
        ("an empty stage", ask().with("protocol_state", "").bytes()),
        (
            "a recipient count that is none",
            ask().with("recipient_count", "many").bytes(),
        ),
        (
            "a negative recipient count",
            ask().with("recipient_count", "-1").bytes(),
        ),
        (
            "a signed recipient count",
            ask().with("recipient_count", "+1").bytes(),
        ),
        (
            "a recipient count beyond bounds",
            ask().with("recipient_count", "4294967296").bytes(),
        ),
        ("NULs", vec![0; 70 << 10]),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into();
    for (name, value) in [
        ("sender", "b@example.com"),
        ("sender", "a@example.com "),
        ("sender", ""),
        ("sasl_username", "acme"),
        ("sasl_username", ""),
        ("client_address", "192.0.2.8"),
        ("client_port", "1"),
        ("instance", "1.1.1.1"),
        ("protocol_state", "END-OF-MESSAGE"),
        ("recipient_count", "7"),
        ("queue_id", "ABC"),
    ] {
        let bytes = ask().also(name, value).bytes();
        streams.push((format!("a contradicting {name}={value}"), bytes));
        // And the other way round.
        let mut reversed = ask().also(name, value);
        reversed.0.reverse();
        streams.push((format!("{name}={value} contradicted"), reversed.bytes()));
    }
    for (name, bytes) in streams {
        let mut smtpd = front.connect();
        smtpd.send(&bytes).await;
        assert_eq!(smtpd.closed().await, "", "{name}");
    }
    assert_eq!(front.reasons(), Vec::<String>::new());
    assert_eq!(front.ask(&ask()).await, "DUNNO", "everybody else is served");
}

#[tokio::test]
async fn the_limits_are_exact() {
    let front = Front::new(WORLD);
    let ask = Ask::new("RCPT", "shop", "a@example.com");
    let filled = |size: usize| {
        let empty = ask.clone().with("helo_name", "").bytes().len();
        ask.clone()
            .with("helo_name", &"x".repeat(size - empty))
            .bytes()
    };
    let counted = |count: usize| {
        let extra = count - ask.0.len();
        (0..extra)
            .fold(ask.clone(), |request, _| request.also("x", "y"))
            .bytes()
    };
    assert_eq!(filled(64 << 10).len(), 64 << 10);
    assert_eq!(front.talk(&filled(64 << 10)).await, "action=DUNNO\n\n");
    assert_eq!(front.talk(&filled((64 << 10) + 1)).await, "");
    assert_eq!(front.talk(&counted(256)).await, "action=DUNNO\n\n");
    assert_eq!(front.talk(&counted(257)).await, "");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_judged_not_trusted() {
    let front = Front::new(WORLD);
    for (ask, bytes, action) in [
        (
            Ask::new("RCPT", "shop", "a@?example.com"),
            &b"\xff"[..],
            "550 5.7.1 [ACL] Blocked: user shop used the envelope sender a@\\u{fffd}example.com: it is not an address",
        ),
        (
            Ask::new("RCPT", "shop", "?a@example.com"),
            b"\xc3",
            "550 5.7.1 [ACL] Blocked: user shop used the envelope sender \\u{fffd}a@example.com: it is not an address",
        ),
        (
            Ask::new("RCPT", "shop", "a?@example.com"),
            b"\r",
            "550 5.7.1 [ACL] Blocked: user shop used the envelope sender a\\u{d}@example.com: it is not an address",
        ),
        (
            Ask::new("RCPT", "sh?op", "a@example.com"),
            b"\xff\xfe",
            "550 5.7.1 [ACL] Blocked: login sh\\u{fffd}\\u{fffd}op is not known here",
        ),
        (
            Ask::new("RCPT", "shop?", "a@example.com"),
            b"\0",
            "550 5.7.1 [ACL] Blocked: login shop\\u{0} is not known here",
        ),
        (
            Ask::new("RCPT", "office", "a@example.com").with("client_address", "192.0.2.7?"),
            b"\xff",
            "535 5.7.8 IP not authorized",
        ),
        (
            Ask::new("RCPT", "?", "a@example.com"),
            "юзер@example.com".as_bytes(),
            "DUNNO",
        ),
    ] {
        let answer = front.talk(&ask.raw(bytes)).await;
        assert_eq!(answer, format!("action={action}\n\n"));
    }
}

#[tokio::test]
async fn a_clients_text_stays_in_its_place() {
    let front = Front::new(WORLD);
    let senders = [
        "a\u{202e}b@evil.example",
        "a action=OK@evil.example",
        "a%s%n\\\"@evil.example",
        "550 OK@evil.example",
        "юзер@пример.рф",
    ];
    for sender in senders {
        let answer = front.ask(&Ask::new("RCPT", "shop", sender)).await;
        assert!(answer.starts_with("550 5.7.1 [ACL] Blocked: user shop "));
        assert!(
            answer.bytes().all(|b| (b' '..=b'~').contains(&b)),
            "{answer}"
        );
    }
    let long = format!("{}@evil.example", "a".repeat(5000));
    let answer = front.ask(&Ask::new("RCPT", "shop", &long)).await;
    assert!(answer.starts_with("550 5.7.1 [ACL] Blocked: ") && answer.len() <= 400);
    for line in front.world.logged() {
        assert_eq!(line["reason"], "sender-not-allowed");
    }
}

#[tokio::test]
async fn where_the_stream_is_cut_makes_no_difference() {
    let front = Front::new(WORLD);
    let mut stream = Vec::new();
    stream.extend(Ask::new("RCPT", "shop", "юзер@example.com").bytes());
    stream.extend(Ask::new("RCPT", "shop", "a@evil.example").bytes());
    let expected = format!("action=DUNNO\n\naction={BLOCKED}\n\n");
    for cut in 0..stream.len() {
        let mut smtpd = front.connect();
        smtpd.send(&stream[..cut]).await;
        tokio::task::yield_now().await;
        smtpd.send(&stream[cut..]).await;
        assert_eq!(smtpd.rest().await, expected, "cut at {cut}");
    }
    let mut smtpd = front.connect();
    for byte in &stream {
        smtpd.send(&[*byte]).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(smtpd.rest().await, expected, "byte by byte");
}

#[tokio::test]
async fn pipelined_questions_are_answered_in_order() {
    let front = Front::new(WORLD);
    let (mut stream, mut expected) = (Vec::new(), String::new());
    for number in 0..3000 {
        let (sender, action) = match number % 3 {
            0 => ("a@example.com", "DUNNO".to_owned()),
            1 => ("", "DUNNO".to_owned()),
            _ => ("a@evil.example", BLOCKED.to_owned()),
        };
        stream.extend(Ask::new("RCPT", "shop", sender).bytes());
        expected += &format!("action={action}\n\n");
    }
    // All at once: questions are read while answers are not yet.
    let smtpd = front.connect();
    let (mut answers, mut questions) = smtpd.stream.into_split();
    let sender = tokio::spawn(async move {
        questions.write_all(&stream).await.unwrap();
        questions.shutdown().await.unwrap();
    });
    let mut answered = String::new();
    answers.read_to_string(&mut answered).await.unwrap();
    sender.await.unwrap();
    assert_eq!(answered, expected);
}

#[tokio::test]
async fn questions_before_garbage_are_answered() {
    let front = Front::new(WORLD);
    let mut stream = Ask::new("RCPT", "shop", "a@evil.example").bytes();
    stream.extend(b"garbage\n\n");
    stream.extend(Ask::new("RCPT", "shop", "a@example.com").bytes());
    let mut smtpd = front.connect();
    smtpd.send(&stream).await;
    assert_eq!(smtpd.closed().await, format!("action={BLOCKED}\n\n"));
}

#[tokio::test(start_paused = true)]
async fn idle_connections_stay_and_stuck_ones_go() {
    let front = Front::new(WORLD);
    let ask = Ask::new("RCPT", "shop", "a@example.com");
    let mut smtpd = front.connect();
    for _ in 0..3 {
        assert_eq!(smtpd.ask(&ask).await, "DUNNO");
        tokio::time::sleep(Duration::from_secs(24 * 3600)).await;
    }
    // Half a question, a byte every now and then: the deadline is for the whole of it. (Time is
    // paused: it passes when everybody waits.)
    let bytes = ask.bytes();
    for byte in &bytes[..6] {
        smtpd.send(&[*byte]).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
    }
    assert!(!smtpd.server.is_finished());
    let begun = tokio::time::Instant::now();
    assert_eq!(smtpd.closed().await, "");
    assert!(begun.elapsed() <= Duration::from_secs(12));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_answers_is_left() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect();
    let ask = Ask::new("RCPT", "shop", "a@evil.example").bytes();
    // Until neither the answers nor the questions fit into the socket any more.
    let full = async { while smtpd.stream.write_all(&ask).await.is_ok() {} };
    full.await;
    smtpd.server.await.unwrap();
}

#[tokio::test]
async fn one_refusal_has_one_id_and_one_line() {
    let front = Front::new(&format!(
        "{WORLD}\nconfig reply.report-url = \"https://relay.example/r/{{id}}\""
    ));
    let ask = |state: &str| Ask::new(state, "shop", "a@evil.example");
    // Two lists in main.cf are two connections of one smtpd.
    let (mut one, mut two) = (front.connect(), front.connect());
    let first = one.ask(&ask("RCPT")).await;
    for recipient in 0..50 {
        let again = ask("RCPT").with("recipient", &format!("r{recipient}@dest.example"));
        assert_eq!(one.ask(&again).await, first);
        assert_eq!(two.ask(&again).await, first);
    }
    assert_eq!(one.ask(&ask("DATA")).await, first);
    // Postfix lost a connection and asks again.
    one.rest().await;
    assert_eq!(front.ask(&ask("RCPT")).await, first);
    let lines = front.world.logged();
    assert_eq!(lines.len(), 1);
    let id = lines[0]["id"].as_str().unwrap();
    assert_eq!(first, format!("{BLOCKED} See https://relay.example/r/{id}"));
    // The next message of the session is another one.
    let next = ask("RCPT").with("instance", "2668.6b05193d.e50e2.1");
    assert_ne!(two.ask(&next).await, first);
    // And so is the same instance of another host, or another sender under it.
    for other in [
        ask("RCPT").with("client_port", "1"),
        ask("RCPT").with("client_address", "192.0.2.8"),
        ask("RCPT").with("sender", "b@evil.example"),
        ask("RCPT").with("sasl_username", "acme"),
    ] {
        assert_ne!(two.ask(&other).await, first);
    }
    assert_eq!(front.reasons().len(), 5);
}

#[tokio::test]
async fn another_reason_for_the_same_message_is_another_line() {
    let front = Front::new(WORLD);
    let ask = Ask::new("RCPT", "shop", "a@evil.example");
    assert_eq!(front.ask(&ask).await, BLOCKED);
    front
        .world
        .change("user shop --allow example.com --suspended");
    let suspended = "550 5.7.1 [ACL] Blocked: user shop is suspended";
    assert_eq!(front.ask(&ask).await, suspended);
    assert_eq!(front.ask(&ask).await, suspended);
    assert_eq!(
        front.reasons(),
        ["rcpt sender-not-allowed", "rcpt suspended"]
    );
}

#[tokio::test]
async fn a_change_counts_at_the_next_question() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect();
    let ask = |state: &str| Ask::new(state, "shop", "a@example.com");
    assert_eq!(smtpd.ask(&ask("RCPT")).await, "DUNNO");
    front.world.change("user shop --suspended");
    let suspended = "550 5.7.1 [ACL] Blocked: user shop is suspended";
    assert_eq!(smtpd.ask(&ask("RCPT")).await, suspended);
    assert_eq!(smtpd.ask(&ask("DATA")).await, suspended);
    front.world.change("user shop --allow example.com");
    assert_eq!(smtpd.ask(&ask("DATA")).await, "DUNNO");
    front.world.change("user shop");
    let not_any_more =
        "550 5.7.1 [ACL] Blocked: user shop may not send as a@example.com (envelope sender)";
    assert_eq!(smtpd.ask(&ask("DATA")).await, not_any_more);
}

#[tokio::test]
async fn at_mail_an_equal_question_is_a_repetition_for_moments() {
    let front = Front::new(WORLD);
    let ask = Ask::new("MAIL", "shop", "a@evil.example");
    assert_eq!(front.ask(&ask).await, BLOCKED);
    assert_eq!(front.ask(&ask).await, BLOCKED);
    assert_eq!(front.reasons(), ["mail sender-not-allowed"]);
    // Another sender, another session.
    front
        .ask(&ask.clone().with("sender", "b@evil.example"))
        .await;
    front.ask(&ask.clone().with("client_port", "9")).await;
    assert_eq!(front.reasons().len(), 2);
    front.world.clock.advance(Duration::from_secs(4));
    front.ask(&ask).await;
    assert_eq!(front.reasons(), ["mail sender-not-allowed"]);
}

#[tokio::test]
async fn an_accepted_message_is_one_line_at_data() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect();
    for state in ["MAIL", "RCPT", "RCPT"] {
        smtpd.ask(&Ask::new(state, "Shop", "A@example.com")).await;
    }
    let data = Ask::new("DATA", "Shop", "A@example.com").with("recipient_count", "2");
    for _ in 0..3 {
        assert_eq!(smtpd.ask(&data).await, "DUNNO");
        assert_eq!(front.ask(&data).await, "DUNNO");
    }
    smtpd
        .ask(&Ask::new("END-OF-MESSAGE", "Shop", "A@example.com"))
        .await;
    let lines = front.world.logged();
    assert_eq!(lines.len(), 1);
    for (key, value) in [
        ("front_end", "policy".into()),
        ("stage", "data".into()),
        ("verdict", "allow".into()),
        ("reason", "allowed".into()),
        ("reply", "".into()),
        ("user", "shop".into()),
        ("account", "default".into()),
        ("login", "Shop".into()),
        ("client", "192.0.2.7".into()),
        ("mail_from", "A@example.com".into()),
        ("header_from", serde_json::json!([])),
        ("recipients", 2.into()),
        ("queue_id", "4F1XyZ".into()),
        ("audit", false.into()),
    ] {
        assert_eq!(lines[0][key], value, "{key}");
    }
    assert_eq!(front.world.engine.uses().take().len(), 1);
    let next = data
        .with("instance", "2668.6b05193d.e50e2.1")
        .with("sender", "");
    smtpd.ask(&next).await;
    let lines = front.world.logged();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["mail_from"], "");
}

#[tokio::test]
async fn audit_mode_says_it_once_and_lets_it_pass() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect();
    for state in ["MAIL", "RCPT", "RCPT", "DATA", "DATA"] {
        let ask = Ask::new(state, "trial", "a@evil.example");
        assert_eq!(smtpd.ask(&ask).await, "DUNNO", "{state}");
    }
    let lines = front.world.logged();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["stage"], "mail");
    assert_eq!(lines[0]["verdict"], "refuse");
    assert_eq!(lines[0]["reason"], "sender-not-allowed");
    assert_eq!(
        lines[0]["reply"],
        BLOCKED.replace("user shop", "user trial")
    );
    assert_eq!(lines[1]["stage"], "data");
    assert_eq!(lines[1]["reason"], "allowed");
    assert!(lines.iter().all(|line| line["audit"] == true));
    // The next message, with a second finding when it comes to RCPT.
    let next = |state: &str| {
        Ask::new(state, "trial", "a@evil.example")
            .with("client_port", "9")
            .with("sender", "x")
    };
    smtpd.ask(&next("RCPT")).await;
    smtpd.ask(&next("DATA")).await;
    assert_eq!(front.reasons(), ["rcpt sender-malformed", "data allowed"]);
}

#[tokio::test]
async fn without_facts_there_is_no_permit() {
    let front = Front::new(WORLD);
    let mut smtpd = front.connect();
    let ask = Ask::new("RCPT", "shop", "a@example.com");
    assert_eq!(smtpd.ask(&ask).await, "DUNNO");
    let gone = outgate::store::StoreError::Unusable("gone".to_owned());
    front.world.engine.directory.set_trouble(Some(gone));
    for state in ["MAIL", "RCPT", "DATA"] {
        for login in ["shop", "trial", "nobody"] {
            let ask = Ask::new(state, login, "a@example.com");
            assert_eq!(
                smtpd.ask(&ask).await,
                "451 4.3.0 Temporary problem on the server, try again later"
            );
        }
    }
    let reasons = front.reasons();
    assert!(reasons.iter().all(|r| r.ends_with("store-unavailable")));
    assert_eq!(
        smtpd.ask(&Ask::new("RCPT", "", "a@example.com")).await,
        "DUNNO",
        "no login, no opinion"
    );
    front.world.engine.directory.set_trouble(None);
    assert_eq!(smtpd.ask(&ask).await, "DUNNO", "recovered by itself");
}

/// A store with a fault of ours in it: the login `boom` panics, `slow` is never answered.
struct Faulty(MemoryStore);

impl Store for Faulty {
    fn user<'a>(&'a self, login: &'a Login) -> Answer<'a, Option<User>> {
        match login.as_str() {
            "boom" => panic!("a fault"),
            "slow" => Box::pin(std::future::pending()),
            _ => self.0.user(login),
        }
    }
    fn ownership<'a>(&'a self, domain: &'a Domain) -> Answer<'a, Option<Ownership>> {
        self.0.ownership(domain)
    }
    fn terms<'a>(&'a self, account: &'a Name) -> Answer<'a, Option<AccountTerms>> {
        self.0.terms(account)
    }
    fn charge(&self, charge: Charge) -> Answer<'_, Charged> {
        self.0.charge(charge)
    }
    fn used<'a>(&'a self, counters: &'a [(Counter, Timestamp)]) -> Answer<'a, Vec<Held>> {
        self.0.used(counters)
    }
    fn is_charged(&self, key: MessageKey) -> Answer<'_, bool> {
        self.0.is_charged(key)
    }
    fn credential(&self, user: UserId) -> Answer<'_, Option<Credential>> {
        self.0.credential(user)
    }
    fn logged_in_from(&self, user: UserId, network: IpNet, since: Timestamp) -> Answer<'_, bool> {
        self.0.logged_in_from(user, network, since)
    }
    fn record_uses(&self, uses: Vec<Use>) -> Answer<'_, ()> {
        self.0.record_uses(uses)
    }
    fn rehash(&self, user: UserId, credential: Credential, hash: String) -> Answer<'_, ()> {
        self.0.rehash(user, credential, hash)
    }
    fn changes(&self, after: u64) -> Answer<'_, Changes> {
        self.0.changes(after)
    }
    fn transact(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.0.transact(work)
    }
    fn view(&self, work: &mut Work<'_>) -> Result<(), ManageError> {
        self.0.view(work)
    }
}

#[tokio::test]
async fn a_fault_costs_one_connection_and_permits_nothing() {
    let front = Front::of(World::on(Arc::new(Faulty(MemoryStore::new())), ""));
    front.world.change("domain example.com");
    front.world.change("user shop --allow example.com");
    let ask = |login: &str| Ask::new("RCPT", login, "a@example.com");
    let (mut bystander, mut broken) = (front.connect(), front.connect());
    assert_eq!(bystander.ask(&ask("shop")).await, "DUNNO");
    broken.send(&ask("boom").bytes()).await;
    let mut answer = Vec::new();
    broken.stream.read_to_end(&mut answer).await.unwrap();
    assert_eq!(answer, b"");
    assert!(broken.server.await.unwrap_err().is_panic());
    // Nor does one that waits for ever keep anybody else.
    let mut waiting = front.connect();
    waiting.send(&ask("slow").bytes()).await;
    assert_eq!(bystander.ask(&ask("shop")).await, "DUNNO");
    assert_eq!(front.ask(&ask("shop")).await, "DUNNO");
    waiting.server.abort();
}

#[tokio::test]
async fn data_that_belongs_to_no_message_is_deferred() {
    const DEFERRED: &str = "451 4.3.0 Temporary problem on the server, try again later";
    let front = Front::new(WORLD);
    let data = || Ask::new("DATA", "shop", "a@example.com");
    let forgotten = || data().with("sender", "").with("instance", "");
    // A service behind smtpd_proxy_filter never has a queue id.
    let mut filtered = front.connect();
    assert_eq!(filtered.ask(&data().with("queue_id", "")).await, "DUNNO");
    assert_eq!(
        filtered.ask(&forgotten().with("queue_id", "")).await,
        DEFERRED
    );
    assert_eq!(filtered.ask(&data().with("queue_id", "")).await, "DUNNO");
    // One that had them has forgotten this message, or has another one's recipients.
    let mut smtpd = front.connect();
    let refused = data().with("sender", "a@evil.example");
    assert_eq!(smtpd.ask(&refused).await, BLOCKED);
    assert_eq!(smtpd.ask(&forgotten().with("queue_id", "")).await, DEFERRED);
    let next = || data().with("instance", "2668.6b05193d.e50e2.1");
    assert_eq!(smtpd.ask(&next().with("queue_id", "")).await, DEFERRED);
    let refused = next().with("queue_id", "").with("sender", "a@evil.example");
    assert_eq!(smtpd.ask(&refused).await, BLOCKED);
    // Audit mode carries out nothing; this is no rule.
    let audited = next().with("queue_id", "").with("sasl_username", "trial");
    assert_eq!(smtpd.ask(&audited).await, DEFERRED);
    assert_eq!(smtpd.ask(&next()).await, "DUNNO");
}
