//! Hosts with one fault beside Postfix: sockets, files, the daemon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use outgate::clock::Clock;
use outgate::doctor::facts::{Daemon, NoPostfix, Running, StoreFacts};
use outgate::doctor::look::{self, Places};
use outgate::doctor::postfix::settings::Settings;
use outgate::doctor::postfix::version::Version;
use outgate::doctor::{Facts, examine};
use outgate::store::Soundness;

use crate::host::{Host, run};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn sockets_and_files_with_wrong_owners_and_modes() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
    let sockets = host.path("spool/outgate");
    for (name, wrong, right, finds) in [
        ("spool/outgate/auth.sock", 0o600, 0o660, "socket-owner"),
        ("spool/outgate/milter.sock", 0o640, 0o660, "socket-owner"),
        ("spool/outgate", 0o2700, 0o2750, "socket-owner"),
        ("spool/outgate", 0o2777, 0o2750, "socket-open"),
        ("spool", 0o700, 0o755, "socket-owner"),
        ("spool", 0o777, 0o755, "socket-open"),
        ("state/outgate.db", 0o644, 0o600, "file-mode"),
        ("state/log.db", 0o640, 0o600, "file-mode"),
        ("state", 0o777, 0o700, "file-mode"),
        ("state/control.sock", 0o666, 0o600, "file-mode"),
        ("outgate.toml", 0o666, 0o644, "file-mode"),
    ] {
        set_mode(&host.path(name), wrong);
        assert_eq!(host.ids(&postfix), [finds], "{name} {wrong:o}");
        set_mode(&host.path(name), right);
        assert_eq!(host.ids(&postfix), [] as [&str; 0], "{name} {right:o}");
    }
    // root:root, as a daemon that root starts in a directory of root's would leave it.
    let milter = sockets.join("milter.sock");
    chown(&milter, Some(0), Some(0)).unwrap();
    assert_eq!(host.ids(&postfix), ["socket-owner"]);
    run(std::process::Command::new("chgrp")
        .arg("postfix")
        .arg(&milter));
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
    // Open sockets in a directory that everybody may enter.
    set_mode(&sockets, 0o2755);
    // Whoever may write above it can move the directory away.
    let spool = host.path("spool");
    set_mode(&spool, 0o777);
    let findings = host.doctor(&postfix);
    assert_eq!(crate::host::ids(&findings), ["socket-open"]);
    let fix = findings[0]["fix"].as_str().unwrap();
    let first = fix.lines().next().unwrap();
    assert_eq!(first, format!("chmod o-w {}", spool.display()));
    set_mode(&spool, 0o1777);
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
    set_mode(&spool, 0o755);
    set_mode(&milter, 0o666);
    let findings = host.doctor(&postfix);
    assert_eq!(crate::host::ids(&findings), ["socket-open"]);
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("milter.sock")
    );
    set_mode(&milter, 0o660);
    fs::remove_file(&milter).unwrap();
    assert_eq!(host.ids(&postfix), ["socket-missing"]);
}

#[test]
fn no_daemon_and_no_store() {
    let mut host = Host::without_daemon("");
    let postfix = host.postfix("auth-policy");
    assert_eq!(host.ids(&postfix), ["daemon-not-running", "store-missing"]);
    assert!(
        !host.path("state/outgate.db").exists(),
        "doctor makes nothing"
    );
    host.serve();
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
    host.kill();
    assert_eq!(host.ids(&postfix), ["daemon-not-running"]);
}

#[test]
fn a_store_that_is_damaged_or_none() {
    let host = Host::without_daemon("");
    let postfix = host.postfix("auth-milter");
    host.outgate("domain add o.test --trusted");
    for number in 0..60 {
        host.outgate(&format!("domain add d{number}.test --trusted"));
    }
    let store = host.path("state/outgate.db");
    let whole = fs::read(&store).unwrap();
    assert_eq!(host.ids(&postfix), ["daemon-not-running"]);

    // Every page behind the first is overwritten from its beginning.
    let mut torn = whole.clone();
    let size = usize::from(u16::from_be_bytes([whole[16], whole[17]]));
    for page in torn.chunks_mut(size).skip(1) {
        page[..64].fill(0xa5);
    }
    fs::write(&store, &torn).unwrap();
    let found = host.ids(&postfix);
    assert!(found.iter().any(|id| id.starts_with("store-")), "{found:?}");

    fs::write(
        &store,
        "this is no database, and never was one; it only has its name",
    )
    .unwrap();
    let found = host.ids(&postfix);
    assert!(found.iter().any(|id| id.starts_with("store-")), "{found:?}");
    fs::write(&store, whole).unwrap();
    assert_eq!(host.ids(&postfix), ["daemon-not-running"]);
}

