//! The zone files of the test name server.

use std::time::Duration;

use outgate::model::dns::{Answer, Kind, Trouble};

use crate::nameserver::Zone;
use crate::{Site, texts, trouble};

#[tokio::test]
async fn a_zone_file_says_what_the_words_say() {
    let zone = Zone::parse(
        r#"
        # a comment
        $TTL 120
        $DENIAL-TTL 20
        One.test.    TXT "v=spf1 include:" "spf.test -all"
        one.test     TXT "a \"quoted\" text"
        one.test     MX 10 mail.one.test
        one.test     A 192.0.2.1
        one.test     AAAA 2001:db8::1
        two.test     CNAME one.test
        three.test   EMPTY
        broken.test  SERVFAIL
        slow.test    TXT "late"
        slow.test    DELAY 50ms
        "#,
    )
    .unwrap();
    let site = Site::within(zone, Duration::from_secs(2));
    let want = texts(&["v=spf1 include:spf.test -all", "a \"quoted\" text"]);
    for name in ["one.test", "two.test"] {
        let looked = site.look(Kind::Txt, name).await;
        assert_eq!((&*looked.answer, site.lasts(&looked)), (&want, 120));
    }
    for kind in [Kind::A, Kind::Aaaa, Kind::Mx] {
        let answer = site.ask(kind, "one.test").await;
        assert!(matches!(answer, Answer::Records(_)), "{kind}: {answer:?}");
    }
    assert_eq!(site.ask(Kind::Txt, "three.test").await, Answer::NoData);
    assert_eq!(site.ask(Kind::Txt, "slow.test").await, texts(&["late"]));
    let failed = trouble(Trouble::ServFail);
    assert_eq!(site.ask(Kind::Txt, "broken.test").await, failed);
    let looked = site.look(Kind::Txt, "gone.test").await;
    assert_eq!(
        (&*looked.answer, site.lasts(&looked)),
        (&Answer::NoName, 20)
    );
}

#[test]
fn a_fault_in_a_zone_file_names_its_line() {
    for line in [
        "one.test TXT no quotes",
        "one.test TXT \"no end",
        "one.test TXT",
        "one.test A 192.0.2",
        "one.test MX mail.one.test",
        "one.test DELAY 5",
        "one.test WHATEVER",
        "one.test",
        "$TTL long",
    ] {
        let error = Zone::parse(&format!("# first\n{line}\n")).unwrap_err();
        assert!(error.starts_with("line 2: "), "{error}");
    }
}
