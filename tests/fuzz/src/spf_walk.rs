//! SPF over any zone comes to an end, asks a bounded number of questions, and permits nothing on
//! account of a question that had no answer.

#[path = "../../spf/zone.rs"]
#[allow(dead_code, reason = "the tests of SPF use all of it")]
mod zone;

use std::net::IpAddr;

use outgate::model::dns::{DnsName, Kind, Trouble};
use outgate::spf::{Identity, Requirement, SpfResult, check_host, survey};

use zone::Zone;

/// The most questions of one evaluation: the domain's record, and ten terms with ten mail
/// exchangers and their addresses.
const MAX_QUESTIONS: usize = 111;

/// Input: `published`, `include`, `include ADDRESS` or `pass ADDRESS`, and below it a zone, whose
/// lines are `NAME KIND DATA`. What makes no sense is left out.
pub fn check(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut lines = text.lines();
    let requirement = requirement(lines.next().unwrap_or_default());
    let mut zone = Zone::default();
    for line in lines.take(64) {
        let _ = add(&mut zone, line);
    }
    let domain = DnsName::parse("a.example").unwrap();
    let helo = DnsName::parse("mail.relay.example").unwrap();
    let identity = Identity {
        domain: &domain,
        local: "jane",
        helo: &helo,
    };
    walk(&zone, &requirement, &identity);
    let (seen, asked) = zone.gather(|known| survey(&identity, known));
    assert!(asked.len() <= MAX_QUESTIONS);
    let _ = seen.tree.to_string();
}

fn walk(zone: &Zone, requirement: &Requirement, identity: &Identity<'_>) {
    let (said, asked) = zone.assess(requirement, identity);
    assert!(asked.len() <= MAX_QUESTIONS);
    for evaluation in &said.evaluations {
        assert!(evaluation.lookups <= 10 && evaluation.voids <= 3);
        let shown = evaluation.tree.to_string();
        assert!(
            shown
                .bytes()
                .all(|b| b == b'\n' || (b' '..=b'~').contains(&b))
        );
    }
    if said.verdict.is_err() {
        return;
    }
    if let Requirement::Pass { egress } = requirement {
        let (checked, _) = zone.gather(|known| check_host(egress[0].addr(), identity, known));
        assert_eq!(checked.result, SpfResult::Pass);
    }
    // Whatever was in trouble was not needed: nothing in its place changes what was said.
    let mut healed = zone.clone();
    for node in healed.nodes.values_mut() {
        node.trouble.clear();
        node.otherwise = None;
    }
    let (again, _) = healed.assess(requirement, identity);
    assert_eq!(again.verdict, Ok(()));
}

fn requirement(line: &str) -> Requirement {
    let (word, address) = line.split_once(' ').unwrap_or((line, ""));
    let address: Option<IpAddr> = address.parse().ok();
    match (word, address) {
        ("include", address) => Requirement::Include {
            relay: DnsName::parse("spf.relay.example").unwrap(),
            address,
        },
        ("pass", Some(address)) => Requirement::Pass {
            egress: vec![address.into()],
        },
        _ => Requirement::Published,
    }
}

/// Takes a line in; `None` if it says nothing.
fn add(zone: &mut Zone, line: &str) -> Option<()> {
    let (name, line) = line.split_once(' ')?;
    let (kind, data) = line.split_once(' ')?;
    let node = zone.nodes.entry(DnsName::parse(name).ok()?).or_default();
    match kind {
        "TXT" => node.txt.push(data.as_bytes().to_vec()),
        "MX" => {
            let (preference, host) = data.split_once(' ')?;
            if host == "." {
                node.null_mx = true;
                return Some(());
            }
            let host = DnsName::parse(host).ok()?;
            node.mx.push((preference.parse().ok()?, host));
        }
        "A" => node.a.push(data.parse().ok()?),
        "AAAA" => node.aaaa.push(data.parse().ok()?),
        "CNAME" => node.cname = DnsName::parse(data).ok(),
        "TROUBLE" => {
            let kind = match data {
                "TXT" => Kind::Txt,
                "MX" => Kind::Mx,
                "A" => Kind::A,
                "AAAA" => Kind::Aaaa,
                _ => {
                    node.otherwise = Some(Trouble::TimedOut);
                    return Some(());
                }
            };
            node.trouble.insert(kind, Trouble::ServFail);
        }
        _ => return None,
    }
    Some(())
}
