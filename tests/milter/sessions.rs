//! The milter front end over a socket, asked as Postfix asks.

use std::future::Future;
use std::time::Duration;

use indymilter_test::{EomActions, MacroStage, Status, TestConnection};
use outgate::front::listener::Listener;
use outgate::front::milter::MilterFront;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::world::World;

/// Nothing here takes that long, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

const SITE: &str = "
    account default
    account other
    domain example.com
    domain other.example --account other
    user   shop --allow example.com
    user   office --allow example.com --ip 192.0.2.0/24
    user   printer --allow example.com --check-from envelope
";

/// A daemon's milter front end on a socket of its own.
struct Front {
    world: World,
    milter: MilterFront,
    tasks: JoinSet<()>,
    folder: TempDir,
}

impl Front {
    fn new(description: &str) -> Front {
        let world = World::new(description);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("milter.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let mut tasks = JoinSet::new();
        let milter = MilterFront::start(
            world.engine.clone(),
            Listener::Unix(listener, path),
            &mut tasks,
        )
        .unwrap();
        Front {
            world,
            milter,
            tasks,
            folder,
        }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("milter.sock")
    }

    async fn raw(&self) -> UnixStream {
        UnixStream::connect(self.path()).await.unwrap()
    }

    async fn connect(&self) -> Smtpd {
        let connection = TestConnection::configure().open_unix(self.path());
        Smtpd {
            milter: in_time(connection).await.unwrap(),
            client: "192.0.2.7".to_owned(),
            login: Some("shop".to_owned()),
        }
    }

    /// Reason and stage of what was logged since the last time.
    fn reasons(&self) -> Vec<String> {
        let field = |line: &serde_json::Value, name| line[name].as_str().unwrap().to_owned();
        let lines = self.world.logged();
        lines
            .iter()
            .map(|line| format!("{} {}", field(line, "stage"), field(line, "reason")))
            .collect()
    }
}

/// The smtpd process of one SMTP session.
struct Smtpd {
    milter: TestConnection,
    client: String,
    login: Option<String>,
}

impl Smtpd {
    fn logged_in_as(mut self, login: Option<&str>) -> Smtpd {
        self.login = login.map(str::to_owned);
        self
    }

    /// MAIL FROM with the macros that Postfix sends, `{mail_addr}` resolved to the same address.
    async fn mail(&mut self, sender: &str) -> String {
        self.mail_resolved(sender, Some(sender)).await
    }

    async fn mail_resolved(&mut self, sender: &str, resolved: Option<&str>) -> String {
        let (client, login) = (self.client.clone(), self.login.clone());
        let mut macros = vec![
            ("{daemon_name}", "ORIGINATING"),
            ("{client_addr}", client.as_str()),
        ];
        if let Some(login) = &login {
            macros.extend([("{auth_type}", "PLAIN"), ("{auth_authen}", login.as_str())]);
        }
        macros.extend(resolved.map(|address| ("{mail_addr}", address)));
        self.mail_with(&format!("<{sender}>"), &macros).await
    }

    async fn mail_with(&mut self, argument: &str, macros: &[(&str, &str)]) -> String {
        let macros = macros.iter().copied();
        self.milter.macros(MacroStage::Mail, macros).await.unwrap();
        said(in_time(self.milter.mail([argument])).await.unwrap())
    }

    async fn rcpt(&mut self) -> String {
        said(
            in_time(self.milter.rcpt(["<to@far.example>"]))
                .await
                .unwrap(),
        )
    }

    async fn data(&mut self) -> String {
        let queue_id = [("i", "4F0C11")];
        self.milter
            .macros(MacroStage::Data, queue_id)
            .await
            .unwrap();
        said(in_time(self.milter.data()).await.unwrap())
    }

    /// Header fields, then the end of the message.
    async fn end(&mut self, fields: &[(&str, &str)]) -> (EomActions, String) {
        for (name, value) in fields {
            self.milter.header(*name, *value).await.unwrap();
        }
        // Postfix says that the headers are over if it was asked to.
        let _ = self.milter.eoh().await;
        let (actions, status) = in_time(self.milter.eom()).await.unwrap();
        (actions, said(status))
    }

    /// Everything behind MAIL, up to the answer to the message.
    async fn rest(&mut self, fields: &[(&str, &str)]) -> String {
        assert_eq!(self.rcpt().await, "continue");
        assert_eq!(self.data().await, "continue");
        self.end(fields).await.1
    }
}

/// What Postfix makes of an answer.
fn said(status: Status) -> String {
    match status {
        Status::Continue => "continue".to_owned(),
        Status::Reject { message } | Status::Tempfail { message } => {
            message.unwrap().into_string().unwrap()
        }
        Status::Accept | Status::Discard | Status::Skip | Status::Noreply => {
            panic!("{status:?} is never said")
        }
    }
}

async fn in_time<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap()
}

