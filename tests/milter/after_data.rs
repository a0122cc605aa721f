//! What is answered behind DATA when the message does not follow, and to questions out of turn.

use std::time::Duration;

use crate::client::{Client, Said};
use crate::{Milter, OWN, USERS, milter, refused};

const SUSPENDED: &str = "550 5.7.1 [ACL] Blocked: user shop is suspended";
const DEFERRED: &str = "451 4.3.0 ";

fn suspend(milter: &Milter) {
    milter
        .world
        .change("user shop --allow example.com --suspended");
}

fn resume(milter: &Milter) {
    milter.world.change("user shop --allow example.com");
}

fn reasons(milter: &Milter) -> Vec<String> {
    let lines = milter.world.logged();
    let told = lines.iter().map(|line| {
        let word = |name| line[name].as_str().unwrap();
        format!("{} {}", word("stage"), word("reason"))
    });
    told.collect()
}

async fn mail(session: &mut Client) -> Said {
    session.mail_of("shop", "news@example.com").await
}

#[tokio::test]
async fn a_message_refused_at_data_is_asked_about_again() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.rcpt().await, Said::Continue);
    suspend(&milter);
    let said = session.data().await;
    refused(&said, SUSPENDED);
    // Asking again changes nothing.
    assert_eq!(session.data().await, said);
    assert_eq!(session.rcpt().await, said);
    assert_eq!(session.data().await, said);
    assert_eq!(reasons(&milter), ["data suspended"]);
    // Nor is a refusal remembered for good, or a permit.
    resume(&milter);
    assert_eq!(session.rcpt().await, Said::Continue);
    assert_eq!(session.data().await, Said::Continue);
    suspend(&milter);
    assert_eq!(session.data().await, said);
    resume(&milter);
    assert_eq!(session.data().await, Said::Continue);
    session.header("From", b"news@example.com").await;
    assert_eq!(session.end().await.1, Said::Continue);
    let lines = milter.world.logged();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["reason"], "allowed");
    assert_eq!(lines[0]["recipients"], 2);
    assert_eq!(lines[0]["queue_id"], "4FakeQueueId");
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.message(OWN).await, Said::Continue);
}

#[tokio::test]
async fn data_that_somebody_else_refused_leaves_the_message_open() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.rcpt().await, Said::Continue);
    assert_eq!(session.data().await, Said::Continue);
    // Postfix passes on what the client says next.
    assert_eq!(session.message(OWN).await, Said::Continue);
    let lines = milter.world.logged();
    assert_eq!(lines[0]["recipients"], 2);
    assert_eq!(lines[0]["mail_from"], "news@example.com");
}

#[tokio::test]
async fn the_message_that_follows_is_judged_for_itself() {
    let milter = milter(USERS).await;
    for abort in [true, false] {
        let mut session = milter.session().await;
        assert_eq!(mail(&mut session).await, Said::Continue);
        assert_eq!(session.rcpt().await, Said::Continue);
        suspend(&milter);
        refused(&session.data().await, SUSPENDED);
        if abort {
            session.send(b'A', b"").await.unwrap();
        }
        refused(&mail(&mut session).await, SUSPENDED);
        resume(&milter);
        refused(
            &session.mail_of("shop", "ceo@evil.example").await,
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@evil.example",
        );
        assert_eq!(mail(&mut session).await, Said::Continue);
        assert_eq!(session.message(OWN).await, Said::Continue);
        assert_eq!(
            reasons(&milter),
            [
                "data suspended",
                "mail suspended",
                "mail sender-not-allowed",
                "eom allowed"
            ]
        );
    }
}

#[tokio::test]
async fn a_question_about_no_message_is_never_a_permit() {
    let milter = milter(USERS).await;
    let mut session = milter.session().await;
    refused(&session.data().await, DEFERRED);
    // A message without recipients.
    assert_eq!(mail(&mut session).await, Said::Continue);
    refused(&session.data().await, DEFERRED);
    // One that was given up, or is over.
    assert_eq!(session.rcpt().await, Said::Continue);
    session.send(b'A', b"").await.unwrap();
    refused(&session.rcpt().await, DEFERRED);
    refused(&session.data().await, DEFERRED);
    refused(&session.end().await.1, DEFERRED);
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.message(OWN).await, Said::Continue);
    refused(&session.data().await, DEFERRED);
    // One that was refused at MAIL hears so again.
    suspend(&milter);
    let said = mail(&mut session).await;
    refused(&said, SUSPENDED);
    assert_eq!(session.data().await, said);
    let guarded = [("{daemon_name}", "ORIGINATING")];
    refused(&session.mail("<a@example.com>", &guarded).await, "530 ");
    refused(&session.data().await, DEFERRED);
    resume(&milter);
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.message(OWN).await, Said::Continue);
}

#[tokio::test]
async fn frames_may_be_cut_anywhere_and_the_end_may_come_anywhere() {
    let milter = milter(USERS).await;
    let frames = b"\0\0\0\x1aR<friend@elsewhere.example>\0\0\0\0\x09DTi\x004F0C\0\0\0\0\x01T";
    let frames = &frames[..];
    for cut in 0..frames.len() {
        let mut session = milter.session().await;
        assert_eq!(mail(&mut session).await, Said::Continue);
        session.bytes(&frames[..cut]).await.unwrap();
        drop(session);
    }
    let gone = async {
        while (milter.front.gauge())() > 0 {
            tokio::task::yield_now().await;
        }
    };
    let gone = tokio::time::timeout(Duration::from_secs(20), gone).await;
    gone.unwrap();
    let mut session = milter.session().await;
    assert_eq!(mail(&mut session).await, Said::Continue);
    assert_eq!(session.message(OWN).await, Said::Continue);
}

#[tokio::test]
async fn a_length_that_is_too_much_ends_its_own_connection() {
    let milter = milter(USERS).await;
    let mut good = milter.session().await;
    assert_eq!(mail(&mut good).await, Said::Continue);
    for frame in [
        &b"\xff\xff\xff\xffT"[..],
        b"\xff\xff\xff\xfeT",
        b"\x00\x10\x00\x00T",
        b"\x00\x10\x00\x01R",
    ] {
        let mut bad = milter.session().await;
        assert_eq!(mail(&mut bad).await, Said::Continue);
        bad.bytes(frame).await.unwrap();
        let closed = tokio::time::timeout(Duration::from_secs(20), bad.is_closed()).await;
        assert_eq!(closed, Ok(true), "{frame:?}");
    }
    assert_eq!(good.message(OWN).await, Said::Continue);
}