#[test]
fn a_clock_behind_the_store() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    host.outgate("domain add o.test --trusted");
    let export = "{\"type\":\"user\",\"id\":\"01a2130f-cc1a-713c-a65a-e65942d46002\",\"name\":\"late\",\
                  \"mode\":\"all-domains\",\"created_at\":\"2026-01-01T00:00:00Z\",\"updated_at\":\"2199-01-01T00:00:00Z\"}";
    let file = host.path("users.jsonl");
    fs::write(&file, export).unwrap();
    host.outgate(&format!("import outgate {}", file.display()));
    let found = host.ids(&postfix);
    assert!(found.contains(&"clock".to_owned()), "{found:?}");
}

/// What a host would hear on which the facts are a little different.
#[track_caller]
fn differs(
    host: &Host,
    postfix: &crate::host::Postfix,
    change: impl FnOnce(&mut Facts),
) -> Vec<&'static str> {
    let config = outgate::config::load::load(&host.path("outgate.toml")).unwrap();
    let places = Places {
        config_file: host.path("outgate.toml"),
        postfix: Some(postfix.dir.clone()),
    };
    let mut facts = look::gather(&config, places, &Clock::system());
    change(&mut facts);
    examine(&facts)
        .into_iter()
        .map(|finding| finding.id)
        .collect()
}

#[test]
fn what_no_test_can_do_to_a_host() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    let find = |change: &dyn Fn(&mut Facts)| differs(&host, &postfix, change);
    assert_eq!(find(&|_| ()), [] as [&str; 0]);
    let running = |change: &dyn Fn(&mut Running)| {
        find(&|facts| match &mut facts.host.daemon {
            Daemon::Running(running) => change(running),
            Daemon::NotRunning | Daemon::Hidden | Daemon::Silent(_) => panic!("it runs"),
        })
    };
    // Two services of 100 processes, with two sockets each.
    assert_eq!(running(&|r| r.open_files = Some(499)), ["open-files"]);
    assert_eq!(running(&|r| r.open_files = Some(500)), [] as [&str; 0]);
    assert_eq!(
        running(&|r| r.store_trouble = Some("full".to_owned())),
        ["store-trouble"]
    );
    assert_eq!(running(&|r| r.lost_log_lines = 1), ["log-lost"]);
    assert_eq!(running(&|r| r.uid = Some(12345)), ["file-owner"]);
    let silent = || Daemon::Silent("no answer".to_owned());
    assert_eq!(
        find(&|facts| facts.host.daemon = silent()),
        ["daemon-silent"]
    );
    assert_eq!(
        find(&|facts| facts.host.synchronized = Some(false)),
        ["clock"]
    );
    assert_eq!(
        find(&|facts| facts.host.disks[0].bytes = 99 << 20),
        ["disk-space"]
    );
    assert_eq!(
        find(&|facts| facts.host.disks[0].files = Some(7)),
        ["disk-space"]
    );
    assert_eq!(
        find(&|facts| facts.unseen.push("a file".to_owned())),
        ["not-seen"]
    );
    assert_eq!(
        find(&|facts| facts.postfix = Err(NoPostfix::NotInstalled)),
        ["postfix-unreadable"]
    );
    let damaged = |facts: &mut Facts| match &mut facts.store {
        StoreFacts::Read { soundness, .. } => {
            *soundness = Soundness::Damaged(vec!["page 7".to_owned()])
        }
        StoreFacts::Missing
        | StoreFacts::Hidden
        | StoreFacts::Older { .. }
        | StoreFacts::Unreadable(_) => {
            panic!("it was read")
        }
    };
    assert_eq!(find(&damaged), ["store-damaged"]);
}

#[test]
fn versions_of_postfix() {
    let host = Host::new("");
    let postfix = host.postfix("policy");
    let of = |version: &str, parameter: &str, value: &str| {
        let text = format!("{parameter} = {value}");
        differs(&host, &postfix, |facts| {
            let postfix = facts.postfix.as_mut().unwrap();
            postfix.version = Version::parse(version);
            match parameter {
                "cleanup_replace_stray_cr_lf" => postfix.settings = Settings::parse("", ""),
                _ => {
                    let service = postfix
                        .services
                        .iter_mut()
                        .find(|s| s.name == "submission")
                        .unwrap();
                    let (name, value) = text.split_once(" = ").unwrap();
                    service.options.insert(name.to_owned(), value.to_owned());
                }
            }
        })
    };
    let list = "smtpd_end_of_data_restrictions";
    assert_eq!(of("3.7.21", list, "reject_x"), ["end-of-message"]);
    assert_eq!(of("3.7.22", list, "reject_x"), [] as [&str; 0]);
    assert_eq!(
        of(
            "3.7.22",
            list,
            "check_policy_service unix:outgate/policy.sock"
        ),
        ["end-of-message"]
    );
    // One that knows nothing of stray CRs; it then lacks all other settings too.
    assert!(of("3.5.8", "cleanup_replace_stray_cr_lf", "").contains(&"stray-cr"));
}
