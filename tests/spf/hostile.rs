//! Records that are made to cost: bounded questions, bounded text, never a permit.

use std::net::IpAddr;

use outgate::model::dns::DnsName;
use outgate::spf::record::MAX_RECORD;
use outgate::spf::tree::{FaultKind, Visit};
use outgate::spf::{Assessment, Identity, Requirement, Shortfall, assess, survey};

use crate::zone::Zone;

fn requirements() -> Vec<Requirement> {
    let address: IpAddr = "192.0.2.1".parse().unwrap();
    vec![
        Requirement::Published,
        Requirement::Include {
            relay: DnsName::parse("spf.relay.example").unwrap(),
            address: Some(address),
        },
        Requirement::Pass {
            egress: vec![address.into()],
        },
    ]
}

/// What each requirement comes to at `a.example`, and how much was asked for it.
fn all(zone: &Zone) -> Vec<(Assessment, usize)> {
    let domain = DnsName::parse("a.example").unwrap();
    let identity = Identity {
        domain: &domain,
        local: "jane",
        helo: &domain,
    };
    requirements()
        .iter()
        .map(|requirement| {
            let (said, asked) = zone.gather(|known| assess(requirement, &identity, known));
            (said, asked.len())
        })
        .collect()
}

fn fault(assessment: &Assessment) -> &FaultKind {
    match &assessment.verdict {
        Err(Shortfall::Invalid(fault)) => &fault.kind,
        verdict => panic!("{verdict:?}"),
    }
}

/// How many bytes of text a tree keeps.
fn weight(visit: &Visit) -> usize {
    let own = visit.record.as_ref().map_or(0, String::len);
    let steps = visit
        .steps
        .iter()
        .map(|step| step.term.len() + step.inside.as_ref().map_or(0, |inside| weight(inside)));
    own + steps.sum::<usize>()
}

#[test]
fn a_record_of_64_kib_is_not_read() {
    let mut zone = Zone::default();
    let mut record = "v=spf1 include:spf.relay.example".to_owned();
    while record.len() < 64 * 1024 {
        record.push_str(" ip4:192.0.2.1");
    }
    zone.txt("a.example", &record);
    for (said, asked) in all(&zone) {
        assert_eq!(fault(&said), &FaultKind::TooLong(record.len()));
        assert_eq!(asked, 1);
        assert_eq!(said.evaluations[0].tree.record, None);
    }
}

#[test]
fn the_longest_record_is_read_and_little_of_it_is_kept() {
    let mut zone = Zone::default();
    let mut record = "v=spf1 include:spf.relay.example".to_owned();
    while record.len() + " ip4:192.0.2.1".len() <= MAX_RECORD {
        record.push_str(" ip4:192.0.2.1");
    }
    zone.txt("a.example", &record);
    zone.txt("spf.relay.example", "v=spf1 -all");
    for (said, _) in all(&zone) {
        assert_eq!(said.verdict, Ok(()));
        let tree = &said.evaluations[0].tree;
        assert!(weight(tree) < 4096, "{}", weight(tree));
        assert!(tree.omitted > 400, "{}", tree.omitted);
    }
}

#[test]
fn thousands_of_strings_hide_nothing() {
    let mut zone = Zone::default();
    for number in 0..5000 {
        zone.txt("a.example", &format!("v=spf2 {number}"));
    }
    zone.txt("a.example", "v=spf1 include:spf.relay.example +all");
    zone.txt("spf.relay.example", "v=spf1 -all");
    for (said, _) in all(&zone) {
        assert_eq!(said.verdict, Ok(()));
    }
    for _ in 0..5000 {
        zone.txt("a.example", "v=spf1 +all");
    }
    for (said, _) in all(&zone) {
        assert_eq!(fault(&said), &FaultKind::Several(5001));
    }
}

#[test]
fn ten_includes_of_ten_includes_ask_eleven_questions() {
    let mut zone = Zone::default();
    let list = |below: &str| {
        (0..10)
            .map(|number| format!(" include:i{number}{below}.example"))
            .collect::<String>()
    };
    zone.txt("a.example", &format!("v=spf1{} -all", list("")));
    for first in 0..10 {
        let inner = list(&format!(".i{first}"));
        zone.txt(&format!("i{first}.example"), &format!("v=spf1{inner} -all"));
        for second in 0..10 {
            zone.txt(&format!("i{second}.i{first}.example"), "v=spf1 -all");
        }
    }
    for (said, asked) in &all(&zone)[1..] {
        assert_eq!(fault(said), &FaultKind::Lookups);
        assert_eq!(*asked, 11);
    }
}

