//! viaspf as an oracle: the same `check_host()` on the suite and on random zones.

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::catch_unwind;
use std::pin::Pin;

use futures_util::FutureExt;
use outgate::model::dns::{Answer, DnsName, Kind, Query, Records};
use proptest::prelude::*;
use viaspf::lookup::{Lookup, LookupError, LookupResult, Name};
use viaspf::{Config, DomainName, Sender, SpfResult, evaluate_sender};

use crate::suite::{Case, ours, suite};
use crate::zone::Zone;

/// Cases of the suite on which we and viaspf differ on purpose, what viaspf says, and why.
const DEPARTURES: &[(&str, &str, &str)] = &[
    ("a-cidr4-0", "panic", ALL_BITS),
    ("a-cidr6-0-ip6", "panic", ALL_BITS),
    ("mx-cidr4-0", "panic", ALL_BITS),
    ("mx-cidr6-0-ip6", "panic", ALL_BITS),
    ("cidr4-0", "panic", ALL_BITS),
    ("cidr6-0", "panic", ALL_BITS),
    (
        "exp-only-macro-char",
        "fail",
        "viaspf finds a text macro in the name of an exp= when it expands it, not when it reads it",
    ),
    (
        "dorky-sentinel",
        "none",
        "viaspf takes no local part with a space that is not quoted",
    ),
];

const ALL_BITS: &str = "viaspf shifts by the whole width of an address at /0";

type Answering<'x, T> = Pin<Box<dyn Future<Output = LookupResult<T>> + Send + 'x>>;

impl Zone {
    fn records(&self, name: &Name, kind: Kind) -> LookupResult<Records> {
        // A name that we cannot ask about has nothing.
        let name = DnsName::parse(name.as_str()).map_err(|_| LookupError::NoRecords)?;
        match self.answer(&Query { name, kind }) {
            Answer::Records(records) => Ok(records),
            Answer::NoData | Answer::NoName => Err(LookupError::NoRecords),
            Answer::Trouble(_) => Err(LookupError::Timeout),
        }
    }
}

fn now<'x, T: Send + 'x>(said: LookupResult<T>) -> Answering<'x, T> {
    Box::pin(std::future::ready(said))
}

/// The methods have the signatures that `async_trait` gives them.
impl Lookup for Zone {
    fn lookup_a<'lookup, 'a, 'x>(&'lookup self, name: &'a Name) -> Answering<'x, Vec<Ipv4Addr>>
    where
        'lookup: 'x,
        'a: 'x,
        Self: 'x,
    {
        now(self.records(name, Kind::A).map(|records| match records {
            Records::A(found) => found,
            _ => Vec::new(),
        }))
    }

    fn lookup_aaaa<'lookup, 'a, 'x>(&'lookup self, name: &'a Name) -> Answering<'x, Vec<Ipv6Addr>>
    where
        'lookup: 'x,
        'a: 'x,
        Self: 'x,
    {
        now(self.records(name, Kind::Aaaa).map(|records| match records {
            Records::Aaaa(found) => found,
            _ => Vec::new(),
        }))
    }

    fn lookup_mx<'lookup, 'a, 'x>(&'lookup self, name: &'a Name) -> Answering<'x, Vec<Name>>
    where
        'lookup: 'x,
        'a: 'x,
        Self: 'x,
    {
        now(self.records(name, Kind::Mx).map(|records| match records {
            Records::Mx(found) => {
                let mut found = found.hosts().to_vec();
                found.sort();
                found
                    .iter()
                    .map(|(_, host)| Name::new(host.as_str()).unwrap())
                    .collect()
            }
            _ => Vec::new(),
        }))
    }

    fn lookup_txt<'lookup, 'a, 'x>(&'lookup self, name: &'a Name) -> Answering<'x, Vec<String>>
    where
        'lookup: 'x,
        'a: 'x,
        Self: 'x,
    {
        now(self.records(name, Kind::Txt).map(|records| match records {
            Records::Txt(found) => found
                .iter()
                .map(|text| String::from_utf8_lossy(text).into_owned())
                .collect(),
            _ => Vec::new(),
        }))
    }

    fn lookup_ptr<'lookup, 'x>(&'lookup self, _: IpAddr) -> Answering<'x, Vec<Name>>
    where
        'lookup: 'x,
        Self: 'x,
    {
        // As for us, no address points back to a name; but without counting as a void.
        now(Err(LookupError::Timeout))
    }
}

fn theirs(zone: &Zone, case: &Case) -> String {
    let Ok(sender) = Sender::new(&format!("{}@{}", case.local, case.domain)) else {
        return "none".to_owned();
    };
    let helo = DomainName::new(&case.helo).ok();
    let asked = catch_unwind(|| {
        let config = Config::default();
        evaluate_sender(zone, &config, case.ip, &sender, helo.as_ref())
            .now_or_never()
            .unwrap()
    });
    let Ok(said) = asked else {
        return "panic".to_owned();
    };
    match said.spf_result {
        SpfResult::None => "none",
        SpfResult::Neutral => "neutral",
        SpfResult::Pass => "pass",
        SpfResult::Fail(_) => "fail",
        SpfResult::Softfail => "softfail",
        SpfResult::Temperror => "temperror",
        SpfResult::Permerror => "permerror",
    }
    .to_owned()
}

#[test]
fn the_oracle_says_the_same_of_the_suite() {
    let mut faults = Vec::new();
    let mut departed = 0;
    for (zone, cases) in suite() {
        for case in cases {
            let (ours, theirs) = (ours(&zone, &case), theirs(&zone, &case));
            match DEPARTURES.iter().find(|(name, _, _)| *name == case.name) {
                Some((_, meant, _)) if theirs == *meant && ours != theirs => departed += 1,
                None if ours == theirs => {}
                _ => faults.push(format!("{}: {ours}, viaspf {theirs}", case.name)),
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(departed, DEPARTURES.len());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_oracle_says_the_same_of_random_zones(
        zone in crate::properties::zone(),
        ip in crate::properties::address(),
    ) {
        let case = Case {
            name: "random".to_owned(),
            ip,
            helo: "mail.relay.example".to_owned(),
            local: "jane".to_owned(),
            domain: "a.example".to_owned(),
            expected: Vec::new(),
        };
        let (ours, theirs) = (ours(&zone, &case), theirs(&zone, &case));
        // viaspf counts every exchanger without an address; RFC 7208 4.6.4 counts terms.
        if theirs == "permerror" && has_dead_exchanger(&zone, ip) {
            return Ok(());
        }
        prop_assert_eq!(ours, theirs);
    }
}

fn has_dead_exchanger(zone: &Zone, ip: IpAddr) -> bool {
    let kind = if ip.is_ipv4() { Kind::A } else { Kind::Aaaa };
    let dead = |host: &DnsName| {
        let query = Query {
            name: host.clone(),
            kind,
        };
        !matches!(zone.answer(&query), Answer::Records(_))
    };
    let mut hosts = zone.nodes.values().flat_map(|node| &node.mx);
    hosts.any(|(_, host)| dead(host))
}
