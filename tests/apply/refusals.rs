//! What --apply and --undo do not do, and what they say then.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::process::{Command, Stdio};

use rustix::fs::{FlockOperation, flock};

use crate::host::age;
use crate::site::{Site, files, kept};

#[test]
fn nobody_agrees() {
    let site = Site::new("");
    let postfix = site.stock();
    for words in ["--apply", "--apply --json", "--undo"] {
        let (exit, said) = site.refused(&postfix, words);
        assert_eq!(exit, 2, "{said}");
        assert!(said.contains("--yes"), "{said}");
    }
    for words in [
        "--yes",
        "--dry-run",
        "--reload",
        "--apply --undo",
        "--undo --wiring policy",
        "--keep x",
    ] {
        assert_eq!(site.refused(&postfix, words).0, 2, "{words}");
    }
    // On a terminal, the answer counts.
    let ask = |words: &str, answer: &str| {
        let binary = env!("CARGO_BIN_EXE_outgate");
        let config = site.host.path("outgate.toml");
        let line = format!(
            "{binary} -c {} postfix config --postfix {} {words}",
            config.display(),
            postfix.dir.display()
        );
        age(&postfix.dir.join("main.cf"));
        let mut child = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let answer = format!("{answer}\n");
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        (output.status.code().unwrap(), said)
    };
    let before = files(&postfix);
    let (exit, said) = ask("--apply", "n");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("Change these files? [y/N]"), "{said}");
    assert!(said.contains("nothing was changed"), "{said}");
    assert_eq!(files(&postfix), before);
    assert!(!kept(&postfix).exists());
    let (exit, said) = ask("--apply", "y");
    assert_eq!(exit, 0, "{said}");
    assert!(
        said.contains("+    -o smtpd_sasl_path=outgate/auth.sock"),
        "{said}"
    );
    assert!(said.contains("reload"), "{said}");
    assert_ne!(files(&postfix), before);
    assert_eq!(ask("--undo", "yes").0, 0);
    assert_eq!(files(&postfix), before);
}

#[test]
fn a_dry_run_changes_nothing() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    let before = files(&postfix);
    let done = site.done(&postfix, "--apply --dry-run");
    assert_eq!(done["changed"], false);
    let diff = done["diff"].as_str().unwrap();
    assert!(
        diff.contains("-smtpd_sasl_auth_enable = yes\n+smtpd_sasl_auth_enable = no\n"),
        "{diff}"
    );
    let notes = done["notes"].to_string();
    assert!(notes.contains("smtp: logins end here"), "{notes}");
    assert_eq!(done["doctor"], serde_json::json!([]));
    assert_eq!(done["files"].as_array().unwrap().len(), 2);
    assert_eq!(files(&postfix), before);
    assert!(!kept(&postfix).exists());
}

#[test]
fn what_cannot_be_wired() {
    let site = Site::new("");
    let postfix = site.stock();
    // Nobody checks passwords there.
    for (wiring, with) in [("milter", "auth-milter"), ("policy", "auth-policy")] {
        let (exit, said) = site.refused(&postfix, &format!("--apply --yes --wiring {wiring}"));
        assert_eq!(exit, 1, "{said}");
        assert!(said.contains(&format!("--wiring {with}")), "{said}");
    }
    let (exit, said) = site.refused(&postfix, "--apply --yes --service smtp");
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("where mail from the outside comes in"),
        "{said}"
    );
    let (exit, said) = site.refused(&postfix, "--apply --yes --service 2525");
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("master.cf has no smtpd service 2525; it has smtp"),
        "{said}"
    );
    // Before a proxy filter a milter sees nothing.
    let postfix = site.in_use("line-ends");
    postfix.edit("-P 127.0.0.1:submission/inet/smtpd_proxy_filter=127.0.0.1:10024");
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("--wiring auth-policy"), "{said}");
    site.done(&postfix, "--apply --wiring auth-policy");
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
}

#[test]
fn a_listener_that_is_off() {
    let site = Site::new("[listen]\nauth = \"inet:127.0.0.1:0\"\nmilter = \"\"\npolicy = \"\"");
    let postfix = site.stock();
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("listen.milter is switched off"), "{said}");
}

#[test]
fn a_configuration_that_postfix_does_not_like() {
    let site = Site::new("");
    let postfix = site.stock();
    postfix.edit("-e mail_owner=nobody-of-that-name");
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("postfix check does not like the configuration as it is"),
        "{said}"
    );
    assert!(said.contains("nobody-of-that-name"), "{said}");
    assert!(!kept(&postfix).exists());
    postfix.edit("-e mail_owner=postfix");
    // A service that is there twice.
    postfix.add(
        "master.cf",
        "submission inet n - y - - smtpd\n  -o syslog_name=a\nsubmission inet n - y - - smtpd",
    );
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("submission/inet more than once"), "{said}");
    // What postconf cannot read either.
    let master = postfix.dir.join("master.cf");
    fs::write(&master, "smtp inet n\n").unwrap();
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("cannot be read or edited"), "{said}");
    fs::remove_file(&master).unwrap();
    let output = site.run(&postfix, "--apply --yes");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("master.cf") && said.contains("--postfix DIR"),
        "{said}"
    );
}

