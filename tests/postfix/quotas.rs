//! Quotas: how many messages pass in each wiring, what the next one hears, and what is counted.

use std::sync::Barrier;
use std::thread;

use outgate::model::quota::Unit::{Messages, Recipients};

use crate::host::{Host, Setup, wait_for};
use crate::smtp::Smtp;
use crate::{FRIEND, expect, session};

const OWN: &str = "From: news@example.com";
const MESSAGE: &str = "From: news@example.com\r\n\r\nText.\r\n.";
const DOMAIN: &str = "domain add example.com --trusted";

const BOTH: &str =
    "  -o { smtpd_milters = { unix:outgate/milter.sock, default_action=tempfail } }\n";

/// More lists that name the service, over connections of their own.
macro_rules! service {
    ($context:literal) => {
        concat!(
            "check_policy_service { unix:outgate/policy.sock, policy_context=",
            $context,
            " }"
        )
    };
}
const TWICE: &str = concat!(
    "  -o { smtpd_recipient_restrictions = reject_non_fqdn_recipient, ",
    service!("recipient"),
    " }\n  -o { smtpd_data_restrictions = ",
    service!("data"),
    ", ",
    service!("again"),
    " }\n"
);

/// What asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Milter,
    Policy,
    Both,
}

impl Way {
    fn setup(self, delay_reject: bool) -> Setup {
        let (wiring, options) = match self {
            Way::Milter => ("auth-milter", ""),
            Way::Policy => ("auth-policy", ""),
            Way::Both => ("auth-policy", BOTH),
        };
        Setup {
            delay_reject,
            options,
            ..Setup::new(wiring)
        }
    }

    /// The milter has the last word, and it comes at the end of the message.
    fn at_the_end(self) -> bool {
        self != Way::Policy
    }
}

fn start(setup: Setup, users: &[&str]) -> Host {
    Host::start(setup, &[&[DOMAIN], users].concat())
}

fn login(host: &Host, user: &str) -> Smtp {
    session(host, "auth", user, "198.51.100.7")
}

fn send(smtp: &mut Smtp, recipients: usize) -> String {
    let list: Vec<String> = (0..recipients)
        .map(|n| format!("r{n}@elsewhere.example"))
        .collect();
    let list: Vec<&str> = list.iter().map(String::as_str).collect();
    let answer = smtp.send("news@example.com", &list, OWN);
    if !answer.starts_with("250") {
        smtp.reset();
    }
    answer
}

fn passes(smtp: &mut Smtp, recipients: usize) {
    expect(&send(smtp, recipients), "250 2.0.0 Ok: queued as ");
}

/// What a milter says is what the client hears; Postfix puts its own words before those of policy.
fn hears(answer: &str, code: &str, text: &str) {
    let verbatim = format!("{code} {text}");
    let wrapped = answer
        .split_once("rejected: ")
        .is_some_and(|(before, said)| before.starts_with(code) && said.starts_with(text));
    assert!(
        answer.starts_with(&verbatim) || wrapped,
        "{answer}\nexpected: {verbatim}"
    );
}

fn over(answer: &str, text: &str) {
    hears(answer, "450 4.7.1", &format!("[QUOTA] Exceeded: {text}"));
}

fn begin(smtp: &mut Smtp, recipients: &[&str]) {
    expect(&smtp.say("MAIL FROM:<news@example.com>"), "250 2.1.0");
    for recipient in recipients {
        expect(&smtp.say(&format!("RCPT TO:<{recipient}>")), "250 2.1.5");
    }
}

/// The rest of a message that has a recipient: the answer to the first command that is refused.
fn finish(smtp: &mut Smtp) -> String {
    let answer = smtp.say("DATA");
    if answer.starts_with("354") {
        smtp.say(MESSAGE)
    } else {
        answer
    }
}

