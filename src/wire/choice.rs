//! Which services of master.cf are to ask outgate.

use super::failed::Failed;
use super::plan::Wish;
use crate::doctor::wiring::{Door, LISTS};

/// Names and numbers of one port.
const PORTS: [(&str, &[&str]); 2] = [
    ("submission", &["submission", "587"]),
    ("submissions", &["submissions", "smtps", "ssmtp", "465"]),
];

/// Whether the name is one of the port whose clients begin with TLS (RFC 8314).
pub fn is_wrapped(name: &str) -> bool {
    PORTS
        .iter()
        .any(|(port, names)| *port == "submissions" && names.contains(&name))
}

/// Services that are there, and services to make.
pub struct Chosen {
    /// By id.
    pub there: Vec<String>,
    /// By name.
    pub made: Vec<String>,
}

/// Whether a login opens nothing here: whoever is not let in for where he comes from is refused. So a content
/// filter hands mail back, and programs of a panel send.
pub fn is_for_networks(door: &Door<'_>) -> bool {
    let keeps_out = |list: &str| {
        let steps = door.steps(list);
        let word = |word: &str| steps.iter().any(|step| step.word() == word);
        let ends = steps.last().is_some_and(|step| step.word() == "reject");
        ends && word("permit_mynetworks") && !word("permit_sasl_authenticated")
    };
    !door.is_submission() && LISTS.into_iter().any(keeps_out)
}

/// Those that are named, else those for people who log in; two new ones where there are none.
pub fn choose(doors: &[Door<'_>], wish: &Wish) -> Result<Chosen, Failed> {
    let mut chosen = Chosen {
        there: Vec::new(),
        made: Vec::new(),
    };
    if wish.services.is_empty() {
        let local = |door: &Door<'_>| door.service.is_local();
        let for_logins = |door: &&Door<'_>| {
            !door.is_mail_exchange()
                && (door.is_submission()
                    || (door.has_logins() && !local(door) && !is_for_networks(door)))
        };
        let found = doors.iter().filter(for_logins);
        chosen.there = found.map(|door| door.service.id()).collect();
        if chosen.there.is_empty() {
            chosen.made = PORTS.map(|(name, _)| name.to_owned()).to_vec();
        }
    }
    for wanted in &wish.services {
        let alias = PORTS
            .iter()
            .find(|(_, names)| names.contains(&wanted.as_str()));
        let same = |door: &&Door<'_>| {
            door.service.name == *wanted
                || alias.is_some_and(|(_, names)| names.contains(&door.service.port()))
        };
        let found: Vec<_> = doors.iter().filter(same).collect();
        if found.iter().any(|door| door.is_mail_exchange()) {
            return Err(Failed::refused(
                format!("{wanted} is where mail from the outside comes in, without a login"),
                "name a service for people who log in: --service submission",
            ));
        }
        match (found.is_empty(), alias) {
            (false, _) => chosen
                .there
                .extend(found.iter().map(|door| door.service.id())),
            (true, Some(_)) => chosen.made.push(wanted.clone()),
            (true, None) => return Err(no_service(wanted, doors)),
        }
    }
    for list in [&mut chosen.there, &mut chosen.made] {
        list.sort();
        list.dedup();
    }
    Ok(chosen)
}

fn no_service(wanted: &str, doors: &[Door<'_>]) -> Failed {
    let names: Vec<_> = doors
        .iter()
        .map(|door| door.service.name.as_str())
        .collect();
    Failed::refused(
        format!(
            "master.cf has no smtpd service {wanted}; it has {}",
            names.join(", ")
        ),
        "submission (587) and submissions (465) are made where they are missing; others are not",
    )
}
