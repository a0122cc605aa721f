//! What each kind of answer is taken for.

use std::sync::Arc;
use std::time::Duration;

use outgate::model::dns::{Answer, DnsName, Exchangers, Kind, Records, Trouble};

use crate::nameserver::{Manner, Zone};
use crate::{Site, texts, trouble};

#[tokio::test]
async fn records_of_each_kind() {
    let site = Site::new(
        Zone::new()
            .strings("one.test", &["v=spf1 ip4:192.0.", "2.1 -all"])
            .txt("one.test", "")
            .a("one.test", "192.0.2.1")
            .a("one.test", "192.0.2.2")
            .aaaa("one.test", "2001:db8::1")
            .mx("one.test", 10, "Mail.One.test"),
    );
    let name = "one.test";
    assert_eq!(
        site.ask(Kind::Txt, name).await,
        texts(&["v=spf1 ip4:192.0.2.1 -all", ""])
    );
    let addresses = ["192.0.2.1", "192.0.2.2"].map(|a| a.parse().unwrap());
    assert_eq!(
        site.ask(Kind::A, name).await,
        Answer::Records(Records::A(addresses.to_vec()))
    );
    assert_eq!(
        site.ask(Kind::Aaaa, name).await,
        Answer::Records(Records::Aaaa(vec!["2001:db8::1".parse().unwrap()]))
    );
    let host = DnsName::parse("mail.one.test").unwrap();
    assert_eq!(
        site.ask(Kind::Mx, name).await,
        Answer::Records(Records::Mx(Exchangers::Hosts(vec![(10, host)])))
    );
}

#[tokio::test]
async fn denials_with_and_without_soa() {
    let zone = Zone::new()
        .a("there.test", "192.0.2.1")
        .a("below.empty.test", "192.0.2.1");
    for zone in [zone.clone(), zone.no_soa()] {
        let site = Site::new(zone);
        assert_eq!(site.ask(Kind::Txt, "there.test").await, Answer::NoData);
        assert_eq!(site.ask(Kind::Txt, "empty.test").await, Answer::NoData);
        assert_eq!(site.ask(Kind::Txt, "gone.test").await, Answer::NoName);
        assert_eq!(site.ask(Kind::Txt, "localhost").await, Answer::NoName);
        assert_eq!(
            site.server.asked("localhost", Kind::Txt),
            1,
            "asked, as all"
        );
    }
}

#[tokio::test]
async fn troubles_are_told_apart() {
    let mut zone = Zone::new();
    let cases = [
        (Manner::ServFail, Trouble::ServFail),
        (Manner::Refuse, Trouble::Refused),
        (Manner::Drop, Trouble::TimedOut),
        (Manner::TruncateAlways, Trouble::Lame),
        (Manner::WrongName, Trouble::Lame),
        // Whoever forges an answer must not end the waiting for the real one.
        (Manner::WrongQuestion, Trouble::TimedOut),
        (Manner::Garbage, Trouble::Lame),
        (Manner::CompressionLoop, Trouble::Lame),
        (Manner::Referral, Trouble::Lame),
        (Manner::Elsewhere, Trouble::Lame),
    ];
    for (number, (manner, _)) in cases.iter().enumerate() {
        let name = format!("case{number}.test");
        zone = zone.txt(&name, "v=spf1 +all").manner(&name, *manner);
    }
    let site = Site::within(zone, Duration::from_millis(500));
    for (number, (manner, want)) in cases.iter().enumerate() {
        let got = site.ask(Kind::Txt, &format!("case{number}.test")).await;
        assert_eq!(got, trouble(*want), "{manner:?}");
    }
}

