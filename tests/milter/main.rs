//! The milter front end as Postfix sees it: what is asked for, what is answered, what is kept from
//! one message to the next, and what happens to nonsense.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod after_data;
mod client;
mod sessions;
#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::time::Duration;

use client::{Client, Said};
use outgate::front::listener::Listener;
use outgate::front::milter::MilterFront;
use tempfile::TempDir;
use tokio::task::JoinSet;
use world::World;

const USERS: &str = "
    domain example.com
    user shop --allow example.com
    user office --allow example.com --ip 198.51.100.0/24
    user printer --allow example.com --check-from envelope
";

/// A milter on a socket of its own.
struct Milter {
    world: World,
    front: MilterFront,
    path: PathBuf,
    tasks: JoinSet<()>,
    _dir: TempDir,
}

async fn milter(description: &str) -> Milter {
    let world = World::new(description);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("milter.sock");
    let endpoint = format!("unix:{}", path.display()).parse().unwrap();
    let listener = Listener::bind(&endpoint, 0o600).unwrap().remove(0);
    let mut tasks = JoinSet::new();
    let front = MilterFront::start(world.engine.clone(), listener, &mut tasks).unwrap();
    Milter {
        world,
        front,
        path,
        tasks,
        _dir: dir,
    }
}

impl Milter {
    async fn session(&self) -> Client {
        Client::open(&self.path).await.unwrap()
    }
}

fn refused(said: &Said, beginning: &str) {
    match said {
        Said::Reply(reply) => assert!(
            reply.starts_with(beginning),
            "{reply}\nexpected: {beginning}"
        ),
        other @ (Said::Continue | Said::Change(..) | Said::Other(_)) => {
            panic!("{other:?}, expected: {beginning}")
        }
    }
}

const OWN: &[(&str, &str)] = &[
    ("To", "x@elsewhere.example"),
    ("From", "Ann <news@example.com>"),
    ("Subject", "x"),
];

#[tokio::test]
async fn nothing_is_asked_for_that_is_not_used() {
    let milter = milter(USERS).await;
    let session = milter.session().await;
    // No connect, HELO, body, unknown commands; headers and their end without answer, nor to unknown
    // commands, which come from ourselves.
    assert_eq!(
        session.protocol,
        0x1 | 0x2 | 0x10 | 0x100 | 0x80 | 0x40000 | 0x20000
    );
    assert_eq!(session.actions & !0x100, 0, "no right to change anything");
    let mail = session
        .macros
        .iter()
        .find(|(stage, _)| *stage == 2)
        .unwrap();
    for name in [
        "{auth_authen}",
        "{auth_type}",
        "{mail_addr}",
        "{client_addr}",
        "{client_port}",
        "{daemon_name}",
        "{daemon_port}",
    ] {
        assert!(
            mail.1.split(' ').any(|asked| asked == name),
            "{name}: {:?}",
            session.macros
        );
    }
}

#[tokio::test]
async fn messages_of_a_session_are_judged_one_by_one() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    refused(
        &session.mail_of("shop", "a@evil.example").await,
        "550 5.7.1 [ACL] Blocked: user shop may not send as a@evil.example",
    );
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    assert_eq!(session.message(OWN).await, Said::Continue);
    // What the last message carried is gone: this one has no From.
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    refused(
        &session.message(&[("Subject", "x")]).await,
        "550 5.7.1 [ACL] Blocked: the header From of user shop cannot be used",
    );
    // Nor does an aborted one leave anything.
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    session.rcpt().await;
    session.data().await;
    session.header("From", b"ceo@evil.example").await;
    session.send(b'A', b"").await.unwrap();
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    assert_eq!(session.message(OWN).await, Said::Continue);
    let reasons: Vec<String> = milter
        .world
        .logged()
        .iter()
        .map(|line| format!("{} {}", line["stage"], line["reason"]))
        .collect();
    assert_eq!(
        reasons,
        [
            "\"mail\" \"sender-not-allowed\"",
            "\"eom\" \"allowed\"",
            "\"eom\" \"header-from-missing\"",
            "\"eom\" \"allowed\"",
        ]
    );
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one table")]
async fn the_header_from_is_held_to_the_same_list() {
    let milter = milter(USERS).await;
    for (headers, answer) in [
        (&[("From", "news@example.com")][..], None),
        (&[("FROM", "\"Doe, Jane\" <jane@example.com>")], None),
        (&[("From", "a@example.com,\n b@example.com")], None),
        (
            &[("From", "ceo@evil.example")],
            Some(
                "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@evil.example (header From)",
            ),
        ),
        (
            &[("From", "a@example.com, ceo@evil.example")],
            Some("550 5.7.1 [ACL] Blocked: user shop may not send as ceo@evil.example"),
        ),
        (
            &[("From", "a@example.com"), ("fRoM", "a@example.com")],
            Some("550 5.7.1 [ACL] Blocked: the header From of user shop"),
        ),
        (
            &[("From ", "ceo@evil.example")],
            Some("550 5.7.1 [ACL] Blocked"),
        ),
        (
            &[("From", "<a@example.com> <ceo@evil.example>")],
            Some("550 5.7.1 [ACL] Blocked: the header From"),
        ),
        (
            &[("From", "")],
            Some("550 5.7.1 [ACL] Blocked: the header From"),
        ),
        (
            &[("From", "undisclosed:;")],
            Some("550 5.7.1 [ACL] Blocked: the header From"),
        ),
        (
            &[("Sender", "a@example.com"), ("From", "ceo@evil.example")],
            Some("550 5.7.1 [ACL]"),
        ),
        (
            &[
                ("From", "a@example.com"),
                ("Sender", "ceo@evil.example"),
                ("Reply-To", "x@y.example"),
            ],
            None,
        ),
        (
            &[("X-From", "ceo@evil.example"), ("From", "a@example.com")],
            None,
        ),
    ] {
        let mut session = milter.session().await;
        session.mail_of("shop", "news@example.com").await;
        let said = session.message(headers).await;
        match answer {
            None => assert_eq!(said, Said::Continue, "{headers:?}"),
            Some(beginning) => refused(&said, beginning),
        }
        let mut session = milter.session().await;
        session.mail_of("printer", "news@example.com").await;
        assert_eq!(
            session.message(headers).await,
            Said::Continue,
            "check-from envelope: {headers:?}"
        );
    }
}

