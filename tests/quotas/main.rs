//! Quotas as the front ends keep them: one charge a message, whichever of them are wired, and however
//! often Postfix asks.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

#[path = "../milter/client.rs"]
#[allow(dead_code, reason = "the milter's own tests use the rest")]
mod client;
#[path = "../world/mod.rs"]
mod world;

use std::path::PathBuf;
use std::sync::Arc;

use client::{Client, Said};
use futures_util::future::join_all;
use outgate::front::listener::Listener;
use outgate::front::milter::MilterFront;
use outgate::front::policy::PolicyFront;
use outgate::model::quota::{Counter, Subject, Unit, Window};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use world::World;

const USERS: &str = "
    domain example.com
    user shop --allow example.com --quota 2/total
    user list --allow example.com --quota 10/total_recipients --max-recipients 6
    user many --allow example.com --quota 20/total
    user tried --allow example.com --quota 1/total --enforce audit
";

/// A daemon with policy and milter.
struct Host {
    world: World,
    policy: Arc<PolicyFront>,
    path: PathBuf,
    _milter: MilterFront,
    _tasks: JoinSet<()>,
    _dir: TempDir,
}

/// One message as policy sees it.
#[derive(Clone)]
struct Ask<'a> {
    stage: &'a str,
    login: &'a str,
    port: &'a str,
    server_port: &'a str,
    instance: &'a str,
    queue_id: &'a str,
    recipients: u32,
}

const DATA: Ask<'static> = Ask {
    stage: "DATA",
    login: "shop",
    port: "41000",
    server_port: "587",
    instance: "1.1",
    queue_id: "4AAA",
    recipients: 1,
};

impl Host {
    fn new() -> Host {
        let world = World::new(USERS);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("milter.sock");
        let endpoint = format!("unix:{}", path.display()).parse().unwrap();
        let listener = Listener::bind(&endpoint, 0o600).unwrap().remove(0);
        let mut tasks = JoinSet::new();
        let milter = MilterFront::start(world.engine.clone(), listener, &mut tasks).unwrap();
        Host {
            policy: Arc::new(PolicyFront::new(world.engine.clone())),
            world,
            path,
            _milter: milter,
            _tasks: tasks,
            _dir: dir,
        }
    }

    /// The answer to one request, on a connection of its own.
    async fn ask(&self, ask: &Ask<'_>) -> String {
        let (mut stream, served) = UnixStream::pair().unwrap();
        let policy = self.policy.clone();
        let server = tokio::spawn(async move { policy.serve(served).await });
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state={}\nprotocol_name=ESMTP\n\
             client_address=192.0.2.7\nclient_port={}\nserver_port={}\n\
             sender=news@example.com\nrecipient_count={}\nqueue_id={}\ninstance={}\nsasl_method=PLAIN\n\
             sasl_username={}\n\n",
            ask.stage,
            ask.port,
            ask.server_port,
            ask.recipients,
            ask.queue_id,
            ask.instance,
            ask.login
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        server.await.unwrap();
        answer
            .trim_end()
            .strip_prefix("action=")
            .unwrap()
            .to_owned()
    }

    async fn session(&self) -> Client {
        Client::open(&self.path).await.unwrap()
    }

    async fn used(&self, user: &str, unit: Unit) -> u64 {
        let user = self.world.engine.directory.user(user).await.unwrap();
        let counter = Counter {
            subject: Subject::User(user.unwrap().id),
            window: Window::Total,
            unit,
        };
        let starts = jiff::Timestamp::UNIX_EPOCH;
        let used = self.world.store.used(&[(counter, starts)]).await.unwrap();
        used[0].used
    }
}

const OWN: &[(&str, &str)] = &[("From", "news@example.com"), ("Subject", "x")];
const FOREIGN: &[(&str, &str)] = &[("From", "ceo@evil.example"), ("Subject", "x")];