#[tokio::test]
async fn an_accepted_message_is_one_line() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    for _ in 0..2 {
        assert_eq!(smtpd.mail("news@example.com").await, "continue");
        assert_eq!(smtpd.rcpt().await, "continue");
        let fields = [("Subject", "hi"), ("From", "Jane <jane@EXAMPLE.com>")];
        assert_eq!(smtpd.rest(&fields).await, "continue");
        // Postfix sends it after success too.
        smtpd.milter.abort().await.unwrap();
        let lines = front.world.logged();
        assert_eq!(lines.len(), 1, "{lines:?}");
        let line = &lines[0];
        assert_eq!(line["stage"], "eom");
        assert_eq!(line["verdict"], "allow");
        assert_eq!(line["mail_from"], "news@example.com");
        assert_eq!(line["header_from"], serde_json::json!(["jane@example.com"]));
        assert_eq!(line["recipients"], 2);
        assert_eq!(line["queue_id"], "4F0C11");
        assert_eq!(line["client"], "192.0.2.7");
    }
}

#[tokio::test]
async fn a_foreign_sender_is_refused_at_mail_and_the_next_message_judged_afresh() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    let reply = smtpd.mail("ceo@other.example").await;
    assert!(reply.starts_with("550 5.7.1 [ACL] Blocked: "), "{reply}");
    assert_eq!(front.reasons(), ["mail sender-not-allowed"]);
    assert_eq!(smtpd.mail("news@example.com").await, "continue");
    assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
    assert_eq!(front.reasons(), ["eom allowed"]);
}

#[tokio::test]
async fn a_percent_sign_reaches_the_client() {
    let front = Front::new(SITE);
    let reply = front.connect().await.mail("50%off@other.example").await;
    assert!(reply.contains("50%%off@other.example"), "{reply}");
}

#[tokio::test]
async fn an_address_off_the_list_hears_so_at_mail() {
    let front = Front::new(SITE);
    for (client, expected) in [
        ("192.0.2.9", "continue"),
        ("::ffff:192.0.2.9", "continue"),
        ("198.51.100.1", "535 5.7.8 IP not authorized"),
        ("IPv6:2001:db8::1", "535 5.7.8 IP not authorized"),
        ("unknown", "535 5.7.8 IP not authorized"),
    ] {
        let mut smtpd = front.connect().await.logged_in_as(Some("office"));
        client.clone_into(&mut smtpd.client);
        assert_eq!(smtpd.mail("a@example.com").await, expected, "{client}");
    }
}

#[tokio::test]
async fn without_a_login_there_is_no_opinion_but_on_an_authenticated_daemon() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await.logged_in_as(None);
    let reply = smtpd.mail("a@example.com").await;
    assert_eq!(reply, "530 5.7.0 Authentication required");
    assert_eq!(front.reasons(), ["mail unauthenticated"]);

    // Neither without any macro nor with the name of a client certificate.
    for macros in [
        vec![("{daemon_name}", "smtpd")],
        vec![("{auth_authen}", "shop"), ("{daemon_name}", "smtpd")],
        vec![("{auth_type}", "PLAIN"), ("{auth_authen}", "")],
    ] {
        let reply = smtpd.mail_with("<ceo@other.example>", &macros).await;
        assert_eq!(reply, "continue", "{macros:?}");
        assert_eq!(smtpd.rest(&[("From", "x@y.example")]).await, "continue");
    }
    assert!(front.reasons().is_empty());
}

#[tokio::test]
async fn the_sender_must_be_what_postfix_makes_of_it() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    let mut ask =
        async |sender: &str, resolved: Option<&str>| smtpd.mail_resolved(sender, resolved).await;
    assert_eq!(ask("", Some("")).await, "continue");
    assert_eq!(ask("", None).await, "continue");
    let quoted = Some("\"a b\"@example.com");
    assert_eq!(ask("\"a b\"@example.com", quoted).await, "continue");
    front.reasons();
    let elsewhere = Some("bob@other.example");
    let reply = ask("bob%other.example@example.com", elsewhere).await;
    assert!(reply.starts_with("550 5.7.1 [ACL] Blocked: "), "{reply}");
    let reply = ask("a@example.com", Some("")).await;
    assert!(reply.starts_with("550 5.7.1 [ACL] Blocked: "), "{reply}");
    let malformed = "mail sender-malformed";
    assert_eq!(front.reasons(), [malformed, malformed]);
    let reply = ask("a@example.com", None).await;
    assert!(reply.starts_with("451 4.3.0 "), "{reply}");
    assert_eq!(front.reasons(), ["mail internal-error"]);
}

