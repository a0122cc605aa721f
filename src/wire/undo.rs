//! The way back, where somebody has edited the files since. Pure.

use super::edit::{Edit, Spot};
use super::failed::Failed;
use super::record::Record;
use crate::doctor::postfix::Postfix;
use crate::doctor::wiring::{DATA, MILTERS};

/// The options that lead to outgate.
const WAYS: [&str; 4] = [
    "smtpd_sasl_path",
    MILTERS,
    "smtpd_sender_restrictions",
    DATA,
];

/// The edits that take outgate's changes back, and only those. An error names each place where
/// something else stands than outgate wrote.
pub fn back(record: &Record, now: &Postfix, copies: &str) -> Result<Vec<Edit>, Failed> {
    let (mut edits, mut strange) = (Vec::new(), Vec::new());
    for edit in record.edits.iter().rev() {
        let value = edit.spot.value(now);
        let is_gone = |service: &str| now.service(service).is_none();
        if value == edit.after {
            edits.push(edit.reversed());
        } else if value != edit.before && !edit.spot.service().is_some_and(is_gone) {
            let shown = |value: &Option<String>| match value {
                Some(value) => format!("{value:?}"),
                None => "nothing".to_owned(),
            };
            strange.push(format!(
                "{} is {}, where outgate wrote {} over {}",
                edit.spot,
                shown(&value),
                shown(&edit.after),
                shown(&edit.before)
            ));
        }
    }
    strange.extend(moved(record, now));
    if strange.is_empty() {
        return Ok(edits);
    }
    Err(Failed::refused(
        format!(
            "somebody has changed what outgate wrote, so that it cannot be taken back by itself: {}",
            strange.join("; ")
        ),
        format!(
            "put these back by hand, or take main.cf and master.cf from {copies}, where they are as they were before"
        ),
    ))
}

/// What outgate wrote in a service that is gone, and what stands in another one now: somebody gave the service
/// another name, and it asks outgate still.
fn moved(record: &Record, now: &Postfix) -> Vec<String> {
    let mut found = Vec::new();
    let is_gone = |edit: &&Edit| {
        let service = edit.spot.service();
        service.is_some_and(|service| now.service(service).is_none())
    };
    for service in &now.services {
        let id = service.id();
        let is_known = |edit: &Edit| edit.spot.service() == Some(id.as_str());
        if record.edits.iter().any(is_known) {
            continue;
        }
        let leads = |(name, value): &(&String, &String)| {
            let asks = !name.ends_with("_restrictions") || value.contains("check_policy_service");
            WAYS.contains(&name.as_str()) && !value.is_empty() && asks
        };
        for (name, value) in service.options.iter().filter(leads) {
            let wrote = |edit: &&Edit| match &edit.spot {
                Spot::Option { name: wrote, .. } => {
                    wrote == name && edit.after.as_ref() == Some(value)
                }
                Spot::Service { .. } => {
                    let line = edit.after.as_deref().unwrap_or_default();
                    let value: Vec<_> = value.split_whitespace().collect();
                    line.contains(&format!("{name}={}", value.join(" ")))
                }
                Spot::Main { .. } | Spot::Chroot { .. } => false,
            };
            let mut gone = record.edits.iter().filter(is_gone).filter(wrote);
            if let Some(edit) = gone.next() {
                let was = edit.spot.service().unwrap_or_default();
                found.push(format!(
                    "{name} of {id} in master.cf is {value:?}, which outgate wrote in {was}"
                ));
            }
        }
    }
    found
}