#[tokio::test]
async fn policy_charges_at_data_and_once() {
    let host = Host::new();
    for _ in 0..3 {
        let rcpt = Ask {
            stage: "RCPT",
            ..DATA
        };
        assert_eq!(host.ask(&rcpt).await, "DUNNO");
    }
    assert_eq!(host.used("shop", Unit::Messages).await, 0);
    // Two lists that name the service, a connection that broke: always the same message.
    for _ in 0..5 {
        assert_eq!(host.ask(&DATA).await, "DUNNO");
    }
    assert_eq!(host.used("shop", Unit::Messages).await, 1);
    let second = Ask {
        instance: "1.2",
        queue_id: "4BBB",
        ..DATA
    };
    assert_eq!(host.ask(&second).await, "DUNNO");
    // The quota is used up, and the repetition of what was accepted is still accepted.
    assert_eq!(host.ask(&second).await, "DUNNO");
    assert_eq!(host.ask(&DATA).await, "DUNNO");
    let third = Ask {
        instance: "1.3",
        queue_id: "4CCC",
        ..DATA
    };
    let answer = host.ask(&third).await;
    assert!(
        answer.starts_with("450 4.7.1 [QUOTA] Exceeded: "),
        "{answer}"
    );
    assert_eq!(host.ask(&third).await, answer);
    // Said before the message is uploaded, too.
    let early = Ask {
        stage: "RCPT",
        queue_id: "",
        ..third
    };
    assert_eq!(host.ask(&early).await, answer);
    assert_eq!(host.used("shop", Unit::Messages).await, 2);
    let lines = host.world.logged();
    let reasons: Vec<_> = lines
        .iter()
        .map(|l| l["reason"].as_str().unwrap())
        .collect();
    assert_eq!(reasons, ["allowed", "allowed", "quota-exceeded"]);
}

#[tokio::test]
async fn an_old_smtpd_gets_no_second_message_under_one_instance() {
    let host = Host::new();
    for (queue_id, answer) in [("4AAA", "DUNNO"), ("4BBB", "DUNNO"), ("4CCC", "450 ")] {
        let ask = Ask { queue_id, ..DATA };
        for _ in 0..2 {
            let said = host.ask(&ask).await;
            assert!(said.starts_with(answer), "{queue_id}: {said}");
        }
    }
    // One line for each of them.
    let lines = host.world.logged();
    let ids: Vec<_> = lines.iter().map(|line| &line["queue_id"]).collect();
    assert_eq!(ids, ["4AAA", "4BBB", "4CCC"]);
}

