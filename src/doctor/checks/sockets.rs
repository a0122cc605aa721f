//! The sockets in the file system: there, served, and open to Postfix alone.

use std::path::Path;

use crate::doctor::facts::{Daemon, Facts, Identity, Rights, Socket, SocketState};
use crate::doctor::finding::Finding;

pub fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    let runs = matches!(facts.host.daemon, Daemon::Running(_) | Daemon::Silent(_));
    let (mut gone, mut closed, mut open) = (Vec::new(), Vec::new(), Vec::new());
    for socket in &facts.host.sockets {
        match &socket.found {
            // Without a daemon, that is said already.
            SocketState::Missing if runs => {
                gone.push(format!("{} is missing", shown(&socket.path)))
            }
            SocketState::Other => gone.push(format!("{} is no socket", shown(&socket.path))),
            SocketState::Missing | SocketState::Hidden => {}
            SocketState::There {
                rights,
                way,
                served,
            } => {
                if *served == Some(false) && runs {
                    gone.push(format!("nobody listens at {}", shown(&socket.path)));
                }
                let user = facts.host.postfix_user.as_ref();
                closed.extend(user.and_then(|user| obstacle(socket, rights, way, user)));
                open.extend(openness(socket, rights, way));
            }
        }
    }
    for list in [&mut closed, &mut open] {
        list.sort();
        list.dedup();
    }
    findings.extend(missing(&gone));
    findings.extend(kept_out(facts, &closed));
    findings.extend(too_open(facts, &open));
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// What keeps Postfix from connecting.
fn obstacle(
    socket: &Socket,
    rights: &Rights,
    way: &[(std::path::PathBuf, Rights)],
    user: &Identity,
) -> Option<String> {
    if let Some((path, rights)) = way.iter().find(|(_, rights)| !rights.allow(user, 1)) {
        return Some(format!("{} ({})", shown(path), described(rights)));
    }
    (!rights.allow(user, 2)).then(|| format!("{} ({})", shown(&socket.path), described(rights)))
}

/// What lets others connect, or take the socket's place.
fn openness(
    socket: &Socket,
    rights: &Rights,
    way: &[(std::path::PathBuf, Rights)],
) -> Option<String> {
    let stranger = Identity {
        name: String::new(),
        uid: u32::MAX,
        gids: Vec::new(),
    };
    let gets_there = way.iter().all(|(_, rights)| rights.allow(&stranger, 1));
    if !gets_there {
        return None;
    }
    let directory = way.last().filter(|(_, rights)| rights.allow(&stranger, 2));
    if let Some((path, rights)) = directory {
        return Some(format!("{} ({})", shown(path), described(rights)));
    }
    let connects = rights.allow(&stranger, 2);
    connects.then(|| format!("{} ({})", shown(&socket.path), described(rights)))
}

fn described(rights: &Rights) -> String {
    format!(
        "owner {}, group {}, mode {:04o}",
        rights.uid, rights.gid, rights.mode
    )
}

fn missing(gone: &[String]) -> Option<Finding> {
    (!gone.is_empty()).then(|| {
        Finding::problem(
            "socket-missing",
            gone.join("; "),
            "Postfix finds nobody there: smtpd ends without the auth socket, mail is put off without the others",
            "systemctl restart outgate",
        )
    })
}

fn kept_out(facts: &Facts, closed: &[String]) -> Option<Finding> {
    let user = &facts.host.postfix_user.as_ref()?.name;
    (!closed.is_empty()).then(|| {
        Finding::problem(
            "socket-owner",
            format!("user {user} may not pass {}", closed.join("; ")),
            "Postfix cannot connect: smtpd ends without the auth socket, mail is put off without the others",
            rights_fix(facts),
        )
    })
}

fn too_open(facts: &Facts, open: &[String]) -> Option<Finding> {
    (!open.is_empty()).then(|| {
        Finding::problem(
            "socket-open",
            format!("open to every user of this host: {}", open.join("; ")),
            "whoever connects can guess passwords without a delay, or use up the quotas of others; whoever may \
             write to the directory can put a socket of theirs in its place",
            rights_fix(facts),
        )
    })
}

fn rights_fix(facts: &Facts) -> String {
    let user = facts.host.postfix_user.as_ref();
    let group = user.map_or("postfix", |user| user.name.as_str());
    let mut lines = Vec::new();
    let mut directories: Vec<_> = facts
        .host
        .sockets
        .iter()
        .filter_map(|s| s.path.parent())
        .collect();
    directories.dedup();
    for directory in directories {
        let directory = shown(directory);
        lines.push(format!(
            "chgrp {group} {directory} && chmod 2750 {directory}"
        ));
    }
    let file = facts.config_file.display();
    lines.push(format!("in {file}, below [listen]: socket-mode = \"0660\""));
    lines.push("systemctl restart outgate".to_owned());
    lines.join("\n")
}