#[tokio::test]
async fn the_header_from_is_judged_at_the_end() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    let cases: [(&[(&str, &str)], &str); 10] = [
        (&[("FROM", "Jane <jane@example.com>")], "allowed"),
        (&[("fRoM ", "jane@example.com")], "allowed"),
        (&[("From", "\"Doe, J.\"\n <jane@example.com>")], "allowed"),
        (
            &[("From", "a@example.com, b@other.example")],
            "header-from-not-allowed",
        ),
        (
            &[("From", "a@example.com"), ("from", "a@example.com")],
            "header-from-malformed",
        ),
        (&[("From", "a@example.com <")], "header-from-malformed"),
        (&[("From", "")], "header-from-missing"),
        (&[("From", "nobody:;")], "header-from-missing"),
        (&[("Sender", "a@example.com")], "header-from-missing"),
        (&[], "header-from-missing"),
    ];
    for (fields, expected) in cases {
        assert_eq!(smtpd.mail("a@example.com").await, "continue");
        let reply = smtpd.rest(fields).await;
        assert_eq!(front.reasons(), [format!("eom {expected}")], "{fields:?}");
        if expected == "allowed" {
            assert_eq!(reply, "continue");
        } else {
            assert!(reply.starts_with("550 5.7.1 [ACL] Blocked: "), "{reply}");
        }
    }
}

#[tokio::test]
async fn a_printer_sends_no_from() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await.logged_in_as(Some("printer"));
    assert_eq!(smtpd.mail("scan@example.com").await, "continue");
    assert_eq!(smtpd.rest(&[]).await, "continue");
    assert_eq!(front.reasons(), ["eom allowed"]);
}

#[tokio::test]
async fn what_one_message_left_is_gone_in_the_next() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    assert_eq!(smtpd.rcpt().await, "continue");
    assert_eq!(smtpd.data().await, "continue");
    let evil = ("From", "b@other.example");
    smtpd.milter.header(evil.0, evil.1).await.unwrap();
    smtpd.milter.abort().await.unwrap();
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
    let lines = front.world.logged();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["recipients"], 1);
}

#[tokio::test]
async fn a_change_counts_at_the_next_command() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    front
        .world
        .change("user shop --allow example.com --suspended");
    let at_rcpt = smtpd.rcpt().await;
    assert!(at_rcpt.starts_with("550 5.7.1 [ACL] "), "{at_rcpt}");
    // The same refusal of the same message has one line.
    assert_eq!(smtpd.rcpt().await, at_rcpt);
    assert_eq!(front.reasons(), ["rcpt suspended"]);
    front.world.change("user shop --allow example.com");
    assert_eq!(smtpd.rcpt().await, "continue");
    front
        .world
        .change("user shop --allow example.com --suspended");
    let at_data = smtpd.data().await;
    assert!(at_data.starts_with("550 5.7.1 [ACL] "), "{at_data}");
    smtpd.milter.abort().await.unwrap();
    front.world.change("user shop --allow example.com");
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
}

#[tokio::test]
async fn a_name_given_anew_is_somebody_else() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    smtpd.milter.abort().await.unwrap();
    let store = &front.world.store;
    let removed = store.transact(&mut |transaction| {
        let user = transaction.user_named(&"shop".parse().unwrap())?.unwrap();
        Ok(transaction.remove_user(user.user.id)?)
    });
    removed.unwrap();
    front.world.change("user shop --allow example.com");
    let reply = smtpd.mail("a@example.com").await;
    assert!(reply.starts_with("550 5.7.1 [ACL] "), "{reply}");
    assert_eq!(front.reasons(), ["mail unknown-user"]);
    // A session that logs in now is the new one's.
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
}

#[tokio::test]
async fn two_sessions_share_nothing() {
    let front = Front::new(SITE);
    let (mut one, mut two) = (front.connect().await, front.connect().await);
    assert_eq!(one.mail("a@example.com").await, "continue");
    assert_eq!(two.mail("b@example.com").await, "continue");
    assert_eq!(one.rcpt().await, "continue");
    assert_eq!(two.rest(&[("From", "b@example.com")]).await, "continue");
    let reply = one.rest(&[("From", "c@other.example")]).await;
    assert!(reply.starts_with("550 5.7.1 "), "{reply}");
    let lines = front.world.logged();
    let senders: Vec<_> = lines.iter().map(|l| l["mail_from"].as_str()).collect();
    assert_eq!(senders, [Some("b@example.com"), Some("a@example.com")]);
}

