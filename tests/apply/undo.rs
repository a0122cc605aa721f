//! The way back, after others have edited the files too.

use std::fs;

use crate::host::Postfix;
use crate::site::{Site, files, kept, postconf};

#[test]
fn there_is_nothing_to_undo() {
    let site = Site::new("");
    let postfix = site.stock();
    let (exit, said) = site.refused(&postfix, "--undo --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("there is nothing to undo"), "{said}");
    site.done(&postfix, "--apply");
    site.done(&postfix, "--undo");
    assert!(
        site.refused(&postfix, "--undo --yes")
            .1
            .contains("there is nothing to undo")
    );
}

/// Edits of others stay, outgate's go.
#[test]
fn the_files_were_edited_since() {
    let site = Site::new("");
    for (name, wiring) in [
        ("dovecot-rspamd", "auth-milter"),
        ("panel-amavis", "auth-policy"),
    ] {
        let postfix = site.in_use(name);
        let before = said(&postfix);
        site.done(&postfix, &format!("--apply --wiring {wiring}"));
        postfix.edit("-e message_size_limit=31000000");
        postfix.edit("-P submission/inet/smtpd_client_connection_count_limit=7");
        postfix.add(
            "master.cf",
            "8025 inet n - y - - smtpd\n  -o syslog_name=postfix/test",
        );
        let done = site.done(&postfix, "--undo");
        assert_eq!(done["changed"], true);
        let mut after = said(&postfix);
        for more in [
            "message_size_limit = 31000000",
            "submission/inet/smtpd_client_connection_count_limit = 7",
            "8025/inet/syslog_name = postfix/test",
        ] {
            let at = after.iter().position(|line| line == more);
            after.remove(at.unwrap_or_else(|| panic!("{more}: {after:#?}")));
        }
        assert_eq!(after, before, "{name}");
        assert!(!kept(&postfix).exists());
    }
}

/// What both files come to, in no order that matters.
fn said(postfix: &Postfix) -> Vec<String> {
    let text = postconf(postfix, &["-n"]) + &postconf(postfix, &["-P"]);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// What outgate wrote, and somebody wrote over.
#[test]
fn somebody_wrote_over_it() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    site.done(&postfix, "--apply");
    postfix.edit("-P smtps/inet/smtpd_sasl_path=private/other");
    postfix.edit("-e milter_default_action=quarantine");
    let (exit, said) = site.refused(&postfix, "--undo --yes");
    assert_eq!(exit, 1, "{said}");
    for words in [
        "smtpd_sasl_path of smtps/inet in master.cf is \"private/other\", where outgate wrote \"outgate/auth.sock\" over nothing",
        "milter_default_action in main.cf is \"quarantine\", where outgate wrote \"tempfail\" over \"accept\"",
        "outgate-undo",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    assert!(kept(&postfix).exists());
    // As it was before, by hand: that is fine.
    postfix.edit("-PX smtps/inet/smtpd_sasl_path");
    postfix.edit("-e milter_default_action=accept");
    site.done(&postfix, "--undo");
    assert!(!kept(&postfix).exists());
    let text = postconf(&postfix, &["-n"]) + &postconf(&postfix, &["-P"]);
    assert!(!text.contains("outgate"), "{text}");
}

/// A service that outgate made, and somebody took out.
#[test]
fn a_service_that_is_gone() {
    let site = Site::new("");
    let postfix = site.stock();
    let before = postconf(&postfix, &["-M"]);
    site.done(&postfix, "--apply");
    postfix.edit("-MX submission/inet");
    site.done(&postfix, "--undo");
    assert_eq!(postconf(&postfix, &["-M"]), before);
}

/// The wirings take each other's place, and all of them are one step from what was before.
#[test]
fn from_wiring_to_wiring() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    let before = files(&postfix);
    let mut alone = Vec::new();
    for wiring in ["auth-policy", "milter", "policy", "auth-milter"] {
        site.done(&postfix, &format!("--apply --wiring {wiring}"));
        alone.push((wiring, files(&postfix)));
        site.done(&postfix, "--undo");
    }
    for (wiring, wired) in &alone {
        site.done(&postfix, &format!("--apply --wiring {wiring}"));
        assert!(files(&postfix) == *wired, "{wiring} after another one");
        assert_eq!(site.host.ids(&postfix), [] as [&str; 0], "{wiring}");
    }
    site.done(&postfix, "--undo");
    assert!(files(&postfix) == before);
}

/// One service after the other, then back at once.
#[test]
fn service_by_service() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    let before = files(&postfix);
    let done = site.done(
        &postfix,
        "--apply --service 587 --keep smtpd_sasl_auth_enable",
    );
    assert_eq!(done["services"], serde_json::json!(["submission"]));
    let main = postconf(&postfix, &["-n"]);
    assert!(main.contains("smtpd_sasl_auth_enable = yes"), "{main}");
    let options = postconf(&postfix, &["-P"]);
    assert!(!options.contains("smtps/inet/smtpd_milters"), "{options}");
    let done = site.done(&postfix, "--apply --service smtps");
    assert_eq!(done["services"], serde_json::json!(["smtps", "submission"]));
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
    assert_eq!(site.done(&postfix, "--apply")["changed"], false);
    site.done(&postfix, "--undo");
    assert!(files(&postfix) == before);

    // What is not wired keeps its logins.
    let postfix = site.in_use("cyrus-port-25");
    site.done(&postfix, "--apply --service submission");
    // Another wiring for another service alone would take this one's away.
    let words = "--apply --yes --wiring auth-policy --service smtps";
    let (exit, said) = site.refused(&postfix, words);
    assert_eq!(exit, 1, "{said}");
    assert!(said.contains("submission would lose auth-milter"), "{said}");
    let options = postconf(&postfix, &["-P"]);
    assert!(
        options.contains("2525/inet/smtpd_sasl_auth_enable = yes"),
        "{options}"
    );
    assert!(
        options.contains("submission/inet/smtpd_sasl_path = outgate/auth.sock"),
        "{options}"
    );
}

