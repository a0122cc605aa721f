//! The running daemon, the clock and the disks.

use crate::doctor::facts::{Daemon, Facts, StoreFacts};
use crate::doctor::finding::Finding;

/// Less room than this is trouble soon: the log of changes alone may grow to 64 MiB.
const LEAST_BYTES: u64 = 100 * 1024 * 1024;
const LEAST_FILES: u64 = 1000;
/// How far the store may be ahead of the clock, in seconds.
const SLACK: i64 = 120;

pub fn check(facts: &Facts, findings: &mut Vec<Finding>) {
    running(facts, findings);
    findings.extend(clock(facts));
    disks(facts, findings);
}

fn running(facts: &Facts, findings: &mut Vec<Finding>) {
    let log = "see its log: journalctl -u outgate";
    let running = match &facts.host.daemon {
        Daemon::NotRunning => {
            let socket = facts.config.control_socket();
            return findings.push(Finding::problem(
                "daemon-not-running",
                format!("no daemon answers on {}", socket.display()),
                "logins fail and mail is put off",
                "systemctl start outgate",
            ));
        }
        Daemon::Silent(why) => {
            return findings.push(Finding::problem(
                "daemon-silent",
                format!("the daemon does not answer: {why}"),
                "changes by the command line may take effect late",
                log,
            ));
        }
        Daemon::Hidden => return,
        Daemon::Running(running) => running,
    };
    if let Some(trouble) = &running.store_trouble {
        findings.push(Finding::problem(
            "store-trouble",
            format!("the daemon cannot use its store: {trouble}"),
            "logins fail and mail is put off, until that is over",
            log,
        ));
    }
    if running.lost_log_lines > 0 {
        findings.push(Finding::advice(
            "log-lost",
            format!("{} log lines were lost", running.lost_log_lines),
            "whoever takes the daemon's log was too slow: what is missing cannot be explained",
            "look at journald's limits: RateLimitBurst= and RateLimitIntervalSec= in journald.conf",
        ));
    }
}

fn clock(facts: &Facts) -> Option<Finding> {
    let now = facts.host.now;
    let latest = match &facts.store {
        StoreFacts::Read { survey, .. } => survey.latest,
        StoreFacts::Missing
        | StoreFacts::Hidden
        | StoreFacts::Older { .. }
        | StoreFacts::Unreadable(_) => None,
    };
    let set = "timedatectl set-ntp true";
    if let Some(latest) = latest.filter(|latest| latest.as_second() > now.as_second() + SLACK) {
        return Some(Finding::problem(
            "clock",
            format!("the clock says {now:.0}, and the store has seen {latest:.0}"),
            "the windows of quotas stay where they are until the clock is there again",
            set,
        ));
    }
    (facts.host.synchronized == Some(false)).then(|| {
        Finding::advice(
            "clock",
            "the clock is not synchronised",
            "the windows of quotas and the times in the log follow it",
            set,
        )
    })
}

fn disks(facts: &Facts, findings: &mut Vec<Finding>) {
    for disk in &facts.host.disks {
        let few_files = disk.files.is_some_and(|files| files < LEAST_FILES);
        if disk.bytes >= LEAST_BYTES && !few_files {
            continue;
        }
        let mebibytes = disk.bytes / (1024 * 1024);
        let left = match few_files {
            true => "room for hardly any file".to_owned(),
            false => format!("{mebibytes} MiB"),
        };
        findings.push(Finding::problem(
            "disk-space",
            format!("{left} left at {}", disk.path.display()),
            "on a full disk nothing can be charged: mail is put off",
            format!(
                "see what takes it: du -xh --max-depth=2 {} | sort -h",
                disk.path.display()
            ),
        ));
    }
}