const USERS: &[&str] = &[
    "user add shop --allow example.com --quota 3/total",
    "user add list --allow example.com --quota 8/total~recipients --quota 5/total",
    "user add few --allow example.com --quota 4/total~recipients",
    "user add bulk --allow example.com --quota 9/total --max-recipients 5",
    "user add tried --allow example.com --quota 1/total --enforce audit",
    "account add pool --quota 3/total",
    "domain add pool.example --account pool --trusted",
    "user add red --account pool --mode all-domains --quota 2/total",
    "user add blue --account pool --mode all-domains",
];

/// The story of one wiring.
fn story(way: Way, setup: Setup) {
    let host = start(setup, USERS);
    the_limit(&host, way, setup.delay_reject);
    recipients(&host, way);
    nothing(&host, way);
    a_pool(&host);
    audit(&host, way);
}

fn the_limit(host: &Host, way: Way, delay_reject: bool) {
    let mut smtp = login(host, "shop");
    for (n, recipients) in [(1, 1), (2, 50), (3, 2)] {
        passes(&mut smtp, recipients);
        assert_eq!(host.used("shop", Messages), n, "{way:?}");
    }
    let said = "user shop has used 3 of 3 messages";
    for _ in 0..2 {
        let mut answer = smtp.say("MAIL FROM:<news@example.com>");
        if way == Way::Policy && delay_reject {
            expect(&answer, "250 2.1.0");
            answer = smtp.say("RCPT TO:<friend@elsewhere.example>");
        }
        over(&answer, said);
        smtp.reset();
    }
    // Another session, and the recipient that skips every restriction at RCPT.
    let mut smtp = login(host, "shop");
    over(&smtp.send("news@example.com", &["postmaster"], OWN), said);
    assert_eq!(host.used("shop", Messages), 3);
    let mut lines = Vec::new();
    wait_for("a line for each session", || {
        let of_shop = host.decisions().into_iter();
        lines = of_shop
            .filter(|d| d["user"] == "shop" && d["reason"] == "quota-exceeded")
            .collect();
        lines.len() >= 2
    });
    for line in lines {
        assert_eq!(line["verdict"], "defer", "{line}");
    }
}

fn recipients(host: &Host, way: Way) {
    let mut smtp = login(host, "list");
    // Five that Postfix accepts and one that it does not.
    let five = ["a", "b", "c", "d", "e"].map(|name| format!("{name}@elsewhere.example"));
    begin(&mut smtp, &five.each_ref().map(String::as_str));
    expect(&smtp.say("RCPT TO:<nobody>"), "504 5.5.2");
    expect(&finish(&mut smtp), "250 2.0.0");
    assert_eq!(host.used("list", Recipients), 5, "{way:?}");
    assert_eq!(host.used("list", Messages), 1);
    // Refused whole, and of both quotas nothing is taken.
    over(&send(&mut smtp, 4), "user list has used 5 of 8 recipients");
    assert_eq!(host.used("list", Recipients), 5);
    assert_eq!(host.used("list", Messages), 1);
    passes(&mut smtp, 3);
    assert_eq!(host.used("list", Recipients), 8);
    over(&send(&mut smtp, 1), "user list has used 8 of 8 recipients");
    // What can never fit is for good.
    let mut smtp = login(host, "few");
    let never = send(&mut smtp, 5);
    hears(
        &never,
        "550 5.7.1",
        "[QUOTA] Exceeded: the message of user few has 5 recipients",
    );
    passes(&mut smtp, 4);
    assert_eq!(host.used("few", Recipients), 4);
    let mut smtp = login(host, "bulk");
    let never = send(&mut smtp, 6);
    hears(
        &never,
        "550 5.7.1",
        "[QUOTA] Exceeded: the message of user bulk has 6 recipients",
    );
    passes(&mut smtp, 5);
    assert_eq!(host.used("bulk", Messages), 1);
}

