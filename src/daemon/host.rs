//! What the daemon arranges with the operating system and with systemd: umask, open files, who it
//! runs as, and the news for the service manager.

use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;

/// Nothing that is created without a mode of its own is for others.
pub fn close_umask() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Raises the limit of open files to what the process may have, and says how many that are
/// (`None`: no limit). Every connection needs one.
pub fn raise_open_files() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            let error = error.to_string();
            tracing::warn!(error, "cannot raise the limit of open files");
        }
    }
    getrlimit(Resource::Nofile).current
}

/// Files that are open now, where the system tells.
pub fn open_files() -> Option<usize> {
    // The list itself is one of them.
    let listed = std::fs::read_dir("/proc/self/fd").ok()?.count();
    Some(listed.saturating_sub(1))
}

/// Memory of this process that is in use, in bytes, where the system tells.
pub fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024)
}

/// Warns of root where nobody confines it: systemd says with this variable that it started us.
pub fn warn_of_root() {
    if rustix::process::geteuid().is_root() && std::env::var_os("INVOCATION_ID").is_none() {
        tracing::warn!(
            "running as root without systemd: outgate needs no privileges, give it a user of its own"
        );
    }
}

/// Everything works.
pub fn ready() {
    notify(&[NotifyState::Ready, NotifyState::Status("deciding")]);
}

/// Waiting for the store.
pub fn waiting_for_store() {
    notify(&[NotifyState::Status("waiting for the store")]);
}

/// The configuration is being read again; [`ready`] follows.
pub fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => {
            let error = error.to_string();
            tracing::warn!(error, "cannot tell systemd of the reload");
        }
    }
}

/// The end has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Shows systemd that this process still gets things done, for ever, if it wants to be shown.
pub async fn feed_watchdog() {
    let Some(period) = sd_notify::watchdog_enabled() else {
        return std::future::pending().await;
    };
    // Twice in each period, as sd_watchdog_enabled(3) recommends.
    let mut ticks = tokio::time::interval((period / 2).max(Duration::from_millis(1)));
    loop {
        ticks.tick().await;
        notify(&[NotifyState::Watchdog]);
    }
}

fn notify(news: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(news) {
        let error = error.to_string();
        tracing::warn!(error, "cannot tell systemd how it goes");
    }
}
