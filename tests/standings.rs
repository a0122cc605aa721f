//! What DNS says about sender domains, as sessions meet it: asked once, remembered for its time,
//! forgotten at a reload, and nobody's trouble but of those who need it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod world;

use std::time::Duration;

use futures_util::future::join_all;
use outgate::decision::Decision;
use outgate::decision::facts::{Question, Resolved};
use outgate::decision::reason::Reason;
use outgate::model::dns::Kind;
use outgate::model::sender::EnvelopeSender;
use tokio::time::timeout;
use world::World;
use world::nameserver::Zone;

async fn decide(world: &World, login: &str, sender: &str) -> Decision {
    let sender = EnvelopeSender::from_policy(sender.as_bytes());
    let question = Question {
        login,
        session_user: None,
        client: None,
        sender: Some(&sender),
        resolved: &Resolved::NotAsked,
        header_from: None,
        recipients: None,
        charge: None,
    };
    world.engine.decide(&question).await
}

async fn reason(world: &World, login: &str, sender: &str) -> Reason {
    decide(world, login, sender).await.reason()
}

const WORLD: &str = "
    config relay.spf-include = \"spf.relay.example\"
    config any-domain.require-dmarc = true
    config dns.timeout = \"1s\"
    domain own.example
    user any --mode any-domain
    user own --mode all-domains
    dns good.example TXT \"v=spf1 include:_spf.good.example -all\"
    dns _spf.good.example TXT \"v=spf1 include:spf.relay.example -all\"
    dns _spf.good.example DELAY 100ms
    dns _dmarc.good.example TXT \"v=DMARC1; p=none\"
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_many_wait_each_name_is_asked_once() {
    let world = World::new(WORLD);
    let server = world.nameserver.as_ref().unwrap();
    let reasons = join_all((0..300).map(|_| reason(&world, "any", "a@good.example"))).await;
    assert!(reasons.iter().all(|reason| *reason == Reason::Allowed));
    let names = [
        "_outgate.good.example",
        "good.example",
        "_spf.good.example",
        "_dmarc.good.example",
    ];
    for name in names {
        assert_eq!(server.asked(name, Kind::Txt), 1, "{name}");
    }
    assert_eq!(server.total(), names.len());
    // And not again, until the first record ends.
    world.clock.advance(Duration::from_secs(4));
    assert_eq!(
        reason(&world, "any", "b@good.example").await,
        Reason::Allowed
    );
    assert_eq!(server.total(), names.len());
    world.clock.advance(Duration::from_secs(3600));
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::Allowed
    );
    assert_eq!(server.asked("good.example", Kind::Txt), 2);
}

#[tokio::test]
async fn a_record_that_looks_at_the_sender_is_remembered_for_that_sender() {
    let world = World::new(
        "config relay.egress = [\"192.0.2.1\"]
         user any --mode any-domain
         dns local.example TXT \"v=spf1 exists:%{l}.who.local.example -all\"
         dns ann.who.local.example A 127.0.0.2",
    );
    for _ in 0..3 {
        assert_eq!(
            reason(&world, "any", "ann@local.example").await,
            Reason::Allowed
        );
        assert_eq!(
            reason(&world, "any", "bob@local.example").await,
            Reason::SpfNotPassing
        );
    }
    let server = world.nameserver.as_ref().unwrap();
    assert_eq!(server.asked("ann.who.local.example", Kind::A), 1);
    assert_eq!(server.asked("bob.who.local.example", Kind::A), 1);
}

#[tokio::test]
async fn a_reload_asks_anew_and_by_the_new_rules() {
    let world = World::new(WORLD);
    let server = world.nameserver.as_ref().unwrap();
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::Allowed
    );
    server.set(Zone::new().txt("good.example", "v=spf1 -all"));
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::Allowed
    );
    world.reload(&format!("dns.servers = [\"{}\"]", server.address()));
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::SpfInvalid
    );
}

#[tokio::test]
async fn trouble_passes_by_itself() {
    let world = World::new(WORLD);
    let server = world.nameserver.as_ref().unwrap();
    server.set(
        Zone::new()
            .servfail("_spf.good.example")
            .txt("good.example", "v=spf1 include:_spf.good.example -all"),
    );
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::DnsUnavailable
    );
    server.set(
        Zone::new()
            .txt("_spf.good.example", "v=spf1 include:spf.relay.example -all")
            .txt("good.example", "v=spf1 include:_spf.good.example -all")
            .txt("_dmarc.good.example", "v=DMARC1; p=none"),
    );
    // A failure is remembered for seconds, so that a dead server is not asked by every session.
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::DnsUnavailable
    );
    assert_eq!(server.asked("_spf.good.example", Kind::Txt), 1);
    world.clock.advance(Duration::from_secs(6));
    // That no DMARC record was there is remembered longer than that.
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::DmarcMissing
    );
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::Allowed
    );
}

