//! `domain verify`: looks for the challenge record, and verifies the claim if it is there.

use crate::cli::failure::{Exit, Failure};
use crate::cli::host::Host;
use crate::cli::output::Output;
use crate::manage::domain;
use crate::manage::view::{ChallengeView, DomainView};
use crate::model::user::DomainRecord;
use crate::standing::challenge::{self, Found};

/// Verifies the claim of an account.
pub fn run(
    host: &Host,
    output: &mut Output,
    name: &str,
    account: Option<&str>,
) -> Result<Exit, Failure> {
    let store = host.store()?;
    let claim = domain::claim(store.as_ref(), name, account)?;
    if claim.verified_by.is_some() {
        output.say("note", "verified already");
        output.show(&DomainView::from(&claim));
        return Ok(Exit::Done);
    }
    prove(host, &claim)?;
    let record = domain::verify(store.as_ref(), &claim)?;
    host.changed(output, &DomainView::from(&record))
}

/// Asks DNS for the record.
fn prove(host: &Host, claim: &DomainRecord) -> Result<(), Failure> {
    let found = host.look_up(|known| challenge::look(&claim.domain, &claim.token, known))?;
    let ChallengeView { name, kind, value } = ChallengeView::from(claim);
    let wanted = format!("publish {name}. {kind} \"{value}\", then try again");
    let problem = match found {
        Ok(Found::Right) => return Ok(()),
        Ok(Found::Nothing) => format!("there is no {kind} record at {name}"),
        Ok(Found::Others {
            records,
            challenges: 0,
        }) => format!("none of the {kind} records at {name} ({records}) is the challenge"),
        Ok(Found::Others { .. }) => format!(
            "the challenge at {name} is another one: a token belongs to one account and domain"
        ),
        Err(outage) => {
            return Err(Failure::temporary(
                format!("{} is not verified: {outage}", claim.domain),
                "the same command may work later; who is asked: dns.servers, /etc/resolv.conf",
            ));
        }
    };
    Err(Failure::refused(
        format!("{} is not verified: {problem}", claim.domain),
        wanted,
    ))
}
