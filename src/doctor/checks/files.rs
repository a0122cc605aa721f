//! Files that not everybody should read or write.

use crate::doctor::facts::{Daemon, Facts, File, Purpose};
use crate::doctor::finding::Finding;
use crate::doctor::postfix::quoted;

pub fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    findings.extend(facts.host.files.iter().filter_map(mode));
    findings.extend(owner(facts));
}

fn mode(file: &File) -> Option<Finding> {
    let mode = file.rights.mode;
    let (forbidden, why) = match file.purpose {
        Purpose::Store => (0o077, "it holds the password hashes"),
        Purpose::Log => (0o077, "it holds who sent to the world, when and from where"),
        Purpose::Control => (
            0o077,
            "whoever reaches it can unlock users who are being guessed at",
        ),
        Purpose::StoreDirectory => (
            0o022,
            "whoever may write there can put another store in its place",
        ),
        Purpose::Configuration => (0o022, "whoever may write it decides who may send"),
    };
    let path = file.path.display().to_string();
    let right = mode & !forbidden & 0o777;
    (mode & forbidden != 0).then(|| {
        Finding::problem(
            "file-mode",
            format!("{path} has mode {:04o}", mode & 0o7777),
            why,
            format!("chmod {right:04o} {}", quoted(&path)),
        )
    })
}

/// Files of the store that belong to somebody else than the daemon.
fn owner(facts: &Facts) -> Option<Finding> {
    let Daemon::Running(running) = &facts.host.daemon else {
        return None;
    };
    let daemon = running.uid.filter(|uid| *uid != 0)?;
    let written = [Purpose::Store, Purpose::Log];
    let foreign = |file: &&File| written.contains(&file.purpose) && file.rights.uid != daemon;
    let file = facts.host.files.iter().find(foreign)?;
    let path = file.path.display().to_string();
    Some(Finding::problem(
        "file-owner",
        format!(
            "{path} belongs to user {}, and the daemon runs as {daemon}",
            file.rights.uid
        ),
        match file.purpose {
            Purpose::Log => "the daemon cannot write it: decisions are not kept",
            Purpose::Store
            | Purpose::StoreDirectory
            | Purpose::Configuration
            | Purpose::Control => {
                "the daemon cannot write it: nothing can be charged, and mail is put off"
            }
        },
        format!("chown {daemon} {}", quoted(&path)),
    ))
}
