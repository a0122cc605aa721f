//! The sockets in the file system: there, served, and open to Postfix alone.

use std::path::{Path, PathBuf};

use crate::doctor::facts::{Daemon, Facts, Identity, Rights, Socket, SocketState};
use crate::doctor::finding::Finding;

/// The bit that keeps what is somebody's in a directory that all may write.
const STICKY: u32 = 0o1000;

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
    way: &[(PathBuf, Rights)],
    user: &Identity,
) -> Option<Obstacle> {
    if let Some((path, rights)) = way.iter().find(|(_, rights)| !rights.allow(user, 1)) {
        return Some(Obstacle::new(path, rights));
    }
    (!rights.allow(user, 2)).then(|| Obstacle::new(&socket.path, rights))
}

/// What lets others connect, or take the socket's place.
fn openness(socket: &Socket, rights: &Rights, way: &[(PathBuf, Rights)]) -> Option<Obstacle> {
    let stranger = Identity {
        name: String::new(),
        uid: u32::MAX,
        gids: Vec::new(),
    };
    for (at, (path, rights)) in way.iter().enumerate() {
        if !rights.allow(&stranger, 1) {
            return None;
        }
        // In a directory like /tmp nobody can move what is another's; a socket that is made anew is nobody's yet.
        let keeps = rights.mode & STICKY != 0 && at + 1 < way.len();
        if rights.allow(&stranger, 2) && !keeps {
            return Some(Obstacle::new(path, rights));
        }
    }
    let connects = rights.allow(&stranger, 2);
    connects.then(|| Obstacle::new(&socket.path, rights))
}

/// What has the wrong rights.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Obstacle {
    path: PathBuf,
    what: String,
}

impl Obstacle {
    fn new(path: &Path, rights: &Rights) -> Obstacle {
        let Rights { uid, gid, mode } = rights;
        Obstacle {
            path: path.to_owned(),
            what: format!(
                "{} (owner {uid}, group {gid}, mode {mode:04o})",
                shown(path)
            ),
        }
    }
}

fn named(obstacles: &[Obstacle]) -> String {
    let names: Vec<_> = obstacles.iter().map(|o| o.what.as_str()).collect();
    names.join("; ")
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

fn kept_out(facts: &Facts, closed: &[Obstacle]) -> Option<Finding> {
    let user = &facts.host.postfix_user.as_ref()?.name;
    (!closed.is_empty()).then(|| {
        Finding::problem(
            "socket-owner",
            format!("user {user} may not pass {}", named(closed)),
            "Postfix cannot connect: smtpd ends without the auth socket, mail is put off without the others",
            rights_fix(facts, closed, "o+x"),
        )
    })
}

fn too_open(facts: &Facts, open: &[Obstacle]) -> Option<Finding> {
    (!open.is_empty()).then(|| {
        Finding::problem(
            "socket-open",
            format!("open to every user of this host: {}", named(open)),
            "whoever connects can guess passwords without a delay, or use up the quotas of others; whoever may \
             write to the directory can put a socket of theirs in its place",
            rights_fix(facts, open, "o-w"),
        )
    })
}

/// `change`: what a directory above that of the sockets needs, which is for others to use as well.
fn rights_fix(facts: &Facts, wrong: &[Obstacle], change: &str) -> String {
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
    for Obstacle { path, .. } in wrong {
        let is_above = directories
            .iter()
            .any(|d| *d != path && d.starts_with(path));
        if is_above {
            lines.push(format!("chmod {change} {}", shown(path)));
        }
    }
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
