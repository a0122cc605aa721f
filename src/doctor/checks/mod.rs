//! The checks: each looks at the facts for one fault, and says what mends it.
//!
//! Pure functions; one file a part of the host. `docs/src/reference/doctor.md` lists what they can find.

mod auth;
mod daemon;
mod files;
mod limits;
mod message;
mod milter;
mod people;
mod policy;
mod reach;
mod remedy;
mod services;
mod sockets;
mod store;

pub use message::has_nul;
pub use people::needs_dns;

use super::facts::{Facts, NoPostfix};
use super::finding::{Finding, joined};
use super::postfix::Postfix;
use super::wiring::{self, Door};

/// What the checks about Postfix look at.
struct Wired<'a> {
    facts: &'a Facts,
    postfix: &'a Postfix,
    doors: Vec<Door<'a>>,
}

impl<'a> Wired<'a> {
    /// The services that ask outgate about messages of people who have logged in.
    fn asking(&self) -> impl Iterator<Item = &Door<'a>> {
        let asks = |door: &&Door<'_>| door.asks() && door.has_logins() && !door.is_reentry();
        self.doors.iter().filter(asks)
    }

    /// Those of them that ask a milter.
    fn filtered(&self) -> impl Iterator<Item = &Door<'a>> {
        self.asking().filter(|door| !door.milters.is_empty())
    }
}

/// Everything that is wrong with a host: problems first, nothing twice.
pub fn examine(facts: &Facts) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wired = None;
    match &facts.postfix {
        Ok(postfix) => {
            let doors = wiring::doors(postfix, &facts.config);
            wired = Some(Wired {
                facts,
                postfix,
                doors,
            });
        }
        Err(why) => findings.push(no_postfix(why)),
    }
    if let Some(wired) = &wired {
        for check in [
            services::check,
            auth::check,
            policy::check,
            milter::check,
            message::check,
            reach::check,
            limits::check,
        ] {
            check(wired, &mut findings);
        }
    }
    for check in [daemon::check, sockets::check, files::check, store::check] {
        check(facts, &mut findings);
    }
    people::check(facts, wired.as_ref(), &mut findings);
    findings.extend(not_seen(facts));
    joined(findings)
}

fn no_postfix(why: &NoPostfix) -> Finding {
    let without = "nothing can be said about what Postfix asks outgate";
    match why {
        NoPostfix::NotInstalled => Finding::problem(
            "postfix-unreadable",
            "there is no postconf on this host",
            without,
            "install Postfix, or run this where Postfix is: apt install postfix",
        ),
        NoPostfix::Unreadable(words) => Finding::problem(
            "postfix-unreadable",
            format!("Postfix's configuration cannot be read: {words}"),
            without,
            "name its directory: outgate doctor --postfix DIR",
        ),
    }
}

fn not_seen(facts: &Facts) -> Option<Finding> {
    let (first, more) = facts.unseen.split_first()?;
    let words = std::iter::once(first).chain(more).cloned();
    Some(Finding::advice(
        "not-seen",
        format!("not looked at: {}", words.collect::<Vec<_>>().join("; ")),
        "what could not be looked at may be wrong",
        "sudo outgate doctor",
    ))
}