#[tokio::test]
async fn a_login_is_a_name_with_a_method() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    for macros in [
        &[
            ("{mail_addr}", "a@evil.example"),
            ("{client_addr}", "192.0.2.7"),
        ][..],
        // The name of a client certificate.
        &[("{auth_authen}", "shop"), ("{mail_addr}", "a@evil.example")],
        &[
            ("{auth_type}", "PLAIN"),
            ("{auth_authen}", ""),
            ("{mail_addr}", "a@evil.example"),
        ],
        &[("{auth_author}", "shop"), ("{mail_addr}", "a@evil.example")],
    ] {
        assert_eq!(
            session.mail("<a@evil.example>", macros).await,
            Said::Continue
        );
        assert_eq!(session.message(&[]).await, Said::Continue);
        let guarded = [macros, &[("{daemon_name}", "ORIGINATING")]].concat();
        assert_eq!(
            session.mail("<a@evil.example>", &guarded).await,
            Said::Reply("530 5.7.0 Authentication required".into())
        );
    }
    let lines = milter.world.logged();
    assert!(
        lines.iter().all(|line| line["reason"] == "unauthenticated"),
        "{lines:?}"
    );
}

#[tokio::test]
async fn what_postfix_does_not_say_is_not_taken_for_granted() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    let login = [("{auth_type}", "PLAIN"), ("{auth_authen}", "shop")];
    refused(
        &session.mail("<news@example.com>", &login).await,
        "451 4.3.0 ",
    );
    // The null sender has nothing to compare.
    assert_eq!(session.mail("<>", &login).await, Said::Continue);
    for (argument, resolved) in [
        ("<bob%other.example@example.com>", "bob@other.example"),
        ("<other.example!bob@example.com>", "bob@other.example"),
        ("<news@example.com>", "news@evil.example"),
    ] {
        let macros = [&login[..], &[("{mail_addr}", resolved)]].concat();
        refused(
            &session.mail(argument, &macros).await,
            "550 5.7.1 [ACL] Blocked",
        );
    }
    // No address: refused for those with a list.
    let macros = [
        ("{auth_type}", "PLAIN"),
        ("{auth_authen}", "office"),
        ("{mail_addr}", "a@example.com"),
    ];
    assert_eq!(
        session.mail("<a@example.com>", &macros).await,
        Said::Reply("535 5.7.8 IP not authorized".into())
    );
    let inside = [&macros[..], &[("{client_addr}", "198.51.100.9")]].concat();
    assert_eq!(
        session.mail("<a@example.com>", &inside).await,
        Said::Continue
    );
    let mapped = [
        &macros[..],
        &[("{client_addr}", "IPv6:::ffff:198.51.100.9")],
    ]
    .concat();
    assert_eq!(
        session.mail("<a@example.com>", &mapped).await,
        Said::Continue
    );
}

#[tokio::test]
async fn a_percent_sign_is_doubled() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    let said = session.mail_of("shop", "100%n@evil.example").await;
    refused(
        &said,
        "550 5.7.1 [ACL] Blocked: user shop may not send as 100%%n@evil.example",
    );
}

#[tokio::test]
async fn changes_work_at_the_next_command() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    assert_eq!(session.rcpt().await, Said::Continue);
    milter
        .world
        .change("user shop --allow example.com --suspended");
    refused(
        &session.rcpt().await,
        "550 5.7.1 [ACL] Blocked: user shop is suspended",
    );
    refused(
        &session.data().await,
        "550 5.7.1 [ACL] Blocked: user shop is suspended",
    );
    let lines = milter.world.logged();
    assert_eq!(lines.len(), 1, "one refusal, one line: {lines:?}");
}

