//! `domain check`: what the world sees of a domain, and the records that are missing.

use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::Output;
use crate::cli::word;
use crate::manage::checkup::{CheckupView, Health, VisitView, word as word_for};
use crate::manage::domain;
use crate::model::domain::Domain;
use crate::model::user::DomainRecord;
use crate::standing::Criteria;
use crate::standing::checkup::{self, Checkup, Relay};

/// Looks at a domain, added or not.
pub fn run(
    host: &Host,
    output: &mut Output,
    name: &str,
    account: Option<&str>,
) -> Result<Exit, Failure> {
    let (domain, record) = domain::lookup(host.store()?.as_ref(), name, account)?;
    let (criteria, relay) = (host.config.criteria(), host.config.spf_relay());
    let checkup = ask(host, &domain, record.as_ref(), &criteria, &relay)?;
    let view = CheckupView::new(&domain, record.as_ref(), &checkup, &criteria, &relay);
    if output.is_json() {
        output.value(&view);
    } else {
        print(output, &view, &relay);
    }
    Ok(match view.health() {
        Health::Ok => Exit::Done,
        Health::Missing | Health::Wrong => Exit::Refused,
        Health::Unknown => Exit::Temporary,
    })
}

fn ask(
    host: &Host,
    domain: &Domain,
    record: Option<&DomainRecord>,
    criteria: &Criteria,
    relay: &Relay,
) -> Result<Checkup, Failure> {
    let pending = record.filter(|record| record.verified_by.is_none());
    let token = pending.map(|record| record.token.as_str());
    host.look_up(|known| checkup::look(criteria, relay, domain, token, known))
}

fn print(output: &mut Output, view: &CheckupView, relay: &Relay) {
    let rows: Vec<_> = view
        .checks
        .iter()
        .map(|check| {
            vec![
                check.check.to_owned(),
                word::of(&check.outcome),
                check.detail.clone(),
            ]
        })
        .collect();
    output.table(&["check", "outcome", "detail"], &rows);
    let met = |met: Option<bool>, requirement: &str| {
        let asked = relay
            .requirements
            .iter()
            .any(|r| word_for(r) == requirement);
        let unknown = if asked { "unknown" } else { "-" };
        met.map_or_else(|| unknown.to_owned(), word::yes_or_no)
    };
    let spf = &view.spf;
    output.text("", "");
    output.fields(&[
        ("SPF required", spf.required.to_owned()),
        ("includes relay", met(spf.include, "include")),
        ("passes", met(spf.pass, "pass")),
        ("way", spf.chain.clone()),
        (
            "look-ups",
            format!("{} of 10, {} of 2 found nothing", spf.lookups, spf.voids),
        ),
    ]);
    output.text("", "");
    let mut lines = Vec::new();
    tree(&spf.tree, 0, &mut lines);
    output.text("", &lines.join("\n"));
    let publish: Vec<_> = view
        .checks
        .iter()
        .filter_map(|check| check.publish.as_ref())
        .map(|record| {
            format!(
                "{}. {} {}",
                record.name,
                record.kind,
                strings(&record.value)
            )
        })
        .collect();
    if !publish.is_empty() {
        output.text("", "");
        output.text("", &format!("to publish:\n  {}", publish.join("\n  ")));
    }
}

/// A text as zone files have it: strings of at most 255 bytes in quotes (RFC 1035 3.3 and 5.1).
fn strings(text: &str) -> String {
    let mut strings = String::from("\"");
    for (number, letter) in text.chars().enumerate() {
        if number > 0 && number % 255 == 0 {
            strings.push_str("\" \"");
        }
        if matches!(letter, '"' | '\\') {
            strings.push('\\');
        }
        strings.push(letter);
    }
    strings.push('"');
    strings
}

/// The records, each below the term that leads to it.
fn tree(visit: &VisitView, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match (&visit.record, &visit.fault) {
        (Some(record), _) => lines.push(format!("{indent}{}: {record}", visit.name)),
        (None, None) => lines.push(format!("{indent}{}: no SPF record", visit.name)),
        (None, Some(_)) => lines.push(format!("{indent}{}:", visit.name)),
    }
    if let Some(fault) = &visit.fault {
        lines.push(format!("{indent}  {fault}"));
    }
    for term in &visit.terms {
        lines.push(format!("{indent}  {}: {}", term.term, term.outcome));
        if let Some(inside) = &term.inside {
            tree(inside, depth + 2, lines);
        }
    }
}
