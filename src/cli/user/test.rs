//! `user test`: would this login work, and if not, why. Nothing is counted, logged or kept.

use clap::Args;

use super::password;
use crate::auth::hash;
use crate::cli::explain::{self, Answer, Expert, Situation};
use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::Output;
use crate::config::EnforcementMode;
use crate::decision::login::{Attempt, Password, judge_login};
use crate::decision::step::{Detail, Outcome, Rule};
use crate::decision::{Decision, step::Step};
use crate::engine::Engine;
use crate::model::password::Secret;
use crate::model::user::SharedUser;
use crate::store::StoreError;

/// `outgate user test …`
#[derive(Args)]
pub struct Options {
    /// The user, by its name or one of its extra logins
    name: String,
    /// The client's address; without it the IP list is not judged
    #[arg(long, value_name = "ADDR")]
    ip: Option<String>,
    /// Read the password from standard input (one line); without it the password is not judged
    #[arg(long)]
    password_stdin: bool,
}

impl Options {
    /// Judges the login and prints what comes of it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let client = self.ip.as_deref().map(explain::client).transpose()?;
        let secret = if self.password_stdin {
            Some(password::from_stdin()?)
        } else {
            None
        };
        let Expert {
            runtime,
            store,
            engine,
        } = Expert::new(host)?;
        let (user, password) = runtime.block_on(look_up(&engine, &self.name, secret.as_ref()))?;
        let attempt = Attempt {
            user,
            password,
            client,
            audit: host.config.enforcement.mode == EnforcementMode::Audit,
            now: host.clock.now(),
        };
        let mut decision = judge_login(&attempt);
        leave_throttle_open(&mut decision);
        let situation = Situation {
            login: &self.name,
            client,
            recipients: None,
        };
        let fix = explain::fix(&decision, &situation, store.as_ref())?;
        let wording = &engine.settings().wording;
        Ok(Answer::new(&decision, wording, &self.name, 0, fix).print(output))
    }
}

/// Who it is, and whether the password is right.
async fn look_up(
    engine: &Engine,
    login: &str,
    secret: Option<&Secret>,
) -> Result<(Option<SharedUser>, Password), Failure> {
    let user = engine.directory.user(login).await?;
    let (Some(user), Some(secret)) = (&user, secret) else {
        return Ok((user, secret.map_or(Password::NotGiven, |_| Password::Wrong)));
    };
    let stored = engine.directory.store().credential(user.id).await?;
    let credential = stored
        .ok_or_else(|| StoreError::Busy(format!("user {} was changed meanwhile", user.name)))?;
    let right = hash::verify(&credential.hash, secret.expose()).map_err(|error| {
        Failure::refused(
            format!("cannot check the password of user {}: {error}", user.name),
            format!("outgate user passwd {}", user.name),
        )
    })?;
    let password = if right {
        Password::Right
    } else {
        Password::Wrong
    };
    Ok((Some(user.clone()), password))
}

/// Wrong passwords are counted in the running daemon's memory: this command knows nothing of them.
fn leave_throttle_open(decision: &mut Decision) {
    for Step {
        rule,
        outcome,
        detail,
    } in &mut decision.steps
    {
        if *rule == Rule::Throttle {
            *outcome = Outcome::Skip;
            *detail = Detail::CountedElsewhere;
        }
    }
}