#[tokio::test]
async fn records_under_an_error_code_are_none() {
    let codes = [
        (2, Trouble::ServFail),
        (3, Trouble::Lame),
        (4, Trouble::Lame),
        (5, Trouble::Refused),
        (6, Trouble::Lame),
        (11, Trouble::Lame),
        (12, Trouble::Lame),
        (15, Trouble::Lame),
    ];
    let mut zone = Zone::new();
    for (code, _) in codes {
        let name = format!("code{code}.test");
        let alias = format!("alias{code}.test");
        zone = zone
            .txt(&name, "v=spf1 +all")
            .manner(&name, Manner::Code(code))
            .cname(&alias, &name)
            .manner(&alias, Manner::Code(code));
    }
    let site = Site::new(zone);
    for (code, want) in codes {
        for name in [format!("code{code}.test"), format!("alias{code}.test")] {
            assert_eq!(site.ask(Kind::Txt, &name).await, trouble(want), "{name}");
        }
        // A name that does not exist has no records of other kinds either.
        let other = site.ask(Kind::A, &format!("code{code}.test")).await;
        let want = match code {
            3 => Answer::NoName,
            _ => trouble(want),
        };
        assert_eq!(other, want, "code {code}");
    }
}

#[tokio::test]
async fn a_forged_answer_with_another_id_is_passed_over() {
    let site = Site::new(
        Zone::new()
            .txt("one.test", "real")
            .wrong_id("one.test")
            .txt("forged.test", "forged"),
    );
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["real"]));
}

#[tokio::test]
async fn an_answer_to_another_question_is_none_over_tcp_either() {
    let long = "x".repeat(3000);
    let site = Site::new(
        Zone::new()
            .txt("one.test", &long)
            .manner("one.test", Manner::WrongQuestionOverTcp),
    );
    assert_eq!(
        site.ask(Kind::Txt, "one.test").await,
        trouble(Trouble::Lame)
    );
}

#[tokio::test]
async fn what_is_truncated_is_asked_over_tcp() {
    let long = "x".repeat(60_000);
    let site = Site::new(
        Zone::new()
            .txt("long.test", &long)
            .txt("cut.test", "short")
            .truncate("cut.test"),
    );
    assert_eq!(site.ask(Kind::Txt, "long.test").await, texts(&[&long]));
    assert_eq!(site.ask(Kind::Txt, "cut.test").await, texts(&["short"]));
}

#[tokio::test]
async fn a_server_of_the_old_days_is_asked_in_the_old_way() {
    let zone = Zone::new().txt("one.test", "x");
    let site = Site::new(zone.manner("one.test", Manner::NoEdns));
    assert_eq!(site.ask(Kind::Txt, "one.test").await, texts(&["x"]));
}

#[tokio::test]
async fn an_answer_of_too_many_parts_is_of_no_use() {
    let mut zone = Zone::new().strings("strings.test", &["x"; 1000]);
    for number in 0..1000 {
        zone = zone.txt("records.test", &format!("text {number}"));
        let address = format!("192.0.{}.{}", number / 250, number % 250);
        zone = zone.a("records.test", &address);
    }
    for number in 0..100 {
        zone = zone.txt("many.test", &format!("verification={number}"));
    }
    let site = Site::new(zone);
    let lame = trouble(Trouble::Lame);
    assert_eq!(site.ask(Kind::Txt, "strings.test").await, lame);
    assert_eq!(site.ask(Kind::Txt, "records.test").await, lame);
    assert_eq!(site.ask(Kind::A, "records.test").await, lame);
    let Answer::Records(Records::Txt(many)) = site.ask(Kind::Txt, "many.test").await else {
        panic!("a hundred text records are usual");
    };
    assert_eq!(many.len(), 100);
}

#[tokio::test]
async fn cnames_are_followed() {
    let zone = Zone::new()
        .cname("first.test", "second.test")
        .cname("second.test", "Third.test")
        .txt("third.test", "found")
        .cname("lost.test", "gone.test")
        .cname("bare.test", "empty.test")
        .empty("empty.test")
        .cname("failing.test", "broken.test")
        .servfail("broken.test")
        .cname("around.test", "again.test")
        .cname("again.test", "around.test")
        .cname("self.test", "self.test");
    for zone in [zone.clone(), zone.lone_cnames()] {
        let alone = zone.lone_cnames;
        let site = Site::new(zone);
        let found = texts(&["found"]);
        assert_eq!(site.ask(Kind::Txt, "first.test").await, found);
        assert_eq!(site.ask(Kind::Txt, "lost.test").await, Answer::NoName);
        assert_eq!(site.ask(Kind::Txt, "bare.test").await, Answer::NoData);
        for name in ["around.test", "self.test"] {
            assert_eq!(site.ask(Kind::Txt, name).await, trouble(Trouble::Lame));
        }
        if alone {
            let failed = trouble(Trouble::ServFail);
            assert_eq!(site.ask(Kind::Txt, "failing.test").await, failed);
        }
    }
}

