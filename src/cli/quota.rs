//! `quota`: what is used of the limits of users and accounts.

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::host::Host;
use super::operator;
use super::output::{List, Listed, Output};
use crate::manage::quota::{self, Cleared, QuotaState};
use crate::manage::view::HeldQuotaView;
use crate::store::ManageError;

/// `outgate quota …`
#[derive(Subcommand)]
pub enum Command {
    /// Show quotas and what is left of them; without a name, those of all users and accounts
    Show {
        /// A user (its name or a login), or account:NAME
        name: Option<String>,
    },
    /// Set what was used of all quotas of a user or an account to 0
    Reset(Target),
}

/// Whose.
#[derive(Args)]
pub struct Target {
    /// A user (its name or a login), or account:NAME
    name: String,
}

impl Command {
    /// Does it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        match self {
            Command::Show { name: None } => all(host, output),
            Command::Show { name: Some(name) } => {
                let state = quota::show(host.store()?.as_ref(), &name)?;
                show(&state, host, output);
                Ok(Exit::Done)
            }
            Command::Reset(target) => reset(&target.name, host, output),
        }
    }
}

/// One after the other: a million users need no more memory than one.
fn all(host: &Host, output: &mut Output) -> Result<Exit, Failure> {
    let store = host.store()?;
    let mut list = output.list();
    let mut left = false;
    let shown = quota::each(store.as_ref(), &mut |state| {
        left = !push(&mut list, &state, host);
        if left {
            // Nobody reads any more: this ends the search, and is no failure.
            return Err(ManageError::refused("", ""));
        }
        Ok(())
    });
    if !left {
        shown?;
        list.end("there is no quota; give one: outgate user set NAME --quota 1000/day");
    }
    Ok(Exit::Done)
}

fn reset(name: &str, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
    let by = operator::name();
    let store = host.store()?;
    let Cleared { state, counters } = quota::reset(store.as_ref(), name, &by, host.clock.now())?;
    show(&state, host, output);
    let holder = &state.holder;
    match (counters, state.quotas.is_empty()) {
        (0, true) => output.say("note", &format!("nothing is counted for {holder}")),
        (0, false) => output.say("note", &format!("nothing was used by {holder}")),
        (_, _) => {}
    }
    host.confirm()
}

fn show(state: &QuotaState, host: &Host, output: &mut Output) {
    let mut list = output.list();
    push(&mut list, state, host);
    list.end(&format!("{} has no quota", state.holder));
}

/// False: nobody reads any more.
fn push(list: &mut List<'_, HeldQuotaView>, state: &QuotaState, host: &Host) -> bool {
    HeldQuotaView::all(state, host.clock.now(), host.time_zone())
        .iter()
        .all(|quota| list.push(quota))
}

impl Listed for HeldQuotaView {
    const HEAD: &'static [&'static str] = &[
        "subject",
        "quota",
        "used",
        "remaining",
        "resets",
        "last reset",
    ];

    fn row(&self) -> Vec<String> {
        let HeldQuotaView {
            subject,
            quota,
            reset_at,
            reset_by,
        } = self;
        let (limit, window, unit) = (quota.limit, quota.window, quota.unit);
        vec![
            subject.clone(),
            format!("{limit}/{window} {unit}"),
            quota.used.to_string(),
            quota
                .remaining
                .map_or_else(|| "no limit".to_owned(), |left| left.to_string()),
            quota
                .resets_at
                .map_or_else(|| "by hand".to_owned(), |time| time.to_string()),
            match (reset_at, reset_by) {
                (Some(time), Some(by)) => format!("{time} by {by}"),
                (_, _) => "never".to_owned(),
            },
        ]
    }
}
