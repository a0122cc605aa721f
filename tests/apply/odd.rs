//! Hosts that lack something, and what is shown there: no terminals, a file that is mounted by itself, tabs.

use std::process::{Command, Output};

use crate::host::{Postfix, age};
use crate::site::{Site, files, kept};

/// Runs `postfix config` where this has been done to the mounts; `None`: nobody may do that here, and there is
/// nothing to see.
fn apart(site: &Site, postfix: &Postfix, mounts: &str, words: &str) -> Option<Output> {
    let may = Command::new("unshare").args(["-m", "true"]).status();
    if !may.is_ok_and(|status| status.success()) {
        return None;
    }
    age(&postfix.dir.join("main.cf"));
    let line = format!(
        "{mounts} && exec {} -c {} postfix config --postfix {} {words}",
        env!("CARGO_BIN_EXE_outgate"),
        site.host.path("outgate.toml").display(),
        postfix.dir.display()
    );
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &line])
        .output();
    Some(output.unwrap())
}

/// A small container: Postfix speaks to terminals alone, and there is none to give it.
#[test]
fn no_terminals() {
    let site = Site::new("");
    let postfix = site.stock();
    let before = files(&postfix);
    let none = "mount -t tmpfs none /dev/pts";
    let Some(output) = apart(&site, &postfix, none, "--apply --yes") else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_ne!(files(&postfix), before);
    let output = apart(&site, &postfix, none, "--undo --yes").unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(files(&postfix), before);
    // What Postfix does not like counts, although nobody hears why.
    postfix.edit("-e mail_owner=nobody-of-that-name");
    let output = apart(&site, &postfix, none, "--apply --yes").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains(
            "postfix check does not like the configuration as it is: why, it says to terminals only"
        ),
        "{said}"
    );
    assert!(!kept(&postfix).exists());
}

/// A container's volume that is one file: nothing takes its place.
#[test]
fn a_file_that_is_mounted_by_itself() {
    let site = Site::new("");
    let postfix = site.stock();
    let before = files(&postfix);
    let main = postfix.dir.join("main.cf").display().to_string();
    let mounts = format!("mount --bind {main} {main}");
    let Some(output) = apart(&site, &postfix, &mounts, "--apply --yes --json") else {
        return;
    };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("it is mounted by itself"), "{said}");
    assert_eq!(files(&postfix), before);
    assert!(!kept(&postfix).exists());
}

#[test]
fn what_it_means_in_short() {
    let site = Site::new("");
    let postfix = site.with(
        "smtpd_sasl_type\t=\tdovecot\nsmtpd_sasl_path = private/auth\nsmtpd_sasl_auth_enable = yes\n\
         smtpd_milters = inet:localhost:11332\nmilter_default_action = accept\n",
        "smtp\tinet\tn\t-\tn\t-\t-\tsmtpd\n192.0.2.1:smtp inet n - n - - smtpd\n\
         submission\tinet\tn\t-\tn\t-\t-\tsmtpd\n\t-o\tsmtpd_tls_security_level=encrypt\n\
         smtps inet n - n - - smtpd -o smtpd_tls_wrappermode=yes\n\
         cleanup unix n - n - 0 cleanup\npostlog unix-dgram n - n - 1 postlogd\n",
    );
    let output = site.run(&postfix, "--apply --dry-run");
    let text = String::from_utf8(output.stdout).unwrap();
    for line in [
        "-submission\tinet\tn\t-\tn\t-\t-\tsmtpd",
        "  main.cf: smtpd_sasl_auth_enable = no (was: yes)",
        "  submission, smtps: smtpd_sasl_path = outgate/auth.sock (was, by main.cf: private/auth)",
        "  submission, smtps: smtpd_milters = { unix:outgate/milter.sock ... }, inet:localhost:11332 \
         (was, by main.cf: inet:localhost:11332)",
        "  submission, smtps: smtpd_sasl_auth_enable = yes (was, by main.cf: yes)",
        "  smtps: smtpd_sasl_service = smtps",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line}\n{text}");
    }
    let notes = String::from_utf8(output.stderr).unwrap();
    assert!(
        notes.contains("note: smtp, 192.0.2.1:smtp: logins end here"),
        "{notes}"
    );
    let done = site.done(&postfix, "--apply");
    let changes = done["changes"].as_array().unwrap();
    assert!(changes.contains(&"main.cf: message_reject_characters = \\0".into()));
    let done = site.done(&postfix, "--undo");
    let changes = done["changes"].to_string();
    assert!(
        changes.contains("smtpd_sasl_path taken out (was: outgate/auth.sock)"),
        "{changes}"
    );
    // New services are one line each.
    let postfix = site.stock();
    let changes = site.done(&postfix, "--apply")["changes"].to_string();
    assert!(
        changes.contains("submission, submissions: new in master.cf"),
        "{changes}"
    );
}

/// Where a filter hands mail back on all addresses, or a panel's own programs send: nobody logs in there, although
/// main.cf says that one could.
#[test]
fn doors_for_networks() {
    let site = Site::new("");
    let postfix = site.with(
        "smtpd_sasl_type = dovecot\nsmtpd_sasl_path = private/auth\nsmtpd_sasl_auth_enable = yes\n\
         smtpd_tls_cert_file = /etc/ssl/certs/ssl-cert-snakeoil.pem\n",
        "smtp inet n - n - - smtpd\nsubmission inet n - n - - smtpd\n  -o smtpd_tls_security_level=encrypt\n\
         10028 inet n - n - - smtpd\n  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n\
         590 inet n - n - - smtpd\n  -o smtpd_client_restrictions=permit_mynetworks,reject\n\
         588 inet n - n - - smtpd\n  -o smtpd_client_restrictions=permit_mynetworks,permit_sasl_authenticated,reject\n\
         cleanup unix n - n - 0 cleanup\npostlog unix-dgram n - n - 1 postlogd\n",
    );
    let before = files(&postfix);
    for wiring in ["auth-milter", "policy"] {
        let done = site.done(&postfix, &format!("--apply --wiring {wiring}"));
        assert_eq!(done["services"], serde_json::json!(["588", "submission"]));
        let notes = done["notes"].to_string();
        assert!(
            notes.contains("10028, 590: left as it is, without logins"),
            "{notes}"
        );
        assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
        site.done(&postfix, "--undo");
        assert_eq!(files(&postfix), before);
    }
    // Unless that is what is meant.
    let done = site.done(&postfix, "--apply --service 590");
    assert_eq!(done["services"], serde_json::json!(["590"]));
}
