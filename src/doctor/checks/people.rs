//! Users and domains whose settings are perhaps not meant, and the DNS that they need.

use std::fmt::Display;

use super::Wired;
use crate::config::{LockdownApply, RequireSpf};
use crate::doctor::facts::{Facts, StoreFacts};
use crate::doctor::finding::Finding;
use crate::doctor::postfix::list::words;
use crate::manage::survey::{Sample, Survey};
use crate::spf::Requirement;

pub fn check(facts: &Facts, wired: Option<&Wired<'_>>, findings: &mut Vec<Finding>) {
    let survey = match &facts.store {
        StoreFacts::Read { survey, .. } => Some(survey),
        StoreFacts::Missing
        | StoreFacts::Hidden
        | StoreFacts::Older { .. }
        | StoreFacts::Unreadable(_) => None,
    };
    if let Some(survey) = survey {
        findings.extend(any_domain(facts, survey));
        findings.extend(one_family(wired, survey));
        findings.extend(unused(survey));
        findings.extend(pending(survey));
        findings.extend(wired.and_then(|wired| header_only(wired, survey)));
    }
    findings.extend(resolver(facts));
}

/// `3 users: a, b, c`
fn listed<T>(sample: &Sample<T>, show: impl Fn(&T) -> String) -> String {
    let names: Vec<_> = sample.first.iter().map(show).collect();
    let shown = names.len() as u64;
    let more = match sample.count.saturating_sub(shown) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", names.join(", "))
}

fn lines<T>(sample: &Sample<T>, line: impl Fn(&T) -> String) -> String {
    sample.first.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn text<T: Display>(item: &T) -> String {
    item.to_string()
}

fn any_domain(facts: &Facts, survey: &Survey) -> Option<Finding> {
    if survey.any_domain.count == 0 || facts.config.spf_requirement() != Requirement::Published {
        return None;
    }
    let chosen = match facts.config.any_domain.require_spf {
        RequireSpf::Published => "any-domain.require-spf = \"published\"",
        RequireSpf::Auto | RequireSpf::Include | RequireSpf::Pass => {
            "any-domain.require-spf comes to \"published\", because [relay] names neither egress nor spf-include"
        }
    };
    let file = facts.config_file.display();
    Some(Finding::problem(
        "any-domain-published",
        format!(
            "{chosen}, with users in mode any-domain: {}",
            listed(&survey.any_domain, text)
        ),
        "a domain that publishes any SPF record at all is taken for one that agrees: each of these users may \
         send as nearly every company there is",
        format!(
            "in {file}, below [relay]: egress = [\"the addresses that mail leaves from\"]\n\
             in {file}, below [any-domain]: require-spf = \"auto\"\nsystemctl reload outgate"
        ),
    ))
}

/// A family that Postfix does not speak is no way by which a client may come.
fn one_family(wired: Option<&Wired<'_>>, survey: &Survey) -> Option<Finding> {
    let protocols = wired.map_or("all".to_owned(), |w| w.postfix.value("inet_protocols"));
    let protocols = words(&protocols);
    let spoken = |family: &str| {
        let is = |word: &&str| {
            ["all", family]
                .iter()
                .any(|it| word.eq_ignore_ascii_case(it))
        };
        protocols.iter().any(is)
    };
    let lists: Vec<_> = [
        (&survey.ipv4_only, "IPv4", "IPv6"),
        (&survey.ipv6_only, "IPv6", "IPv4"),
    ]
    .into_iter()
    .filter(|(sample, _, other)| sample.count > 0 && spoken(other))
    .collect();
    let names = lists
        .iter()
        .map(|(sample, family, _)| listed(sample, |name| format!("{name} ({family})")));
    let fixes = lists.iter().map(|(sample, _, other)| {
        lines(sample, |name| {
            format!("outgate user set {name} --add-ip its-{other}-network")
        })
    });
    (!lists.is_empty()).then(|| {
        Finding::advice(
            "one-family",
            format!(
                "IP lists with addresses of one family only: {}",
                names.collect::<Vec<_>>().join(", ")
            ),
            "a client that has both families may come by the other one, and is refused",
            fixes.collect::<Vec<_>>().join("\n"),
        )
    })
}

fn unused(survey: &Survey) -> Option<Finding> {
    let sample = &survey.unused;
    (sample.count > 0).then(|| {
        Finding::advice(
            "unused-users",
            format!("not used for 90 days: {}", listed(sample, text)),
            "a password that nobody needs can only be stolen",
            format!(
                "outgate user list --unused-for 90d\n{}",
                lines(sample, |name| format!("outgate user suspend {name}"))
            ),
        )
    })
}

fn pending(survey: &Survey) -> Option<Finding> {
    let sample = &survey.granted;
    (sample.count > 0).then(|| {
        Finding::advice(
            "pending-grants",
            format!(
                "grants on domains that are not verified: {}",
                listed(sample, |p| format!("{} ({} users)", p.domain, p.users))
            ),
            "these grants do not count: mail from these domains is refused",
            lines(sample, |p| {
                format!("outgate domain verify {} --account {}", p.domain, p.account)
            }),
        )
    })
}

/// Only the header From is to be checked, where nobody sees it.
fn header_only(wired: &Wired<'_>, survey: &Survey) -> Option<Finding> {
    let sample = &survey.header_only;
    let blind: Vec<_> = wired
        .asking()
        .filter(|door| door.milters.is_empty())
        .map(|door| door.service.name.clone())
        .collect();
    (sample.count > 0 && !blind.is_empty()).then(|| Finding {
        services: blind,
        ..Finding::problem(
            "header-only",
            format!(
                "--check-from header, where no milter is asked: {}",
                listed(sample, text)
            ),
            "a policy server does not see the header From, so these users may send as anybody",
            lines(sample, |name| {
                format!("outgate user set {name} --check-from both")
            }),
        )
    })
}

/// Whether anybody asks name servers here: somebody has set them up, or a decision or a pending domain
/// needs them.
pub fn needs_dns(facts: &Facts) -> bool {
    let of_store = match &facts.store {
        StoreFacts::Read { survey, .. } => survey.any_domain.count > 0 || survey.pending > 0,
        StoreFacts::Missing
        | StoreFacts::Hidden
        | StoreFacts::Older { .. }
        | StoreFacts::Unreadable(_) => false,
    };
    let config = &facts.config;
    of_store || !config.dns.servers.is_empty() || config.lockdown.apply == LockdownApply::Always
}

fn resolver(facts: &Facts) -> Option<Finding> {
    let Some(Err(trouble)) = &facts.resolver else {
        return None;
    };
    let file = facts.config_file.display();
    Some(Finding::problem(
        "resolver",
        format!("name servers do not answer: {trouble}"),
        "users in mode any-domain are put off, and domains cannot be verified",
        format!(
            "name one that answers in {file}, below [dns]: servers = [\"127.0.0.1:53\"], or mend /etc/resolv.conf"
        ),
    ))
}