/// Another restriction refused this DATA, and the client adds recipients to the same message.
#[tokio::test]
async fn recipients_that_come_after_an_accepted_data_are_not_free() {
    let host = Host::new();
    let few = Ask {
        login: "list",
        recipients: 1,
        ..DATA
    };
    let more = Ask {
        recipients: 6,
        ..few
    };
    for _ in 0..2 {
        assert_eq!(host.ask(&few).await, "DUNNO");
    }
    for _ in 0..2 {
        assert_eq!(host.ask(&more).await, "DUNNO");
    }
    assert_eq!(host.used("list", Unit::Recipients).await, 7);
    let lines = host.world.logged();
    let accepted: Vec<_> = lines.iter().map(|line| &line["recipients"]).collect();
    assert_eq!(accepted, [1, 6]);
    let most = Ask {
        recipients: 5,
        ..few
    };
    let answer = host.ask(&most).await;
    assert!(
        answer.starts_with("450 4.7.1 [QUOTA] Exceeded: user list has used 7 of 10 recipients"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_message_has_one_recipient_at_least() {
    let host = Host::new();
    for n in 0..10 {
        let queue_id = format!("4A{n}");
        let none = Ask {
            login: "list",
            queue_id: &queue_id,
            recipients: 0,
            ..DATA
        };
        assert_eq!(host.ask(&none).await, "DUNNO");
    }
    let none = Ask {
        login: "list",
        recipients: 0,
        ..DATA
    };
    let answer = host.ask(&none).await;
    assert!(answer.starts_with("450 4.7.1 [QUOTA]"), "{answer}");
    assert_eq!(host.used("list", Unit::Recipients).await, 10);
}

#[tokio::test]
async fn with_both_wired_the_milter_charges() {
    let host = Host::new();
    let mut session = host.session().await;
    // As `Client::mail_of` has them.
    let ask = Ask {
        port: "40000",
        ..DATA
    };
    for _ in 0..2 {
        assert_eq!(
            session.mail_of("shop", "news@example.com").await,
            Said::Continue
        );
        assert_eq!(host.ask(&ask).await, "DUNNO");
        assert_eq!(session.message(OWN).await, Said::Continue);
    }
    assert_eq!(host.used("shop", Unit::Messages).await, 2);
    let Said::Reply(reply) = session.mail_of("shop", "news@example.com").await else {
        panic!("a third message");
    };
    assert!(reply.starts_with("450 4.7.1 [QUOTA] Exceeded: "), "{reply}");
}

/// A client that binds one port may use it for two services of the host, of which one has no milter.
#[tokio::test]
async fn a_milter_at_another_service_has_no_say() {
    let host = Host::new();
    let mut session = host.session().await;
    let macros = [
        ("{auth_type}", "PLAIN"),
        ("{auth_authen}", "shop"),
        ("{mail_addr}", "news@example.com"),
        ("{client_addr}", "192.0.2.7"),
        ("{client_port}", "40000"),
        ("{daemon_port}", "587"),
    ];
    let mail = session.mail("<news@example.com>", &macros).await;
    assert_eq!(mail, Said::Continue);
    for (server_port, used) in [("587", 0), ("465", 1)] {
        let ask = Ask {
            port: "40000",
            server_port,
            ..DATA
        };
        assert_eq!(host.ask(&ask).await, "DUNNO");
        assert_eq!(host.used("shop", Unit::Messages).await, used);
    }
}

#[tokio::test]
async fn what_is_refused_or_given_up_costs_nothing() {
    let host = Host::new();
    let mut session = host.session().await;
    session.begin("shop").await;
    for (name, value) in FOREIGN {
        session.header(name, value.as_bytes()).await;
    }
    assert!(matches!(session.end().await.1, Said::Reply(_)));
    session.begin("shop").await;
    session.send(b'A', b"").await.unwrap();
    session.begin("shop").await;
    drop(session);
    assert_eq!(host.used("shop", Unit::Messages).await, 0);
    // A session that ended in the middle leaves nothing open.
    let mut session = host.session().await;
    session.begin("shop").await;
    assert_eq!(session.end_with(OWN).await, Said::Continue);
    assert_eq!(host.used("shop", Unit::Messages).await, 1);
}

#[tokio::test]
async fn recipients_are_counted_as_accepted() {
    let host = Host::new();
    let mut session = host.session().await;
    for (recipients, beginning) in [
        (4, ""),
        (
            7,
            "550 5.7.1 [QUOTA] Exceeded: the message of user list has 7 recipients, and may have 6",
        ),
        (6, ""),
        (
            1,
            "450 4.7.1 [QUOTA] Exceeded: user list has used 10 of 10 recipients",
        ),
    ] {
        let mail = session.mail_of("list", "news@example.com").await;
        if let Said::Reply(reply) = &mail {
            assert!(
                !beginning.is_empty() && reply.starts_with(beginning),
                "{reply}"
            );
            continue;
        }
        for _ in 0..recipients {
            assert_eq!(session.rcpt().await, Said::Continue);
        }
        assert_eq!(session.data().await, Said::Continue);
        match session.end_with(OWN).await {
            Said::Continue => assert_eq!(beginning, "", "{recipients}"),
            Said::Reply(reply) => assert!(
                !beginning.is_empty() && reply.starts_with(beginning),
                "{recipients}: {reply}"
            ),
            other @ (Said::Change(..) | Said::Other(_)) => panic!("{other:?}"),
        }
    }
    assert_eq!(host.used("list", Unit::Recipients).await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_as_many_pass_as_fit() {
    let host = Host::new();
    let sessions = join_all((0..50).map(|_| async {
        let mut session = host.session().await;
        session.begin("many").await;
        session
    }))
    .await;
    let ends = sessions
        .into_iter()
        .map(|mut session| async move { session.end_with(OWN).await });
    let said = join_all(ends).await;
    let passed = said.iter().filter(|said| **said == Said::Continue).count();
    assert_eq!(passed, 20, "{said:?}");
    for said in said {
        if let Said::Reply(reply) = said {
            assert!(reply.starts_with("450 4.7.1 [QUOTA] Exceeded: "), "{reply}");
        }
    }
    assert_eq!(host.used("many", Unit::Messages).await, 20);
}

#[tokio::test]
async fn audit_mode_charges_beyond_the_limit() {
    let host = Host::new();
    for n in 0..3 {
        let instance = format!("1.{n}");
        let ask = Ask {
            login: "tried",
            instance: &instance,
            ..DATA
        };
        assert_eq!(host.ask(&ask).await, "DUNNO");
    }
    assert_eq!(host.used("tried", Unit::Messages).await, 3);
    let lines = host.world.logged();
    let said: Vec<_> = lines
        .iter()
        .map(|line| (line["reason"].as_str().unwrap(), &line["audit"]))
        .collect();
    let yes = &serde_json::json!(true);
    assert_eq!(
        said,
        [
            ("allowed", yes),
            ("quota-exceeded", yes),
            ("allowed", yes),
            ("quota-exceeded", yes),
            ("allowed", yes),
        ]
    );
}
