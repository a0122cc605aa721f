//! What holds of any record and any zone.

use std::net::IpAddr;
use std::sync::Arc;

use outgate::model::dns::{DnsName, Kind, Trouble};
use outgate::spf::publication;
use outgate::spf::record::Record;
use outgate::spf::{Identity, Requirement, SpfResult, check_host};
use proptest::collection::vec;
use proptest::prelude::*;

use crate::zone::{Node, Zone};

/// Few, so that they meet.
const NAMES: &[&str] = &[
    "a.example",
    "b.example",
    "c.example",
    "d.example",
    "spf.relay.example",
    "192.0.2.1.a.example",
    "nothing.example",
];

const ADDRESSES: &[&str] = &["192.0.2.1", "192.0.2.130", "198.51.100.1"];
const ADDRESSES6: &[&str] = &["2001:db8::1", "2001:db8:8000::1"];

/// A client.
pub fn address() -> impl Strategy<Value = IpAddr> {
    prop::sample::select([ADDRESSES, ADDRESSES6].concat()).prop_map(|text| text.parse().unwrap())
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(NAMES).prop_map(str::to_owned),
        1 => prop::sample::select(vec![
            "%{i}.a.example",
            "%{d1r}.example",
            "%{l}.example",
            "%{o}",
            "%{d}",
            "%{ir}.%{v}.example",
            "%{D}",
            "%{L}.%{d1}",
            "%{h}",
            "%{l1r-}.a.example",
            "%{o3r.-}",
        ])
        .prop_map(str::to_owned),
    ]
}

fn term() -> impl Strategy<Value = String> {
    let qualifier = prop::sample::select(vec!["", "", "", "+", "-", "~", "?"]);
    let prefix = prop::sample::select(vec!["", "", "/24", "//33", "/1//1", "/25//128"]);
    let mechanism = prop_oneof![
        6 => name().prop_map(|name| format!("include:{name}")),
        2 => (name(), prefix.clone()).prop_map(|(name, prefix)| format!("a:{name}{prefix}")),
        2 => (name(), prefix.clone()).prop_map(|(name, prefix)| format!("mx:{name}{prefix}")),
        1 => prefix.clone().prop_map(|prefix| format!("a{prefix}")),
        1 => prefix.prop_map(|prefix| format!("mx{prefix}")),
        2 => name().prop_map(|name| format!("exists:{name}")),
        1 => Just("ptr".to_owned()),
        1 => Just("ip4:192.0.2.128/25".to_owned()),
        1 => Just("ip4:198.51.100.1".to_owned()),
        1 => Just("ip6:2001:db8::/33".to_owned()),
        1 => Just("all".to_owned()),
    ];
    prop_oneof![
        20 => (qualifier, mechanism).prop_map(|(qualifier, what)| format!("{qualifier}{what}")),
        2 => name().prop_map(|name| format!("redirect={name}")),
        1 => Just("x=%{d}".to_owned()),
        1 => prop::sample::select(vec!["foo:bar", "a:1", "ip4:1.2.3", "exp=e.example"])
            .prop_map(str::to_owned),
    ]
}

fn record() -> impl Strategy<Value = String> {
    vec(term(), 0..6).prop_map(|terms| format!("v=spf1 {}", terms.join(" ")))
}