/// What is not accepted in the end costs nothing.
fn nothing(host: &Host, way: Way) {
    let mut smtp = login(host, "bulk");
    let before = host.used("bulk", Messages);
    if way.at_the_end() {
        let foreign = smtp.send("news@example.com", FRIEND, "From: ceo@evil.example");
        expect(&foreign, "550 5.7.1 [ACL] Blocked");
        // Given up in the middle of the message.
        let mut gone = login(host, "bulk");
        begin(&mut gone, FRIEND);
        expect(&gone.say("DATA"), "354");
        drop(gone);
    }
    let foreign = smtp.send("ceo@evil.example", FRIEND, OWN);
    hears(&foreign, "550 5.7.1", "[ACL] Blocked");
    smtp.reset();
    // Postfix refuses the only recipient.
    begin(&mut smtp, &[]);
    expect(&smtp.say("RCPT TO:<nobody>"), "504 5.5.2");
    let answer = smtp.say("DATA");
    assert!(
        answer.starts_with("50") || answer.starts_with("55"),
        "{answer}"
    );
    smtp.reset();
    begin(&mut smtp, FRIEND);
    smtp.reset();
    wait_for("the end of the other session", || {
        let status = host.outgate("--json status");
        let status: serde_json::Value = serde_json::from_str(&status).unwrap();
        !way.at_the_end() || status["connections"]["milter"].as_u64() < Some(5)
    });
    assert_eq!(host.used("bulk", Messages), before, "{way:?}");
    passes(&mut smtp, 1);
    assert_eq!(host.used("bulk", Messages), before + 1, "{way:?}");
}

/// All quotas of user and account together, or none.
fn a_pool(host: &Host) {
    let from = |smtp: &mut Smtp| {
        let answer = smtp.send("a@pool.example", FRIEND, "From: a@pool.example");
        if !answer.starts_with("250") {
            smtp.reset();
        }
        answer
    };
    let used = || {
        (
            host.used("red", Messages),
            host.used("account:pool", Messages),
        )
    };
    let (mut red, mut blue) = (login(host, "red"), login(host, "blue"));
    expect(&from(&mut red), "250 2.0.0");
    expect(&from(&mut red), "250 2.0.0");
    assert_eq!(used(), (2, 2));
    over(&from(&mut red), "user red has used 2 of 2 messages");
    assert_eq!(used(), (2, 2));
    expect(&from(&mut blue), "250 2.0.0");
    over(
        &from(&mut blue),
        "the account of user blue has used 3 of 3 messages",
    );
    host.outgate("user set red --quota 9/total");
    over(
        &from(&mut red),
        "the account of user red has used 3 of 3 messages",
    );
    assert_eq!(used(), (2, 3));
    host.outgate("account set pool --quota 4/total");
    expect(&from(&mut red), "250 2.0.0");
    assert_eq!(used(), (3, 4));
}

fn audit(host: &Host, way: Way) {
    let mut smtp = login(host, "tried");
    for n in 1..=3 {
        passes(&mut smtp, 1);
        assert_eq!(host.used("tried", Messages), n, "{way:?}");
    }
    wait_for("what would have been refused", || {
        let lines = host.decisions();
        let would = lines.iter().filter(|d| {
            d["user"] == "tried" && d["reason"] == "quota-exceeded" && d["audit"] == true
        });
        would.count() >= 2
    });
}

#[test]
fn a_limit_is_exact_by_milter() {
    story(Way::Milter, Way::Milter.setup(false));
}

#[test]
fn a_limit_is_exact_by_milter_with_delayed_refusals() {
    story(Way::Milter, Way::Milter.setup(true));
}

#[test]
fn a_limit_is_exact_by_policy() {
    story(Way::Policy, Way::Policy.setup(false));
}

#[test]
fn a_limit_is_exact_by_policy_with_delayed_refusals() {
    story(Way::Policy, Way::Policy.setup(true));
}

#[test]
fn a_limit_is_exact_by_both() {
    story(Way::Both, Way::Both.setup(false));
}

#[test]
fn a_limit_is_exact_by_both_with_delayed_refusals() {
    story(Way::Both, Way::Both.setup(true));
}

#[test]
fn a_service_that_is_named_in_four_lists_charges_once() {
    for delay_reject in [false, true] {
        let setup = Way::Policy.setup(delay_reject);
        story(
            Way::Policy,
            Setup {
                options: TWICE,
                ..setup
            },
        );
    }
}