#[tokio::test]
async fn nobody_passes_by_records_under_an_error_code() {
    for code in [3, 11, 12, 15] {
        let world = World::new(&format!(
            "config relay.spf-include = \"spf.relay.example\"
             user any --mode any-domain
             dns odd.example TXT \"v=spf1 include:spf.relay.example -all\"
             dns odd.example CODE {code}"
        ));
        assert_eq!(
            reason(&world, "any", "a@odd.example").await,
            Reason::DnsUnavailable,
            "{code}"
        );
    }
}

#[tokio::test]
async fn a_thousand_that_wait_for_a_dead_server_hold_up_nobody_else() {
    let mut world = World::new(WORLD);
    assert_eq!(
        reason(&world, "any", "a@good.example").await,
        Reason::Allowed
    );
    world.nameserver.as_mut().unwrap().stop();
    let begun = world.clock.instant();
    let waiting = join_all((0..1000).map(|n| {
        let world = &world;
        async move { reason(world, "any", &format!("a@d{n}.example")).await }
    }));
    let others = async {
        for _ in 0..1000 {
            assert_eq!(
                reason(&world, "own", "a@own.example").await,
                Reason::Allowed
            );
            assert_eq!(
                reason(&world, "any", "a@own.example").await,
                Reason::Allowed
            );
            // What is remembered is as good as what needs no DNS.
            assert_eq!(
                reason(&world, "any", "a@good.example").await,
                Reason::Allowed
            );
        }
        world.clock.instant().duration_since(begun)
    };
    let (deferred, others) = timeout(Duration::from_secs(30), async {
        tokio::join!(waiting, others)
    })
    .await
    .unwrap();
    assert!(
        deferred
            .iter()
            .all(|reason| *reason == Reason::DnsUnavailable)
    );
    assert!(others < Duration::from_secs(2), "{others:?}");
    // 1,000 decisions of one second each, side by side.
    let all = world.clock.instant().duration_since(begun);
    assert!(all < Duration::from_secs(10), "{all:?}");
}

#[tokio::test]
async fn dns_that_fans_out_is_bounded() {
    let mut zone = Zone::new();
    let includes = |prefix: &str| {
        let names: Vec<_> = (0..10)
            .map(|n| format!("include:{prefix}{n}.fan.example"))
            .collect();
        format!("v=spf1 {} -all", names.join(" "))
    };
    zone = zone.txt("fan.example", &includes("a"));
    for n in 0..10 {
        zone = zone.txt(&format!("a{n}.fan.example"), &includes(&format!("b{n}")));
        for m in 0..10 {
            zone = zone.txt(&format!("b{n}{m}.fan.example"), "v=spf1 ip4:192.0.2.9 -all");
        }
    }
    let world = World::new(WORLD);
    let server = world.nameserver.as_ref().unwrap();
    server.set(zone);
    assert_eq!(
        reason(&world, "any", "a@fan.example").await,
        Reason::SpfInvalid
    );
    assert!(server.total() <= 40, "{}", server.total());
}

#[tokio::test]
async fn what_is_remembered_is_bounded() {
    let world = World::new(
        "user any --mode any-domain
         dns known.example TXT \"v=spf1 mx -all\"",
    );
    let long = format!("v=spf1 {}-all", "ip4:192.0.2.1 ".repeat(500));
    let mut zone = Zone::new();
    for n in 0..300 {
        zone = zone.txt(&format!("d{n}.example"), &long);
    }
    world.nameserver.as_ref().unwrap().set(zone);
    for n in 0..300 {
        assert_eq!(
            reason(&world, "any", &format!("a@d{n}.example")).await,
            Reason::Allowed,
            "{n}"
        );
    }
    let settings = world.engine.settings();
    let (entries, bytes) = settings.standings.remembered();
    assert!(entries > 100, "{entries}");
    assert!(bytes <= outgate::standings::Standings::CAPACITY, "{bytes}");
    let dns = settings.standings.resolver().status();
    assert!(dns.bytes <= dns.capacity, "{dns:?}");
}