fn trouble() -> impl Strategy<Value = Option<(Kind, Trouble)>> {
    prop_oneof![
        12 => Just(None),
        1 => prop::sample::select(vec![Kind::Txt, Kind::Mx, Kind::A, Kind::Aaaa])
            .prop_map(|kind| Some((kind, Trouble::ServFail))),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let txt = prop_oneof![
        12 => record().prop_map(|record| vec![record]),
        1 => Just(Vec::new()),
        1 => (record(), record()).prop_map(|(one, other)| vec![one, other]),
        1 => record().prop_map(|record| vec!["other".to_owned(), record]),
    ];
    (
        txt,
        vec((0u16..3, prop::sample::select(NAMES)), 0..4),
        vec(prop::sample::select(ADDRESSES), 0..3),
        vec(prop::sample::select(ADDRESSES6), 0..2),
        trouble(),
    )
        .prop_map(|(txt, mx, a, aaaa, trouble)| Node {
            txt: txt.into_iter().map(String::into_bytes).collect(),
            mx: mx
                .into_iter()
                .map(|(preference, host)| (preference, DnsName::parse(host).unwrap()))
                .collect(),
            a: a.iter().map(|text| text.parse().unwrap()).collect(),
            aaaa: aaaa.iter().map(|text| text.parse().unwrap()).collect(),
            trouble: trouble.into_iter().collect(),
            ..Node::default()
        })
}

/// Records that include, redirect and look up each other.
pub fn zone() -> impl Strategy<Value = Zone> {
    vec(node(), NAMES.len() - 1).prop_map(|nodes| Zone {
        nodes: NAMES
            .iter()
            .map(|name| DnsName::parse(name).unwrap())
            .zip(nodes)
            .collect(),
    })
}

fn requirement() -> impl Strategy<Value = Requirement> {
    prop_oneof![
        1 => Just(Requirement::Published),
        3 => prop::option::of(address()).prop_map(|address| Requirement::Include {
            relay: DnsName::parse("spf.relay.example").unwrap(),
            address,
        }),
        3 => address().prop_map(|address| Requirement::Pass {
            egress: vec![address.into()],
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn any_bytes_can_be_read(bytes in vec(any::<u8>(), 0..400)) {
        let strings: Vec<Arc<[u8]>> = vec![bytes.clone().into()];
        let _ = publication::select(&strings);
        let _ = publication::read(&bytes);
        let mut record = b"v=spf1 ".to_vec();
        record.extend_from_slice(&bytes);
        let _ = publication::read(&record);
    }

    #[test]
    fn any_likely_text_can_be_read(
        text in "v=spf1( [-+~?]?(a|mx|ip4|ip6|include|exists|ptr|all|redirect|exp)[:=/.%{}a-z0-9_/-]{0,12}){0,4}",
    ) {
        if let Ok(record) = Record::parse(&text) {
            prop_assert_eq!(Record::parse(&record.to_string()), Ok(record));
        }
    }

    #[test]
    fn print_and_read_agree(text in record()) {
        if let Ok(record) = Record::parse(&text) {
            prop_assert_eq!(Record::parse(&record.to_string()), Ok(record));
        }
    }

    #[test]
    fn questions_are_bounded_and_trouble_permits_nothing(
        zone in zone(),
        requirement in requirement(),
    ) {
        let domain = DnsName::parse("a.example").unwrap();
        let helo = DnsName::parse("mail.relay.example").unwrap();
        let identity = Identity { domain: &domain, local: "jane", helo: &helo };
        let (said, asked) = zone.assess(&requirement, &identity);
        prop_assert!(asked.len() <= 111);
        for evaluation in &said.evaluations {
            prop_assert!(evaluation.lookups <= 10 && evaluation.voids <= 3);
            let _ = evaluation.tree.to_string();
        }
        if said.verdict.is_err() {
            return Ok(());
        }
        // Whatever was in trouble was not needed: nothing in its place changes what was said.
        let mut healed = zone.clone();
        for node in healed.nodes.values_mut() {
            node.trouble.clear();
            node.otherwise = None;
        }
        let (again, _) = healed.assess(&requirement, &identity);
        prop_assert_eq!(again.verdict, Ok(()));
    }

    #[test]
    fn pass_is_never_more_than_check_host_says(zone in zone(), ip in address()) {
        let domain = DnsName::parse("a.example").unwrap();
        let identity = Identity { domain: &domain, local: "jane", helo: &domain };
        let (checked, _) = zone.gather(|known| check_host(ip, &identity, known));
        let requirement = Requirement::Pass { egress: vec![ip.into()] };
        let (said, _) = zone.assess(&requirement, &identity);
        if said.verdict.is_ok() {
            prop_assert_eq!(checked.result, SpfResult::Pass);
        }
    }

    /// The second opinion refuses nothing that should pass, however includes are nested.
    #[test]
    fn what_passes_passes_by_both_judges(zone in zone(), ip in address()) {
        let domain = DnsName::parse("a.example").unwrap();
        let identity = Identity { domain: &domain, local: "jane", helo: &domain };
        let (checked, _) = zone.gather(|known| check_host(ip, &identity, known));
        let requirement = Requirement::Pass { egress: vec![ip.into()] };
        let (said, _) = zone.assess(&requirement, &identity);
        prop_assert_eq!(checked.result == SpfResult::Pass, said.verdict.is_ok());
    }

    #[test]
    fn a_hit_needs_an_include_or_redirect_somewhere(zone in zone()) {
        let mut blind = zone.clone();
        for node in blind.nodes.values_mut() {
            node.txt.retain(|text| {
                let text = String::from_utf8_lossy(text);
                !text.contains("spf.relay.example")
            });
        }
        let domain = DnsName::parse("a.example").unwrap();
        let identity = Identity { domain: &domain, local: "jane", helo: &domain };
        let requirement = Requirement::Include {
            relay: DnsName::parse("spf.relay.example").unwrap(),
            address: None,
        };
        let (said, _) = blind.assess(&requirement, &identity);
        prop_assert!(said.verdict.is_err());
    }
}