/// A DATA that another restriction refuses behind this service leaves a message to which recipients
/// can be added. This one looks at the recipient of a message that has only one.
#[test]
fn recipients_after_a_refused_data_are_counted() {
    let setup = Setup {
        options: concat!(
            "  -o { smtpd_data_restrictions = ",
            service!("data"),
            ", check_recipient_access inline:{friend@elsewhere.example=DEFER} }\n"
        ),
        ..Way::Policy.setup(false)
    };
    let host = start(
        setup,
        &["user add list --allow example.com --quota 4/total~recipients"],
    );
    let mut smtp = login(&host, "list");
    begin(&mut smtp, FRIEND);
    expect(&smtp.say("DATA"), "450 4.7.1");
    for recipient in ["a", "b"] {
        let rcpt = format!("RCPT TO:<{recipient}@elsewhere.example>");
        expect(&smtp.say(&rcpt), "250 2.1.5");
    }
    assert_eq!(host.used("list", Recipients), 1);
    expect(&finish(&mut smtp), "250 2.0.0 Ok: queued as ");
    assert_eq!(host.used("list", Recipients), 4);
}

/// Runs what sessions do at the same moment, and how many hear that the quota is used up.
fn race(sessions: Vec<Smtp>, last: impl Fn(&mut Smtp) -> String + Sync) -> (usize, usize) {
    let barrier = Barrier::new(sessions.len());
    let answers: Vec<String> = thread::scope(|scope| {
        let racing: Vec<_> = sessions
            .into_iter()
            .map(|mut smtp| {
                let (barrier, last) = (&barrier, &last);
                scope.spawn(move || {
                    barrier.wait();
                    last(&mut smtp)
                })
            })
            .collect();
        racing.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let (passed, refused): (Vec<_>, Vec<_>) = answers
        .iter()
        .partition(|answer| answer.starts_with("250 2.0.0 Ok: queued as "));
    for answer in &refused {
        over(answer, "user shop has used 5 of 5 messages");
    }
    (passed.len(), refused.len())
}

#[test]
fn of_ten_sessions_three_get_the_last_three_places() {
    for way in [Way::Milter, Way::Policy, Way::Both] {
        let host = start(
            way.setup(false),
            &["user add shop --allow example.com --quota 5/total"],
        );
        let mut first = login(&host, "shop");
        passes(&mut first, 1);
        passes(&mut first, 1);
        let sessions = (0..10).map(|_| {
            let mut smtp = login(&host, "shop");
            begin(&mut smtp, FRIEND);
            if way == Way::Milter {
                expect(&smtp.say("DATA"), "354");
            }
            smtp
        });
        let heard = race(sessions.collect(), |smtp| {
            if way == Way::Milter {
                smtp.say(MESSAGE)
            } else {
                finish(smtp)
            }
        });
        assert_eq!(heard, (3, 7), "{way:?}");
        assert_eq!(host.used("shop", Messages), 5, "{way:?}");
    }
}

#[test]
fn over_the_limit_may_be_for_good() {
    for way in [Way::Milter, Way::Policy] {
        let setup = Setup {
            config: "[quota]\nover-limit = \"reject\"\n",
            ..way.setup(false)
        };
        let host = start(
            setup,
            &["user add shop --allow example.com --quota 1/total"],
        );
        let mut smtp = login(&host, "shop");
        passes(&mut smtp, 1);
        let text = "[QUOTA] Exceeded: user shop has used 1 of 1 messages";
        hears(&send(&mut smtp, 1), "550 5.7.1", text);
        assert_eq!(host.used("shop", Messages), 1);
    }
}

#[test]
fn a_changed_quota_counts_at_the_next_command() {
    for way in [Way::Milter, Way::Policy, Way::Both] {
        let host = start(
            way.setup(false),
            &["user add shop --allow example.com --quota 2/total"],
        );
        let mut smtp = login(&host, "shop");
        passes(&mut smtp, 1);
        passes(&mut smtp, 1);
        over(&send(&mut smtp, 1), "user shop has used 2 of 2 messages");
        host.outgate("user set shop --quota 3/total");
        passes(&mut smtp, 1);
        over(&send(&mut smtp, 1), "user shop has used 3 of 3 messages");
        // What it has used stays, whatever the limit is and whether there is one.
        host.outgate("user set shop --quota=");
        passes(&mut smtp, 1);
        host.outgate("user set shop --quota 3/total");
        over(&send(&mut smtp, 1), "user shop has used 3 of 3 messages");
        host.outgate("user set shop --rename store --quota 4/total");
        begin(&mut smtp, FRIEND);
        host.outgate("user set store --quota 1/total");
        over(&finish(&mut smtp), "user store has used 3 of 1 messages");
        smtp.reset();
        assert_eq!(host.used("store", Messages), 3, "{way:?}");
        // `0` counts without a limit.
        host.outgate("user set store --quota 0/total");
        passes(&mut smtp, 1);
        assert_eq!(host.used("store", Messages), 4, "{way:?}");
        host.outgate("user suspend store");
        hears(&send(&mut smtp, 1), "550 5.7.1", "[ACL] Blocked");
        assert_eq!(host.used("store", Messages), 4, "{way:?}");
    }
}

#[test]
fn clients_that_do_not_wait_are_counted_the_same() {
    const NEXT: &str =
        "MAIL FROM:<news@example.com>\r\nRCPT TO:<friend@elsewhere.example>\r\nDATA\r\n";
    for way in [Way::Milter, Way::Policy, Way::Both] {
        let host = start(
            way.setup(false),
            &["user add shop --allow example.com --quota 2/total"],
        );
        let mut smtp = login(&host, "shop");
        for n in 0..2 {
            assert_eq!(host.used("shop", Messages), n, "{way:?}");
            expect(&smtp.bytes(NEXT.as_bytes()), "250 2.1.0");
            expect(&smtp.answer(), "250 2.1.5");
            expect(&smtp.answer(), "354");
            expect(&smtp.say(MESSAGE), "250 2.0.0");
        }
        over(
            &smtp.bytes(NEXT.as_bytes()),
            "user shop has used 2 of 2 messages",
        );
        expect(&smtp.answer(), "503");
        expect(&smtp.answer(), "503");
        assert_eq!(host.used("shop", Messages), 2, "{way:?}");
    }
}

#[test]
fn chunks_are_one_message() {
    const TEXT: &str = "From: news@example.com\r\n\r\nText.\r\n";
    let last = format!("BDAT {} LAST\r\n{TEXT}", TEXT.len());
    for way in [Way::Milter, Way::Policy, Way::Both] {
        let host = start(
            way.setup(false),
            &["user add shop --allow example.com --quota 2/total"],
        );
        let mut early = login(&host, "shop");
        begin(&mut early, FRIEND);
        let mut smtp = login(&host, "shop");
        begin(&mut smtp, FRIEND);
        expect(&smtp.bytes(last.as_bytes()), "250 2.0.0 Ok: ");
        assert_eq!(host.used("shop", Messages), 1, "{way:?}");
        begin(&mut smtp, FRIEND);
        let first = format!("BDAT {}\r\n{TEXT}", TEXT.len());
        for _ in 0..3 {
            expect(&smtp.bytes(first.as_bytes()), "250 2.0.0 Ok: ");
        }
        expect(&smtp.say("BDAT 0 LAST"), "250 2.0.0 Ok: ");
        assert_eq!(host.used("shop", Messages), 2, "{way:?}");
        over(
            &early.bytes(last.as_bytes()),
            "user shop has used 2 of 2 messages",
        );
        early.reset();
        assert_eq!(host.used("shop", Messages), 2, "{way:?}");
    }
}

const ONE: &[&str] = &["user add shop --allow example.com --quota 9/total"];

#[test]
fn a_milter_that_dies_after_data_defers_and_charges_nothing() {
    for way in [Way::Milter, Way::Both] {
        let mut host = start(way.setup(false), ONE);
        let mut smtp = login(&host, "shop");
        passes(&mut smtp, 1);
        begin(&mut smtp, FRIEND);
        expect(&smtp.say("DATA"), "354");
        host.kill_outgate();
        host.start_outgate();
        expect(&smtp.say(MESSAGE), "451 4.7.1 Service unavailable");
        assert_eq!(host.used("shop", Messages), 1, "{way:?}");
        let mut smtp = login(&host, "shop");
        passes(&mut smtp, 1);
        assert_eq!(host.used("shop", Messages), 2, "{way:?}");
    }
}

/// Policy is asked first at DATA, and finds nothing of the milter's session any more.
#[test]
fn a_milter_that_dies_before_data_costs_one_message_at_most() {
    for (way, most) in [(Way::Milter, 0), (Way::Both, 1)] {
        let mut host = start(way.setup(false), ONE);
        let mut smtp = login(&host, "shop");
        begin(&mut smtp, FRIEND);
        host.kill_outgate();
        host.start_outgate();
        for _ in 0..2 {
            expect(&smtp.say("DATA"), "451 4.7.1 Service unavailable");
            assert_eq!(host.used("shop", Messages), most, "{way:?}");
        }
        smtp.reset();
        let mail = smtp.say("MAIL FROM:<news@example.com>");
        expect(&mail, "451 4.7.1 Service unavailable");
        passes(&mut login(&host, "shop"), 1);
        assert_eq!(host.used("shop", Messages), most + 1, "{way:?}");
    }
}

#[test]
fn a_milter_that_is_told_to_end_sees_messages_through_and_counts_them() {
    for way in [Way::Milter, Way::Both] {
        let mut host = start(way.setup(false), ONE);
        let mut smtp = login(&host, "shop");
        begin(&mut smtp, FRIEND);
        expect(&smtp.say("DATA"), "354");
        host.terminate_outgate();
        expect(&smtp.say(MESSAGE), "250 2.0.0 Ok: queued as ");
        drop(smtp);
        host.stop_outgate();
        host.start_outgate();
        assert_eq!(host.used("shop", Messages), 1, "{way:?}");
        passes(&mut login(&host, "shop"), 1);
        assert_eq!(host.used("shop", Messages), 2, "{way:?}");
    }
}

#[test]
fn a_policy_server_that_dies_after_its_answer_has_charged_once() {
    for options in ["", TWICE] {
        let setup = Setup {
            options,
            ..Way::Policy.setup(false)
        };
        let mut host = start(setup, ONE);
        let mut smtp = login(&host, "shop");
        for n in 1..=3 {
            begin(&mut smtp, FRIEND);
            expect(&smtp.say("DATA"), "354");
            host.kill_outgate();
            host.start_outgate();
            expect(&smtp.say(MESSAGE), "250 2.0.0 Ok: queued as ");
            assert_eq!(host.used("shop", Messages), n);
        }
    }
}

/// Postfix asks again when it has lost the answer: over another connection, and another process.
#[test]
fn a_policy_server_that_dies_while_it_is_asked_charges_once() {
    let setup = Setup {
        options: TWICE,
        ..Way::Policy.setup(false)
    };
    let mut host = start(
        setup,
        &["user add shop --allow example.com --quota 99/total"],
    );
    let (mut accepted, mut unheard) = (0, 0);
    for _ in 0..8 {
        let mut smtp = login(&host, "shop");
        begin(&mut smtp, FRIEND);
        let answer = thread::scope(|scope| {
            let asked = scope.spawn(|| finish(&mut smtp));
            host.kill_outgate();
            host.start_outgate();
            asked.join().unwrap()
        });
        if answer.starts_with("250") {
            accepted += 1;
        } else {
            expect(&answer, "451 4.");
            unheard += 1;
        }
        let used = host.used("shop", Messages);
        assert!(
            (accepted..=accepted + unheard).contains(&used),
            "{accepted} accepted, {unheard} put off, {used} used"
        );
    }
    assert!(accepted > 0, "{unheard} put off");
}
