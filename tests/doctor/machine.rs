//! Hosts with one fault beside Postfix: sockets, files, the daemon.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

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
        ("state/outgate.db", 0o644, 0o600, "file-mode"),
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
