//! Records that are made to cost: bounded questions, bounded text, never a permit.

use std::cell::Cell;
use std::net::IpAddr;

use outgate::model::dns::DnsName;
use outgate::spf::record::MAX_RECORD;
use outgate::spf::tree::{FaultKind, Visit};
use outgate::spf::{
    Assessment, Identity, MOST_EVALUATIONS, Requirement, Shelf, Shortfall, assess, survey,
};

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
            let (said, asked) = zone.assess(requirement, &identity);
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

/// What `pass` says of `a.example` for 16 egress addresses, how many calls and how many questions
/// it took.
fn pass_for_sixteen(zone: &Zone) -> (Assessment, usize, usize) {
    let egress = (1..=16).map(|last| IpAddr::from([203, 0, 113, last]).into());
    let requirement = Requirement::Pass {
        egress: egress.collect(),
    };
    let domain = DnsName::parse("a.example").unwrap();
    let identity = Identity {
        domain: &domain,
        local: "jane",
        helo: &domain,
    };
    let calls = Cell::new(0);
    let shelf = Shelf::default();
    let (said, asked) = zone.gather(|known| {
        calls.set(calls.get() + 1);
        assess(&requirement, &identity, known, &shelf)
    });
    (said, calls.get(), asked.len())
}

/// Nine includes of another name for each client address, each with a record of this length.
fn includes_by_address(length: usize) -> Zone {
    let mut zone = Zone::default();
    let includes: String = (0..9)
        .map(|number| format!(" include:%{{i}}.i{number}.example"))
        .collect();
    zone.txt("a.example", &format!("v=spf1{includes} -all"));
    let mut record = "v=spf1".to_owned();
    while record.len() + " ip4:198.51.100.1".len() <= length {
        record.push_str(" ip4:198.51.100.1");
    }
    for number in 0..9 {
        for last in 1..=16 {
            zone.txt(&format!("203.0.113.{last}.i{number}.example"), &record);
        }
    }
    zone
}

#[test]
fn egress_addresses_are_tried_side_by_side() {
    let (said, calls, asked) = pass_for_sixteen(&includes_by_address(100));
    assert!(matches!(said.verdict, Err(Shortfall::NotPassing { .. })));
    // The domain, nine includes for the first address, and nine rounds for all others.
    assert_eq!((calls, asked), (20, 1 + 9 * 16));
    assert_eq!(said.evaluations.len(), MOST_EVALUATIONS);
    let last = said.evaluations.last().unwrap();
    assert_eq!(last.address, Some(IpAddr::from([203, 0, 113, 16])));
}

#[test]
fn what_is_read_for_one_question_is_bounded() {
    let (said, _, asked) = pass_for_sixteen(&includes_by_address(MAX_RECORD));
    assert_eq!(fault(&said), &FaultKind::TooMuch);
    // Eight of the longest are too many already; no other address is tried.
    assert_eq!(asked, 9);
    // One tree that all addresses share is read once.
    let mut zone = includes_by_address(4000);
    let includes: String = (0..9)
        .map(|number| format!(" include:203.0.113.1.i{number}.example"))
        .collect();
    zone.txt("b.example", &format!("v=spf1{includes} -all"));
    zone.nodes.remove("a.example");
    zone.txt("a.example", "v=spf1 redirect=b.example");
    let (said, calls, asked) = pass_for_sixteen(&zone);
    assert!(matches!(said.verdict, Err(Shortfall::NotPassing { .. })));
    assert_eq!((calls, asked), (12, 11));
}

#[test]
fn what_is_walked_for_one_question_is_bounded() {
    let mut zone = Zone::default();
    zone.txt(
        "a.example",
        &format!("v=spf1{} -all", " include:b.example".repeat(10)),
    );
    let mut record = "v=spf1".to_owned();
    while record.len() + " ip4:198.51.100.1".len() <= MAX_RECORD {
        record.push_str(" ip4:198.51.100.1");
    }
    zone.txt("b.example", &record);
    let (said, ..) = pass_for_sixteen(&zone);
    assert_eq!(fault(&said), &FaultKind::TooMuch);
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