#[tokio::test]
async fn sessions_do_not_share_anything() {
    let milter = milter(USERS).await;
    let (mut one, mut two) = (milter.session().await, milter.session().await);
    assert_eq!(
        one.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    assert_eq!(
        two.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    for session in [&mut one, &mut two] {
        assert_eq!(session.rcpt().await, Said::Continue);
        assert_eq!(session.data().await, Said::Continue);
    }
    one.header("From", b"ceo@evil.example").await;
    two.header("From", b"news@example.com").await;
    refused(&one.end().await.1, "550 5.7.1 [ACL]");
    assert_eq!(two.end().await.1, Said::Continue);
}

#[tokio::test]
async fn many_and_long_headers_are_bounded() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    session.begin("shop").await;
    for _ in 0..100_000 {
        session.header("X-Filler", b"something").await;
    }
    session.header("From", b"news@example.com").await;
    assert_eq!(session.end().await.1, Said::Continue);
    for value in [
        format!("\"{}\" <news@example.com>", "n".repeat(100_000)),
        format!(
            "{}{}news@example.com",
            "(".repeat(50_000),
            ")".repeat(50_000)
        ),
    ] {
        session.begin("shop").await;
        session.header("From", value.as_bytes()).await;
        assert_eq!(session.end().await.1, Said::Continue);
    }
    session.begin("shop").await;
    session
        .header(
            "From",
            format!("{} <news@example.com>", "n".repeat(500_000)).as_bytes(),
        )
        .await;
    refused(
        &session.end().await.1,
        "550 5.7.1 [ACL] Blocked: the header From of user shop cannot be used: it is too long",
    );
}

#[tokio::test]
async fn nonsense_costs_the_connection_that_sent_it() {
    let milter = milter(USERS).await;
    let mut good = milter.session().await;
    // A command out of turn is passed over.
    let mut early = Client::raw(&milter.path).await.unwrap();
    early.send(b'M', b"<news@example.com>\0").await.unwrap();
    for bytes in [
        &b"\xff\xff\xff\xffO"[..],
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\0\0\0\x01Z",
        b"\0\0\0\x03O\0\0",
    ] {
        let mut bad = Client::raw(&milter.path).await.unwrap();
        bad.bytes(bytes).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(5), bad.is_closed()).await;
        assert_eq!(closed, Ok(true), "{bytes:?}");
    }
    assert_eq!(
        good.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    assert_eq!(good.message(OWN).await, Said::Continue);
}

#[tokio::test]
async fn the_trace_header_is_replaced_on_accepted_mail_only() {
    let milter = milter(&format!(
        "config milter.trace-header = \"X-Outgate-User\"\n{USERS}"
    ))
    .await;
    let mut session = milter.session().await;
    assert_eq!(session.actions & 0x11, 0x11, "may add and change headers");
    session.begin("shop").await;
    for (name, value) in [
        ("x-outgate-user", "forged"),
        ("From", "news@example.com"),
        ("X-Outgate-User", "again"),
    ] {
        session.header(name, value.as_bytes()).await;
    }
    let (changes, answer) = session.end().await;
    assert_eq!(answer, Said::Continue);
    let id = milter.world.logged().last().unwrap()["user_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        changes,
        [
            Said::Change('m', "0002X-Outgate-User".into()),
            Said::Change('m', "0001X-Outgate-User".into()),
            Said::Change('h', format!("X-Outgate-User|{id}")),
        ]
    );
    session.begin("shop").await;
    session.header("From", b"ceo@evil.example").await;
    assert_eq!(session.end().await.0, []);
}

#[tokio::test]
async fn no_more_sessions_than_there_is_room_for() {
    let milter = milter(&format!("config milter.max-connections = 2\n{USERS}")).await;
    let (one, mut two) = (milter.session().await, milter.session().await);
    let waiting = milter.session();
    tokio::pin!(waiting);
    tokio::select! {
        _ = &mut waiting => panic!("a third session was let in"),
        said = two.mail_of("shop", "news@example.com") => assert_eq!(said, Said::Continue),
    }
    assert_eq!((milter.front.gauge())(), 2);
    drop(one);
    let mut three = waiting.await;
    assert_eq!(
        three.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
}

#[tokio::test]
async fn draining_lets_sessions_end_and_takes_no_new_ones() {
    let mut milter = milter(USERS).await;
    let mut session = milter.session().await;
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    let draining = tokio::spawn(milter.front.drain(Duration::from_secs(30)));
    assert_eq!(session.message(OWN).await, Said::Continue);
    // Until then the socket is held for those who wait.
    assert!(milter.tasks.try_join_next().is_none());
    drop(session);
    draining.await.unwrap();
    milter.tasks.join_next().await.unwrap().unwrap();
}

#[tokio::test]
async fn draining_cuts_off_who_stays() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    assert_eq!(
        session.mail_of("shop", "news@example.com").await,
        Said::Continue
    );
    milter.front.drain(Duration::from_millis(10)).await;
    assert!(session.is_closed().await);
}
