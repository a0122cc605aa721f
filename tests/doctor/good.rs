//! Hosts on which nothing is wrong.

use std::path::Path;

use crate::host::{Host, Postfix};

/// Dovecot checks passwords, Rspamd filters all mail, and a content filter hands it back.
fn with_neighbours(host: &Host) -> Postfix {
    let postfix = host.postfix("milter");
    for edit in [
        "-e smtpd_sasl_type=dovecot",
        "-e smtpd_sasl_path=private/auth",
        "-e smtpd_milters=inet:127.0.0.1:11332",
        "-e non_smtpd_milters=$smtpd_milters",
        "-e milter_protocol=6",
        // As Rspamd's manual has it.
        "-e milter_mail_macros=i {mail_addr} {client_addr} {client_name} {auth_authen}",
        "-e smtpd_recipient_restrictions=permit_mynetworks, reject_unauth_destination, check_policy_service inet:127.0.0.1:10023",
        "s/default_action=tempfail } }/→/default_action=tempfail }, inet:127.0.0.1:11332 }/",
        "-P submission/inet/content_filter=smtp:[127.0.0.1]:10024",
        "master.cf: 127.0.0.1:10025 inet n - y - - smtpd\n  -o content_filter=\n  -o smtpd_milters=\n  \
         -o receive_override_options=no_milters,no_unknown_recipient_checks,no_header_body_checks\n  \
         -o smtpd_authorized_xforward_hosts=127.0.0.0/8\n  -o mynetworks=127.0.0.0/8\n  \
         -o smtpd_recipient_restrictions=permit_mynetworks,reject",
    ] {
        postfix.edit(edit);
    }
    postfix
}

#[test]
fn nothing_is_found_on_good_hosts() {
    let host = Host::new("");
    for wiring in ["auth-milter", "milter", "auth-policy", "policy"] {
        let postfix = host.postfix(wiring);
        assert_eq!(
            host.doctor(&postfix),
            [] as [serde_json::Value; 0],
            "{wiring}"
        );
    }
    let postfix = with_neighbours(&host);
    assert_eq!(host.doctor(&postfix), [] as [serde_json::Value; 0]);
}

#[test]
fn nothing_is_found_with_both_doors_classes_and_names() {
    let host = Host::new("");
    // Policy and milter on one service; lists behind names and a restriction class.
    let postfix = host.postfix("auth-milter");
    for edit in [
        "-e smtpd_restriction_classes=outgate_asks",
        "-e outgate_asks=check_policy_service { unix:outgate/policy.sock, timeout=10s }",
        "-e mua_sender_restrictions=reject_non_fqdn_sender, $mua_more",
        "-e mua_more=outgate_asks",
        "-e og_milter=unix:outgate/milter.sock",
        "-P submission/inet/smtpd_sender_restrictions=$mua_sender_restrictions",
        "-P submissions/inet/smtpd_milters=${og_milter}",
    ] {
        postfix.edit(edit);
    }
    assert_eq!(host.doctor(&postfix), [] as [serde_json::Value; 0]);
}

#[test]
fn nothing_is_found_with_sockets_elsewhere() {
    // Outside the queue directory, without a chroot.
    let run = tempfile::Builder::new().prefix("run").tempdir().unwrap();
    let dir = run.path();
    let group = std::process::Command::new("chgrp")
        .arg("postfix")
        .arg(dir)
        .status()
        .unwrap();
    assert!(group.success());
    std::fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o2750)).unwrap();
    let at = |name: &str| format!("{name} = \"unix:{}/{name}.sock\"\n", dir.display());
    let config = format!("[listen]\n{}{}{}", at("auth"), at("policy"), at("milter"));
    let host = Host::new(&config);
    let postfix = host.postfix("auth-milter");
    assert_eq!(host.doctor(&postfix), [] as [serde_json::Value; 0]);
    // With one, Postfix cannot get there.
    postfix.edit("-F submission/inet/chroot=y");
    let findings = host.doctor(&postfix);
    assert_eq!(crate::host::ids(&findings), ["socket-unreachable"; 2]);
    for finding in &findings {
        postfix.mend(finding["fix"].as_str().unwrap());
    }
    assert_eq!(host.doctor(&postfix), [] as [serde_json::Value; 0]);
}

#[test]
fn words_for_eyes() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    let output = host.run_doctor(&postfix.dir, false);
    assert_eq!(output.stdout, b"nothing wrong was found\n");
    postfix.edit("-e soft_bounce=yes");
    let output = host.run_doctor(&postfix.dir, false);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "problem: soft-bounce");
    assert_eq!(lines[1], "  what  soft_bounce = yes");
    assert!(
        lines[2].starts_with("  why   each refusal becomes"),
        "{text}"
    );
    assert!(lines[3].starts_with("  fix   postconf -c "), "{text}");
    assert!(lines[4].starts_with("        postfix -c "), "{text}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_host_without_postfix_or_with_a_strange_one_is_a_finding() {
    let host = Host::new("");
    let output = host.run_doctor(Path::new("/nonexistent"), true);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("\"postfix-unreadable\""), "{text}");
    assert!(text.contains("No such file or directory"), "{text}");
    assert_eq!(output.status.code(), Some(1));

    let postfix = host.stock_postfix();
    assert_eq!(host.ids(&postfix), ["not-wired"]);
    std::fs::write(postfix.dir.join("master.cf"), "smtp inet n\n").unwrap();
    assert_eq!(host.ids(&postfix), ["postfix-unreadable"]);
    std::fs::write(postfix.dir.join("master.cf"), "").unwrap();
    assert_eq!(host.ids(&postfix), ["not-wired"]);
}
