//! A decision of the past: its line in the log, and what would be answered to the same today.

use std::thread;
use std::time::Duration;

use super::line;
use super::{Answer, Case, Expert, Options};
use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::Output;
use crate::decision::facts::Stage;
use crate::decision::reason::Reason;
use crate::model::decision_id::{DecisionId, NotAnId};
use crate::store::log::{self, Batch};

/// How long a line may be on its way into the log.
const ON_ITS_WAY: Duration = Duration::from_secs(1);
/// How soon to look again.
const AGAIN: Duration = Duration::from_millis(10);

/// Finds the decision and explains it.
pub fn explain(
    id: &str,
    options: &Options,
    host: &Host,
    expert: &Expert,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let id = within(id).ok_or_else(|| {
        Failure::refused(
            format!("{id:?} is not the id of a decision: {NotAnId}"),
            "take it from the log (id=…, or outgate log), or from behind the link of a reply; \
             to explain a message: outgate explain --user LOGIN …",
        )
    })?;
    let found = find(id, host)?;
    let Some(entry) = found.iter().next() else {
        return Err(unknown(id, host));
    };
    let found = line::logged(&entry);
    let nobody = found.login.as_deref() == Some("") && options.user.is_none();
    let (answer, header_judged) = match Case::new(options, found)? {
        Some(case) if !nobody => (expert.answer(&case)?, case.header_from.is_some()),
        Some(_) | None => (Answer::given(&entry), false),
    };
    let names_unknown =
        host.config.rules().refuse_display_name_addresses && options.header_from.is_empty();
    let unjudged = if entry.stage == Stage::Auth.id() {
        Some("a password is never logged: it was not judged again")
    } else if entry.reason == Reason::HeaderFromMalformed.id() && !header_judged {
        Some("a header From that cannot be read is not logged: it was not judged again")
    } else if entry.reason == Reason::HeaderFromNotAllowed.id() && names_unknown {
        Some("display names are not logged: they were not judged again")
    } else {
        None
    };
    Ok(answer.print_decision(&entry, unjudged, output))
}

/// Looks for its line, which may have been handed over just now: some moments more than once.
fn find(id: DecisionId, host: &Host) -> Result<Batch, Failure> {
    let mut reader = log::reader(&host.config.store.url);
    let deadline = host.clock.instant() + ON_ITS_WAY;
    loop {
        let found = reader.find(id)?;
        let age = host.clock.now().as_microsecond().saturating_sub(id.number);
        let is_new = u128::from(age.unsigned_abs()) < ON_ITS_WAY.as_micros();
        if !found.is_empty() || !is_new || host.clock.instant() >= deadline {
            return Ok(found);
        }
        thread::sleep(AGAIN);
    }
}

/// The id in what people pass on: alone, in the link of a reply, with what stood around it.
fn within(text: &str) -> Option<DecisionId> {
    let foreign = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    text.rsplit(foreign).find_map(|word| word.parse().ok())
}

/// The id says when that would have been.
fn unknown(id: DecisionId, host: &Host) -> Failure {
    let days = host.config.log.keep.0.as_secs() / (24 * 3600);
    let made = jiff::Timestamp::from_microsecond(id.number);
    let hint = match made {
        _ if days == 0 => "the log keeps little or nothing: see log.keep".to_owned(),
        Ok(time) => format!(
            "it would have been made at {time:.0}; lines are kept for {days} days (log.keep), and \
             written within a second: check the id and the host"
        ),
        Err(_) => "no host of ours has made it: check the id".to_owned(),
    };
    Failure::refused(format!("no decision {id} is in the log"), hint)
}
