//! The way back, where somebody has edited the files since. Pure.

use super::edit::Edit;
use super::failed::Failed;
use super::record::Record;
use crate::doctor::postfix::Postfix;

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
