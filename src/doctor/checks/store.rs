//! The store as a file.

use crate::doctor::facts::{Facts, StoreFacts};
use crate::doctor::finding::Finding;
use crate::store::Soundness;

pub fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let path = facts.config.store.url.path().display();
    findings.extend(match &facts.store {
        // That it was not seen is said elsewhere.
        StoreFacts::Hidden => None,
        StoreFacts::Missing => Some(Finding::problem(
            "store-missing",
            format!("there is no store at {path}"),
            "nobody can log in",
            "outgate user add NAME makes it, and so does the daemon; or set [store] url to where it is",
        )),
        StoreFacts::Unreadable(why) => Some(Finding::problem(
            "store-unreadable",
            why,
            "without its store outgate defers all mail",
            format!("see what ails it: sqlite3 {path} 'PRAGMA quick_check'"),
        )),
        StoreFacts::Older { found, known } => Some(Finding::problem(
            "store-older",
            format!("the store {path} has schema version {found}, and this program works with {known}"),
            "the daemon that is running is older than this program; commands that need the store wait for its restart",
            "systemctl restart outgate",
        )),
        StoreFacts::Read { soundness, .. } => match soundness {
            Soundness::Whole | Soundness::WholeSoFar => None,
            Soundness::Damaged(faults) => Some(damaged(facts, faults)),
        },
    });
}

fn damaged(facts: &Facts, faults: &[String]) -> Finding {
    let path = facts.config.store.url.path().display();
    Finding::problem(
        "store-damaged",
        format!("the store {path} is damaged: {}", faults.join("; ")),
        "answers may be wrong, or not come at all",
        format!(
            "put the last good copy in its place, or save what can be read:\nsystemctl stop outgate\n\
             sqlite3 {path} .recover | sqlite3 {path}.saved"
        ),
    )
}