/// Killed between two files: both ways lead on.
#[test]
fn killed_half_way() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    let before = files(&postfix);
    site.done(&postfix, "--apply");
    let wired = files(&postfix);
    let half = |bytes: &[u8]| fs::write(postfix.dir.join("main.cf"), bytes).unwrap();
    half(&before[0]);
    site.done(&postfix, "--apply");
    assert!(files(&postfix) == wired);
    half(&before[0]);
    site.done(&postfix, "--undo");
    assert!(files(&postfix) == before);
    // Killed before the first: the record is of nothing.
    site.done(&postfix, "--apply");
    half(&before[0]);
    fs::write(postfix.dir.join("master.cf"), &before[1]).unwrap();
    assert_eq!(site.done(&postfix, "--undo")["changed"], false);
    assert!(!kept(&postfix).exists());
}

/// Killed while one wiring takes another one's place: what the first has written is outgate's too.
#[test]
fn killed_between_two_wirings() {
    let site = Site::new("");
    let postfix = site.in_use("dovecot-rspamd");
    let before = files(&postfix);
    let path = kept(&postfix).join("record.json");
    let record =
        || -> serde_json::Value { serde_json::from_slice(&fs::read(&path).unwrap()).unwrap() };
    let put = |files: [&[u8]; 2]| {
        fs::write(postfix.dir.join("main.cf"), files[0]).unwrap();
        fs::write(postfix.dir.join("master.cf"), files[1]).unwrap();
    };
    site.done(&postfix, "--apply --wiring auth-milter");
    let (first, written) = (files(&postfix), record());
    site.done(&postfix, "--apply --wiring policy");
    let (second, mut open) = (files(&postfix), record());
    for name in ["main", "master"] {
        assert!(open[name].get("earlier").is_none(), "{open}");
        open[name]["earlier"] = written[name]["after"].clone();
    }
    let open = serde_json::to_vec(&open).unwrap();
    for state in [
        [&*first[0], &*first[1]],
        [&*first[0], &*second[1]],
        [&*second[0], &*second[1]],
    ] {
        put(state);
        fs::write(&path, &open).unwrap();
        site.done(&postfix, "--apply --wiring policy");
        assert!(files(&postfix) == second);
        put(state);
        fs::write(&path, &open).unwrap();
        site.done(&postfix, "--undo");
        assert!(files(&postfix) == before);
        site.done(&postfix, "--apply --wiring policy");
    }
    // Edited on top of that: nobody can tell what is whose.
    put([&first[0], &first[1]]);
    fs::write(&path, &open).unwrap();
    postfix.edit("-e message_size_limit=31000000");
    let (exit, said) = site.refused(&postfix, "--undo --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("was stopped while it put wiring policy"),
        "{said}"
    );
    assert!(kept(&postfix).exists());
}