#[tokio::test]
async fn a_chain_of_cnames_ends_somewhere() {
    let mut zone = Zone::new().a("c0.test", "192.0.2.1");
    for number in 0..40 {
        let name = format!("c{}.test", number + 1);
        zone = zone.cname(&name, &format!("c{number}.test"));
    }
    for zone in [zone.clone(), zone.lone_cnames()] {
        let site = Site::new(zone);
        let found = Answer::Records(Records::A(vec!["192.0.2.1".parse().unwrap()]));
        assert_eq!(site.ask(Kind::A, "c16.test").await, found);
        assert_eq!(site.ask(Kind::A, "c17.test").await, trouble(Trouble::Lame));
        assert_eq!(site.ask(Kind::A, "c40.test").await, trouble(Trouble::Lame));
    }
}

#[tokio::test]
async fn names_that_are_long_or_odd_are_asked_as_they_are() {
    let long = format!("{}{}", "a23456789.".repeat(24), "b".repeat(13));
    assert_eq!(long.len(), 253);
    let names = [
        long.as_str(),
        "-bad-.test",
        "_dmarc.one.test",
        "*.one.test",
        "a@b!c/d=e.test",
        "something.invalid",
        "192.0.2.1",
    ];
    let zone = names
        .iter()
        .fold(Zone::new(), |zone, name| zone.txt(name, name));
    let site = Site::new(zone);
    for name in names {
        assert_eq!(site.ask(Kind::Txt, name).await, texts(&[name]), "{name}");
    }
}

#[tokio::test]
async fn a_null_mx_is_told_and_other_exchangers_that_are_no_hosts_are_left_out() {
    let site = Site::new(
        Zone::new()
            .mx("null.test", 0, ".")
            .mx("odd.test", 10, "a b.test")
            .mx("both.test", 0, ".")
            .mx("both.test", 10, "a b.test")
            .mx("both.test", 20, "mail.test"),
    );
    let null = Answer::Records(Records::Mx(Exchangers::None));
    assert_eq!(site.ask(Kind::Mx, "null.test").await, null);
    assert_eq!(site.ask(Kind::Mx, "odd.test").await, Answer::NoData);
    let host = DnsName::parse("mail.test").unwrap();
    assert_eq!(
        site.ask(Kind::Mx, "both.test").await,
        Answer::Records(Records::Mx(Exchangers::Hosts(vec![(20, host)])))
    );
}

#[tokio::test]
async fn text_is_bytes() {
    let site = Site::new(Zone::new().txt("one.test", "p\u{e4}ss \u{7f}\0"));
    let text: Arc<[u8]> = Arc::from("p\u{e4}ss \u{7f}\0".as_bytes());
    assert_eq!(
        site.ask(Kind::Txt, "one.test").await,
        Answer::Records(Records::Txt(vec![text]))
    );
}

#[tokio::test]
async fn ttls_are_clamped() {
    for (ttl, want) in [(0, 60), (300, 300), (86_400, 3600)] {
        let site = Site::new(Zone::new().txt("one.test", "x").ttl(ttl));
        let looked = site.look(Kind::Txt, "one.test").await;
        assert_eq!(site.lasts(&looked), want, "a TTL of {ttl}");
    }
    for (zone, want) in [
        (Zone::new().denial_ttl(0), 5),
        (Zone::new().denial_ttl(30), 30),
        (Zone::new().denial_ttl(86_400), 300),
        (Zone::new().no_soa(), 60),
        (Zone::new().servfail("one.test"), 5),
    ] {
        let site = Site::new(zone);
        let looked = site.look(Kind::Txt, "one.test").await;
        assert_eq!(site.lasts(&looked), want, "{:?}", looked.answer);
    }
}
