//! The machine: its users, disks, clock, and the daemon on it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use rustix::fs::Access;
use rustix::io::Errno;
use serde_json::Value;

use crate::config::Config;
use crate::control::{self, Outcome, Request};
use crate::doctor::facts::{Daemon, Disk, Identity, Running};

/// How long the daemon has to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A user of the system, as `id` knows it.
pub fn identity(name: &str) -> Option<Identity> {
    let uid = said("id", &["-u", name])?.parse().ok()?;
    let groups = said("id", &["-G", name])?;
    Some(Identity {
        name: name.to_owned(),
        uid,
        gids: groups
            .split_whitespace()
            .filter_map(|gid| gid.parse().ok())
            .collect(),
    })
}

/// Whether the clock follows others.
pub fn synchronized() -> Option<bool> {
    match said(
        "timedatectl",
        &["show", "--property=NTPSynchronized", "--value"],
    )?
    .as_str()
    {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// The room at these places; a file system is asked once for each.
pub fn disks(places: &[&Path]) -> Vec<Disk> {
    let mut seen = Vec::new();
    let mut disks = Vec::new();
    for place in places {
        let (Ok(found), Ok(room)) = (fs::metadata(place), rustix::fs::statvfs(*place)) else {
            continue;
        };
        if seen.contains(&found.dev()) {
            continue;
        }
        seen.push(found.dev());
        disks.push(Disk {
            path: place.to_path_buf(),
            bytes: room.f_bavail.saturating_mul(room.f_frsize),
            // File systems that make inodes as they need them say 0 of 0.
            files: (room.f_files > 0).then_some(room.f_favail),
        });
    }
    disks
}

/// What the running daemon says.
pub fn daemon(config: &Config, unseen: &mut Vec<String>) -> Daemon {
    let socket = config.control_socket();
    if rustix::fs::access(&socket, Access::WRITE_OK) == Err(Errno::ACCESS) {
        unseen.push(format!("the daemon behind {}", socket.display()));
        return Daemon::Hidden;
    }
    match control::ask(&socket, &Request::Status, PATIENCE) {
        Outcome::NoDaemon => Daemon::NotRunning,
        Outcome::Late(why) => Daemon::Silent(why),
        Outcome::Done(answer) => Daemon::Running(running(&answer)),
    }
}

fn running(answer: &Value) -> Running {
    let number = |pointer: &str| answer.pointer(pointer).and_then(Value::as_u64);
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let process = number("/pid").and_then(|pid| fs::metadata(format!("/proc/{pid}")).ok());
    Running {
        uid: process.map(|process| process.uid()),
        open_files: number("/open_files/limit"),
        store_trouble: text("/store/reading")
            .or_else(|| text("/store/writing"))
            .map(str::to_owned),
        lost_log_lines: number("/lost_log_lines").unwrap_or(0),
    }
}