#[tokio::test]
async fn the_trace_header_is_ours_alone() {
    let front = Front::new(&format!(
        "{SITE}\nconfig milter.trace-header = \"X-Outgate-User\""
    ));
    let mut smtpd = front.connect().await;
    let id = {
        assert_eq!(smtpd.mail("a@example.com").await, "continue");
        assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
        front.world.logged()[0]["user_id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    assert_eq!(smtpd.rcpt().await, "continue");
    assert_eq!(smtpd.data().await, "continue");
    let fields = [
        ("X-OUTGATE-USER", "forged"),
        ("From", "a@example.com"),
        ("X-Outgate-User", "forged"),
    ];
    let (actions, reply) = smtpd.end(&fields).await;
    assert_eq!(reply, "continue");
    assert!(actions.has_delete_header("X-Outgate-User", 1));
    assert!(actions.has_delete_header("X-Outgate-User", 2));
    assert!(actions.has_add_header("X-Outgate-User", id.as_str()));

    // A refused message is left alone.
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    assert_eq!(smtpd.rcpt().await, "continue");
    assert_eq!(smtpd.data().await, "continue");
    let (actions, reply) = smtpd.end(&[("X-Outgate-User", "forged")]).await;
    assert!(reply.starts_with("550 "), "{reply}");
    assert!(!actions.has_delete_header("X-Outgate-User", 1));

    // Nobody forges it by not logging in.
    let server = [("{daemon_name}", "smtpd")];
    let mail = smtpd.mail_with("<b@other.example>", &server).await;
    assert_eq!(mail, "continue");
    assert_eq!(smtpd.rcpt().await, "continue");
    assert_eq!(smtpd.data().await, "continue");
    let (actions, reply) = smtpd.end(&[("X-Outgate-User", id.as_str())]).await;
    assert_eq!(reply, "continue");
    assert!(actions.has_delete_header("X-Outgate-User", 1));
    assert!(!actions.has_add_header("X-Outgate-User", id.as_str()));
}

#[tokio::test]
async fn many_header_lines_take_no_time() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    let mut fields = vec![("X-Filler", "x"); 100_000];
    fields.push(("From", "a@example.com"));
    assert_eq!(smtpd.rest(&fields).await, "continue");
}

#[tokio::test]
async fn garbage_ends_its_own_connection_only() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    let frames: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"\xff\xff\xff\xffM",
        b"\0\0\0\0?",
        b"\0\0\0\x01O",
        b"\0\0\0\x05?nope",
    ];
    for frame in frames {
        let mut raw = front.raw().await;
        raw.write_all(frame).await.unwrap();
        let mut answer = Vec::new();
        // A reset says the same as an end.
        let _ = in_time(raw.read_to_end(&mut answer)).await;
        assert!(answer.is_empty(), "{frame:?}: {answer:?}");
    }
    assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
}

#[tokio::test]
async fn sessions_beyond_the_limit_wait() {
    let front = Front::new(&format!("{SITE}\nconfig milter.max-connections = 2"));
    let one = front.connect().await;
    let _two = front.connect().await;
    assert_eq!((front.milter.gauge())(), 2);
    // Connected by the kernel, and not heard before somebody leaves.
    let three = front.connect();
    tokio::pin!(three);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut three);
    assert!(early.await.is_err());
    one.milter.close().await.unwrap();
    let mut three = in_time(three).await;
    assert_eq!(three.mail("a@example.com").await, "continue");
}

#[tokio::test]
async fn open_sessions_are_counted() {
    let front = Front::new(SITE);
    assert_eq!((front.milter.gauge())(), 0);
    let _one = front.connect().await;
    assert_eq!((front.milter.gauge())(), 1);
}

#[tokio::test]
async fn a_session_under_way_ends_in_peace() {
    let front = Front::new(SITE);
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    let Front {
        world,
        milter,
        folder,
        tasks: _tasks,
    } = front;
    let drained = tokio::spawn(milter.drain(PATIENCE));
    // Waits in the backlog: nobody answers, nobody closes.
    let mut late = UnixStream::connect(folder.path().join("milter.sock"))
        .await
        .unwrap();
    assert_eq!(smtpd.rest(&[("From", "a@example.com")]).await, "continue");
    assert!(!drained.is_finished());
    smtpd.milter.close().await.unwrap();
    in_time(drained).await.unwrap();
    assert_eq!(world.logged().len(), 1);
    let _ = in_time(late.read_u8()).await.unwrap_err();
}

#[tokio::test]
async fn a_session_that_does_not_end_is_cut_off() {
    let front = Front::new(SITE);
    let mut raw = front.raw().await;
    let mut smtpd = front.connect().await;
    assert_eq!(smtpd.mail("a@example.com").await, "continue");
    in_time(front.milter.drain(Duration::ZERO)).await;
    assert!(
        in_time(smtpd.milter.rcpt(["<to@far.example>"]))
            .await
            .is_err()
    );
    let _ = in_time(raw.read_u8()).await.unwrap_err();
}
