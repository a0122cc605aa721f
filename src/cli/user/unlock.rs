//! `user unlock`: the daemon forgets the wrong passwords that it has counted against a user.

use serde::Serialize;

use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::{Output, Shown};
use crate::control::{Outcome, Request};
use crate::manage::user;

/// A user against whom nothing is counted now.
#[derive(Serialize)]
struct Unlocked {
    name: String,
    unlocked: bool,
}

impl Shown for Unlocked {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("name", self.name.clone()), ("unlocked", "yes".to_owned())]
    }
}

/// Tells the daemon. Without one, nothing is counted anywhere.
pub fn run(name: &str, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
    let user = user::show(host.store()?.as_ref(), name)?.record.user;
    let request = Request::Unlock {
        user: user.id.to_string(),
    };
    match host.ask(&request) {
        Outcome::Done(_) => {}
        Outcome::NoDaemon => output.say(
            "note",
            "no daemon is running: wrong passwords are counted in its memory, so nothing was counted",
        ),
        Outcome::Late(why) => {
            return Err(Failure::temporary(
                format!("user {} may still be locked: the daemon did not answer ({why})", user.name),
                "see what ails it: outgate status",
            ));
        }
    }
    output.show(&Unlocked {
        name: user.name.to_string(),
        unlocked: true,
    });
    Ok(Exit::Done)
}
