//! Whether outgate takes as many connections as Postfix makes.

use super::Wired;
use crate::doctor::facts::Daemon;
use crate::doctor::finding::Finding;

/// Files that the daemon has open beside connections.
const OTHER_FILES: u64 = 100;

pub fn check(wired: &Wired<'_>, findings: &mut Vec<Finding>) {
    findings.extend(unlimited(wired));
    findings.extend(sessions(wired));
    findings.extend(open_files(wired));
}

/// Processes of the services that ask outgate, and how many connections each makes.
fn processes(wired: &Wired<'_>) -> Option<(u64, u64)> {
    let (mut milter, mut all) = (0, 0);
    for door in wired
        .doors
        .iter()
        .filter(|door| door.asked().next().is_some())
    {
        let limit = u64::from(door.service.limit?);
        let mut servers: Vec<_> = door.asked().map(|(_, ask)| &ask.server.text).collect();
        servers.sort();
        servers.dedup();
        milter += limit * u64::from(!door.milters.is_empty());
        all += limit * servers.len() as u64;
    }
    Some((milter, all))
}

fn unlimited(wired: &Wired<'_>) -> Option<Finding> {
    let asks = |door: &&super::Door<'_>| !door.milters.is_empty();
    let mut doors = wired.doors.iter().filter(asks);
    let door = doors.find(|door| door.service.limit.is_none())?;
    let most = wired.facts.config.milter.max_connections;
    let finding = Finding::advice(
        "process-limits",
        "the service has no limit of processes (0 in the maxproc column)",
        format!(
            "outgate takes {most} milter sessions; clients beyond see no banner until one of them ends"
        ),
        format!(
            "{} -F {}/process_limit=500\n{}",
            wired.postfix.postconf(),
            door.service.id(),
            wired.postfix.reload()
        ),
    );
    Some(finding.of(&door.service.name))
}

fn sessions(wired: &Wired<'_>) -> Option<Finding> {
    let (milter, _) = processes(wired)?;
    let most = u64::from(wired.facts.config.milter.max_connections.get());
    (milter > most).then(|| {
        Finding::problem(
            "process-limits",
            format!("Postfix may run {milter} smtpd processes with outgate's milter, and milter.max-connections is {most}"),
            "clients beyond see no banner until a session ends",
            format!(
                "in {}, below [milter]: max-connections = {milter}\nsystemctl restart outgate",
                wired.facts.config_file.display()
            ),
        )
    })
}

fn open_files(wired: &Wired<'_>) -> Option<Finding> {
    let Daemon::Running(running) = &wired.facts.host.daemon else {
        return None;
    };
    let (_, connections) = processes(wired)?;
    let (limit, needed) = (running.open_files?, connections + OTHER_FILES);
    (limit < needed).then(|| {
        Finding::problem(
            "open-files",
            format!(
                "Postfix may open {connections} connections, and the daemon may open {limit} files"
            ),
            "connections beyond are not taken: logins fail and mail is put off",
            format!(
                "systemctl edit outgate, below [Service]: LimitNOFILE={}",
                needed.next_power_of_two()
            ),
        )
    })
}