#[test]
fn the_most_that_is_asked_is_111_questions() {
    let mut zone = Zone::default();
    let mut record = "v=spf1".to_owned();
    for term in 0..10 {
        record.push_str(&format!(" mx:m{term}.example"));
        for host in 0..10 {
            zone.add(&crate::zone::words(&format!(
                "m{term}.example MX {host} h{host}.m{term}.example"
            )));
            zone.add(&crate::zone::words(&format!(
                "h{host}.m{term}.example A 198.51.100.1"
            )));
        }
    }
    zone.txt("a.example", &format!("{record} ~all"));
    let said = all(&zone);
    assert!(matches!(
        said[1].0.verdict,
        Err(Shortfall::NotIncluding { .. })
    ));
    assert_eq!(said[1].1, 111);
    assert_eq!(said[2].1, 111);
}

#[test]
fn a_record_full_of_macros_stays_small() {
    let mut zone = Zone::default();
    let macros = "%{S}".repeat(MAX_RECORD / 4 - 8);
    zone.txt(
        "a.example",
        &format!("v=spf1 ?exists:{macros}.example ~all"),
    );
    let said = all(&zone);
    assert_eq!(said[0].0.verdict, Ok(()));
    assert!(matches!(
        said[1].0.verdict,
        Err(Shortfall::NotIncluding { .. })
    ));
    assert!(said[2].0.verdict.is_err());
    assert!(weight(&said[1].0.evaluations[0].tree) < 2048);
}

#[test]
fn what_is_shown_of_a_record_is_printable() {
    let mut zone = Zone::default();
    zone.txt(
        "a.example",
        "v=spf1 \u{1b}[31mred\r\n\u{202e}include:x.example \u{0}",
    );
    for (said, _) in all(&zone) {
        let shown = said.evaluations[0].tree.to_string();
        assert!(
            shown.chars().all(|c| matches!(c, ' '..='~' | '\n')),
            "{shown:?}"
        );
        assert!(shown.contains("\\u{1b}"), "{shown}");
    }
}

#[test]
fn a_person_can_read_the_tree() {
    let mut zone = Zone::default();
    zone.txt(
        "a.example",
        "v=spf1 ip4:198.51.100.1 include:b.example -all",
    );
    zone.txt("b.example", "v=spf1 exists:no.example redirect=c.example");
    zone.txt("c.example", "v=spf1 foo");
    let said = all(&zone);
    assert_eq!(
        said[1].0.evaluations[0].tree.to_string(),
        "\
a.example: v=spf1 ip4:198.51.100.1 include:b.example -all
  ip4:198.51.100.1: in order
  include:b.example
    b.example: v=spf1 exists:no.example redirect=c.example
      exists:no.example: nothing there
      redirect=c.example
        c.example: v=spf1 foo
          unknown mechanism foo
  -all: not reached
"
    );
    assert_eq!(
        said[1].0.evaluations[0].tree.chain(),
        "a.example -> include:b.example -> redirect=c.example"
    );
    let Err(shortfall) = &said[1].0.verdict else {
        panic!("c.example is wrong");
    };
    let Shortfall::Invalid(fault) = shortfall else {
        panic!("{shortfall:?}");
    };
    assert_eq!(
        fault.to_string(),
        "SPF record of c.example: unknown mechanism foo"
    );
}

#[test]
fn a_survey_goes_through_everything() {
    let mut zone = Zone::default();
    zone.txt(
        "a.example",
        "v=spf1 include:spf.relay.example a:b.example ?include:c.example -all",
    );
    zone.txt(
        "spf.relay.example",
        "v=spf1 exists:%{i}.x.example exists:no.example ~all",
    );
    zone.txt("c.example", "v=spf1 redirect=d.example");
    zone.txt("d.example", "v=spf1 +all mx");
    let domain = DnsName::parse("a.example").unwrap();
    let identity = Identity {
        domain: &domain,
        local: "postmaster",
        helo: &domain,
    };
    let (seen, asked) = zone.gather(|known| survey(&identity, known));
    assert_eq!((seen.lookups, seen.voids, asked.len()), (6, 2, 6));
    assert_eq!(seen.tree.chain(), "a.example");
    assert_eq!(
        seen.tree.to_string(),
        "\
a.example: v=spf1 include:spf.relay.example a:b.example ?include:c.example -all
  include:spf.relay.example: in order
    spf.relay.example: v=spf1 exists:%{i}.x.example exists:no.example ~all
      exists:%{i}.x.example: not followed: needs an egress address
      exists:no.example: nothing there
      ~all: in order
  a:b.example: nothing there
  ?include:c.example: in order
    c.example: v=spf1 redirect=d.example
      redirect=d.example: in order
        d.example: v=spf1 +all mx
          all: in order
          mx: not reached
  -all: in order
"
    );
}
