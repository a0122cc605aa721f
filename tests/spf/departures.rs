//! The ten records that mail-auth alone reads otherwise than RFC 7208: what we say.

use std::net::IpAddr;

use outgate::model::dns::DnsName;
use outgate::spf::{Identity, Requirement, SpfResult, check_host};

use crate::zone::Zone;

/// The records of `a.example`, what our `check_host()` says of 192.0.2.1, and whether the
/// requirement *pass* is met.
const TABLE: &[(&[&str], SpfResult, bool)] = &[
    (
        &["v=spf1 ip4:192.0.2.1 -all", "v=spf1 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 foo:bar ip4:192.0.2.1 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 garbage:: -all", "v=spf1 ip4:192.0.2.1 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 ip4:999.0.0.1 ip4:192.0.2.1 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 ip4:192.0.2.1/33 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 a:1.no.example a:2.no.example a:3.no.example a:4.no.example ip4:192.0.2.1 -all"],
        SpfResult::PermError,
        false,
    ),
    (
        &["v=spf1 -include:passes.example +all"],
        SpfResult::Fail,
        false,
    ),
    (
        &["v=spf1 ?include:passes.example -all"],
        SpfResult::Neutral,
        false,
    ),
    // Here mail-auth by itself says *fail*: it takes an include that matches inside another for the
    // whole answer. Asked about one record at a time, it agrees.
    (
        &["v=spf1 include:negates.example ip4:192.0.2.1 -all"],
        SpfResult::Pass,
        true,
    ),
    (
        &["v=spf1 include:asks.example ip4:192.0.2.1 -all"],
        SpfResult::Pass,
        true,
    ),
    (
        &["v=spf1 ~include:deep.example redirect=passes.example"],
        SpfResult::Pass,
        true,
    ),
    (
        &["v=spf1 include:softens.example -all"],
        SpfResult::Fail,
        false,
    ),
    // What both read alike.
    (
        &["v=spf1 include:passes.example -all"],
        SpfResult::Pass,
        true,
    ),
];

#[test]
fn what_mail_auth_reads_otherwise() {
    let ip: IpAddr = "192.0.2.1".parse().unwrap();
    for (records, result, passes) in TABLE {
        let mut zone = Zone::default();
        for record in *records {
            zone.txt("a.example", record);
        }
        zone.txt("passes.example", "v=spf1 ip4:192.0.2.1 -all");
        zone.txt("negates.example", "v=spf1 -include:passes.example +all");
        zone.txt("asks.example", "v=spf1 ?include:passes.example +all");
        zone.txt("deep.example", "v=spf1 include:negates.example ~all");
        zone.txt("softens.example", "v=spf1 ~include:passes.example -all");
        let domain = DnsName::parse("a.example").unwrap();
        let identity = Identity {
            domain: &domain,
            local: "jane",
            helo: &domain,
        };
        let (checked, _) = zone.gather(|known| check_host(ip, &identity, known));
        assert_eq!(checked.result, *result, "{records:?}");
        let requirement = Requirement::Pass {
            egress: vec![ip.into()],
        };
        let (assessment, _) = zone.assess(&requirement, &identity);
        assert_eq!(assessment.verdict.is_ok(), *passes, "{records:?}");
    }
}