#[test]
fn no_postfix_at_all() {
    let site = Site::new("");
    let mut command = site.host.command(&[
        "postfix",
        "config",
        "--apply",
        "--yes",
        "--postfix",
        "/nonexistent",
    ]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("cannot look at /nonexistent"), "{said}");
    // Nor a place for the copy.
    let postfix = site.stock();
    let mut command =
        site.host
            .command(&["postfix", "config", "--apply", "--dry-run", "--postfix"]);
    let output = command
        .arg(&postfix.dir)
        .env("TMPDIR", "/nonexistent")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("see TMPDIR"), "{said}");
}

#[test]
fn a_wrong_configuration_of_outgate() {
    let site = Site::new("");
    let postfix = site.stock();
    fs::write(site.host.path("outgate.toml"), "[listen]\nauht = \"\"\n").unwrap();
    assert_eq!(site.refused(&postfix, "--apply --yes").0, 78);
}

/// Another one is at it.
#[test]
fn two_at_once() {
    let site = Site::new("");
    let postfix = site.stock();
    let held = File::open(&postfix.dir).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let (exit, said) = site.refused(&postfix, "--apply --yes");
    assert_eq!(exit, 75, "{said}");
    assert!(said.contains("another outgate is changing"), "{said}");
    drop(held);
    site.done(&postfix, "--apply");
}

/// An immutable file is nobody's to change, root's neither.
#[test]
fn one_file_that_cannot_be_replaced() {
    let site = Site::new("");
    let postfix = site.stock();
    let main = postfix.dir.join("main.cf");
    let set = |flag: &str| {
        let done = Command::new("chattr").arg(flag).arg(&main).output();
        done.is_ok_and(|output| output.status.success())
    };
    age(&main);
    if !set("+i") {
        eprintln!("this file system has no immutable files: nothing to see");
        return;
    }
    let before = files(&postfix);
    let output = site
        .host
        .command(&["postfix", "config", "--apply", "--yes", "--postfix"])
        .arg(&postfix.dir)
        .output();
    let after = files(&postfix);
    let is_kept = kept(&postfix).exists();
    assert!(set("-i"));
    let output = output.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("main.cf") && said.contains("the old files are as they were"),
        "{said}"
    );
    assert!(said.contains("lsattr"), "{said}");
    assert_eq!(after, before);
    assert!(!is_kept);
}

#[test]
fn owner_mode_and_links_stay() {
    let site = Site::new("");
    let postfix = site.stock();
    let elsewhere = site.host.path("managed");
    fs::create_dir(&elsewhere).unwrap();
    let (main, managed) = (postfix.dir.join("main.cf"), elsewhere.join("main.cf"));
    fs::rename(&main, &managed).unwrap();
    symlink(&managed, &main).unwrap();
    let master = postfix.dir.join("master.cf");
    fs::set_permissions(&master, fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&master, Some(0), Some(4)).unwrap();
    let look = || {
        let found = fs::metadata(&master).unwrap();
        (
            found.mode() & 0o7777,
            found.uid(),
            found.gid(),
            fs::read_link(&main).unwrap(),
        )
    };
    let before = (look(), files(&postfix));
    let done = site.done(&postfix, "--apply");
    assert!(
        done["files"].to_string().contains("managed/main.cf"),
        "{done}"
    );
    assert_eq!(look(), before.0);
    assert_ne!(files(&postfix), before.1);
    let copies = kept(&postfix);
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(&copies), 0o700);
    for name in ["main.cf", "master.cf", "record.json"] {
        assert_eq!(mode(&copies.join(name)), 0o600, "{name}");
    }
    site.done(&postfix, "--undo");
    assert_eq!((look(), files(&postfix)), before);
    let left: Vec<_> = fs::read_dir(&postfix.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left.len(), 2, "{left:?}");
}

#[test]
fn somebody_who_is_not_root() {
    let site = Site::new("");
    let postfix = site.stock();
    fs::set_permissions(site.host.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&postfix.dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(
        site.host.path("outgate.toml"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let binary = site.host.path("outgate");
    fs::copy(env!("CARGO_BIN_EXE_outgate"), &binary).unwrap();
    let run = |words: &[&str]| {
        age(&postfix.dir.join("main.cf"));
        let output = Command::new("runuser")
            .args(["-u", "nobody", "--"])
            .arg(&binary)
            .arg("-c")
            .arg(site.host.path("outgate.toml"))
            .args(["postfix", "config", "--postfix"])
            .arg(&postfix.dir)
            .args(words)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let before = files(&postfix);
    let (exit, said) = run(&["--apply", "--dry-run"]);
    assert_eq!(exit, Some(0), "{said}");
    assert!(
        said.contains("+    -o smtpd_sasl_path=outgate/auth.sock"),
        "{said}"
    );
    let (exit, said) = run(&["--apply", "--yes"]);
    assert_eq!(exit, Some(1), "{said}");
    assert!(said.contains("root"), "{said}");
    assert_eq!(files(&postfix), before);
}

/// Postfix would find nobody.
#[test]
fn no_reload_without_a_daemon() {
    let mut site = Site::new("");
    let postfix = site.stock();
    site.host.kill();
    let (exit, said) = site.refused(&postfix, "--apply --yes --reload");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("systemctl start outgate"), "{said}");
    let done = site.done(&postfix, "--apply");
    assert!(
        done["doctor"].to_string().contains("daemon-not-running"),
        "{done}"
    );
}