/// What a process left that was killed while it wrote is gone with the next change.
#[test]
fn nothing_is_left_lying_about() {
    let site = Site::new("");
    let postfix = site.stock();
    site.done(&postfix, "--apply");
    for place in [&postfix.dir, &kept(&postfix)] {
        for name in ["main.cf", "master.cf"] {
            fs::write(place.join(format!(".{name}.0123456789abcdef")), "half").unwrap();
        }
    }
    let theirs = postfix.dir.join(".main.cf.swp");
    fs::write(&theirs, "an editor's").unwrap();
    site.done(&postfix, "--undo");
    let mut left: Vec<_> = fs::read_dir(&postfix.dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, [".main.cf.swp", "main.cf", "master.cf"]);
}

/// A service with another name asks outgate still.
#[test]
fn a_service_that_was_renamed() {
    let site = Site::new("");
    for (postfix, from, to) in [
        (site.in_use("dovecot-rspamd"), "smtps", "465"),
        (site.stock(), "submission ", "587 "),
    ] {
        let before = files(&postfix);
        site.done(&postfix, "--apply");
        let master = postfix.dir.join("master.cf");
        let text = fs::read_to_string(&master).unwrap();
        let rename = |line: &str| match line.strip_prefix(from) {
            Some(rest) => format!("{to}{rest}\n"),
            None => format!("{line}\n"),
        };
        fs::write(&master, text.lines().map(rename).collect::<String>()).unwrap();
        let (exit, said) = site.refused(&postfix, "--undo --yes");
        assert_eq!(exit, 1, "{said}");
        let id = format!("{}/inet", to.trim());
        assert!(
            said.contains(&format!("smtpd_sasl_path of {id} in master.cf is \"outgate/auth.sock\", which outgate wrote in")),
            "{said}"
        );
        // With its old name it can be taken back.
        fs::write(&master, &text).unwrap();
        site.done(&postfix, "--undo");
        assert!(files(&postfix) == before);
    }
}

/// What is taken out is Postfix's business alone.
#[test]
fn outgate_has_no_configuration_left() {
    let site = Site::new("");
    let postfix = site.stock();
    let before = files(&postfix);
    site.done(&postfix, "--apply");
    fs::remove_file(site.host.path("outgate.toml")).unwrap();
    site.done(&postfix, "--undo");
    assert!(files(&postfix) == before);
}

#[test]
fn a_record_that_is_damaged() {
    let site = Site::new("");
    let postfix = site.stock();
    site.done(&postfix, "--apply");
    fs::write(kept(&postfix).join("record.json"), "{").unwrap();
    let (exit, said) = site.refused(&postfix, "--undo --yes");
    assert_eq!(exit, 1, "{said}");
    assert!(
        said.contains("record.json is damaged") && said.contains("by hand"),
        "{said}"
    );
}

/// The sockets lie outside the queue directory: no chroot there.
#[test]
fn sockets_elsewhere() {
    let run = tempfile::Builder::new().prefix("run").tempdir().unwrap();
    let dir = run.path();
    crate::host::run(std::process::Command::new("chgrp").arg("postfix").arg(dir));
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o2750)).unwrap();
    let at = |name: &str| format!("{name} = \"unix:{}/{name}.sock\"\n", dir.display());
    let site = Site::new(&format!(
        "[listen]\n{}{}{}",
        at("auth"),
        at("policy"),
        at("milter")
    ));
    for postfix in [site.stock(), site.in_use("dovecot-rspamd")] {
        let before = files(&postfix);
        site.done(&postfix, "--apply");
        assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
        postfix.edit("-e message_size_limit=31000000");
        site.done(&postfix, "--undo");
        postfix.edit("-X message_size_limit");
        let (now, then) = (
            postconf(&postfix, &["-M"]),
            site.with("", std::str::from_utf8(&before[1]).unwrap()),
        );
        assert_eq!(now, postconf(&then, &["-M"]));
    }
}
