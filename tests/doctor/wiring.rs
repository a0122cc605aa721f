//! Postfix configurations with one fault each.

use serde_json::Value;

use crate::host::{Host, Postfix, ids};

/// What is done to a good wiring, and what doctor has to find.
struct Case {
    wiring: &'static str,
    edits: &'static [&'static str],
    finds: &'static str,
    /// A word that its text has to have.
    says: &'static str,
}

const fn case(
    wiring: &'static str,
    edits: &'static [&'static str],
    finds: &'static str,
    says: &'static str,
) -> Case {
    Case {
        wiring,
        edits,
        finds,
        says,
    }
}

const POLICY: &str = "{ unix:outgate/policy.sock, timeout=10s }";
const SENDER: &str = "s/smtpd_sender_restrictions = reject_non_fqdn_sender,/→/smtpd_sender_restrictions = permit_mynetworks, reject_non_fqdn_sender,/";

/// Faults that the commands of the fix mend.
const MENDED: &[Case] = &[
    // What is asked, and what for.
    case(
        "policy",
        &[SENDER],
        "permit-before-policy",
        "permit_mynetworks",
    ),
    case(
        "auth-policy",
        &[
            "s/{ smtpd_data_restrictions = check/→/{ smtpd_data_restrictions = permit_sasl_authenticated, check/",
        ],
        "permit-before-policy",
        "smtpd_data_restrictions",
    ),
    case(
        "policy",
        &[
            "s/reject_non_fqdn_sender, check_policy/→/reject_non_fqdn_sender, warn_if_reject check_policy/",
        ],
        "warn-if-reject",
        "warn_if_reject",
    ),
    case(
        "auth-milter",
        &["-PX submission/inet/smtpd_milters"],
        "submission-without-outgate",
        "not asked about messages",
    ),
    case(
        "milter",
        &["-P submissions/inet/smtpd_milters=inet:127.0.0.1:11332"],
        "submission-without-outgate",
        "outgate is not asked",
    ),
    case(
        "milter",
        &["master.cf: 2525 inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n"],
        "submission-without-outgate",
        "outgate is not asked",
    ),
    case(
        "auth-milter",
        &["-e smtpd_sasl_auth_enable=yes"],
        "sasl-global",
        "main.cf",
    ),
    case(
        "auth-policy",
        &["-e smtpd_sasl_auth_enable=yes"],
        "sasl-global",
        "main.cf",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_sasl_auth_enable=no"],
        "no-login",
        "no logins",
    ),
    // Where it is looked for.
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_sasl_path=/var/spool/postfix/outgate/auth.sock"],
        "socket-unreachable",
        "chroot",
    ),
    case(
        "auth-milter",
        &[
            "s/unix:outgate/milter.sock/→/unix:/outgate/milter.sock/",
            "-F submission/inet/chroot=n",
            "-F submissions/inet/chroot=n",
        ],
        "socket-unreachable",
        "looks at unix:/outgate/milter.sock",
    ),
    case(
        "policy",
        &[
            "s/{ unix:outgate/policy.sock, timeout=10s, policy_context=submission,/→/{ unix:private/outgate/policy.sock, timeout=10s, policy_context=submission,/",
        ],
        "socket-unreachable",
        "policy",
    ),
    case(
        "auth-milter",
        &["s/unix:outgate/milter.sock/→/unix:outgate/policy.sock/"],
        "socket-unreachable",
        "outgate listens at",
    ),
    // Passwords.
    case(
        "auth-milter",
        &["-PX submission/inet/smtpd_sasl_type"],
        "sasl-type",
        "cyrus",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_sasl_security_options=noanonymous,noplaintext"],
        "no-mechanism",
        "noplaintext",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_tls_security_level=none"],
        "no-tls",
        "require-tls",
    ),
    // The milter.
    case(
        "auth-milter",
        &["-X milter_default_action"],
        "milter-default-action",
        "not set",
    ),
    case(
        "auth-milter",
        &["-e milter_default_action=accept"],
        "milter-default-action",
        "accept",
    ),
    case(
        "milter",
        &["s/default_action=tempfail/→/default_action=accept/"],
        "milter-default-action",
        "default_action = accept in smtpd_milters",
    ),
    case(
        "milter",
        &["-e non_smtpd_milters=unix:outgate/milter.sock"],
        "milter-non-smtpd",
        "non_smtpd",
    ),
    case(
        "milter",
        &["-e smtpd_milters=inet:127.0.0.1:11332, unix:outgate/milter.sock"],
        "milter-global",
        "main.cf",
    ),
    case(
        "auth-milter",
        &["-e milter_mail_macros=i {client_addr}"],
        "milter-macros",
        "{mail_addr}",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/milter_mail_macros={auth_authen},{auth_type}"],
        "milter-macros",
        "{mail_addr}",
    ),
    case(
        "auth-milter",
        &["-e milter_protocol=2"],
        "milter-protocol",
        "milter_protocol = 2",
    ),
    case(
        "auth-milter",
        &["-e receive_override_options=no_milters"],
        "no-milters",
        "no_milters",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/receive_override_options=no_address_mappings,no_milters"],
        "no-milters",
        "no_milters",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_milter_maps=cidr:/etc/postfix/m"],
        "milter-maps",
        "cidr:/etc/postfix/m",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_proxy_filter=127.0.0.1:10024"],
        "proxy-filter",
        "10024",
    ),
    case(
        "milter",
        &["-PX submission/inet/milter_macro_daemon_name"],
        "daemon-name",
        "authenticated-daemons",
    ),
    case(
        "auth-milter",
        &[
            "-P submission/inet/smtpd_milters=unix:outgate/milter.sock,inet:127.0.0.1:11332,{unix:outgate/milter.sock,default_action=tempfail},unix:outgate/milter.sock",
        ],
        "milter-twice",
        "3 times",
    ),
    // Policy.
    case(
        "policy",
        &[
            "s/{ default_action = 451 4.7.1 Sending policy service unavailable, try again later }/→/default_action=DUNNO/",
        ],
        "policy-fails-open",
        "DUNNO",
    ),
    case(
        "auth-policy",
        &[
            "s/, { default_action = 451 4.7.1 Sending policy service unavailable, try again later }/→//",
            "-e smtpd_policy_service_default_action=dunno",
        ],
        "policy-fails-open",
        "dunno",
    ),
    case(
        "policy",
        &["s/smtpd_delay_reject=no/→/smtpd_delay_reject=yes/"],
        "postmaster-hole",
        "delay_reject",
    ),
    case(
        "policy",
        &[
            "-PX submission/inet/smtpd_delay_reject",
            "-PX submission/inet/smtpd_data_restrictions",
        ],
        "postmaster-hole",
        "not asked in smtpd_data_restrictions",
    ),
    case(
        "auth-policy",
        &["-PX submissions/inet/smtpd_data_restrictions"],
        "no-data-check",
        "data_restrictions",
    ),
    case(
        "policy",
        &[
            "-P submission/inet/smtpd_relay_restrictions=permit_mynetworks,permit_sasl_authenticated,reject",
        ],
        "relay-without-login",
        "permit_mynetworks",
    ),
    case(
        "auth-milter",
        &["-e smtpd_end_of_data_restrictions=check_policy_service inet:127.0.0.1:10031"],
        "end-of-message",
        "10031",
    ),
    case(
        "policy",
        &[
            "-P submission/inet/smtpd_end_of_data_restrictions=check_policy_service,unix:outgate/policy.sock",
        ],
        "end-of-message",
        "policy.sock",
    ),
    // Mail that comes back.
    case(
        "milter",
        &[
            "-P submission/inet/content_filter=smtp:[127.0.0.1]:10024",
            "master.cf: 127.0.0.1:10025 inet n - y - - smtpd\n  -o content_filter=\n  -o smtpd_milters=unix:outgate/milter.sock\n",
        ],
        "re-injection",
        "content filter",
    ),
    case(
        "policy",
        &[
            "-e content_filter=smtp:[127.0.0.1]:10024",
            "master.cf: localhost:10025 inet n - y - - smtpd\n  -o content_filter=\n  -o { smtpd_data_restrictions = check_policy_service unix:outgate/policy.sock }\n",
        ],
        "re-injection",
        "content filter",
    ),
    // Bytes and replies.
    case(
        "auth-milter",
        &["-e soft_bounce=yes"],
        "soft-bounce",
        "soft_bounce",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/soft_bounce=yes"],
        "soft-bounce",
        "soft_bounce",
    ),
    case(
        "auth-milter",
        &["-X message_reject_characters"],
        "nul-characters",
        "NUL",
    ),
    case(
        "auth-milter",
        &["-P cleanup/unix/message_reject_characters=\\r"],
        "nul-characters",
        "\\r",
    ),
    case(
        "auth-milter",
        &["-e cleanup_replace_stray_cr_lf=no"],
        "stray-cr",
        "cleanup_replace_stray_cr_lf",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/receive_override_options=no_header_body_checks"],
        "header-body-checks-off",
        "no_header_body_checks",
    ),
    case(
        "auth-milter",
        &["-e smtpd_authorized_xclient_hosts=192.0.2.7, 127.0.0.1"],
        "xclient-login",
        "192.0.2.7, 127.0.0.1",
    ),
    case(
        "auth-milter",
        &["-F submission/inet/process_limit=0"],
        "process-limits",
        "no limit",
    ),
];

/// Faults whose fix is for people to do: outgate's own configuration.
const SHOWN: &[Case] = &[
    case(
        "auth-milter",
        &["-F submission/inet/process_limit=5000"],
        "process-limits",
        "5100",
    ),
    case(
        "auth-milter",
        &["-P submission/inet/smtpd_upstream_proxy_protocol=haproxy"],
        "proxy-line",
        "haproxy",
    ),
    case(
        "auth-milter",
        &["-X smtpd_tls_cert_file"],
        "no-certificate",
        "there is no certificate",
    ),
];

/// What is wrong with what doctor says of a case; empty: nothing.
fn fault(host: &Host, case: &Case, mend: bool) -> Option<String> {
    let postfix = host.postfix(case.wiring);
    for edit in case.edits {
        postfix.edit(edit);
    }
    let findings = host.doctor(&postfix);
    let context = format!("{} {:?}: {findings:#?}", case.wiring, case.edits);
    let says = |finding: &Value| finding["what"].as_str().unwrap().contains(case.says);
    if ids(&findings) != [case.finds] || !says(&findings[0]) {
        return Some(format!("{} was to be found alone: {context}", case.finds));
    }
    if mend {
        postfix.mend(findings[0]["fix"].as_str().unwrap());
        let after = host.doctor(&postfix);
        if !after.is_empty() {
            return Some(format!("{context}\nstill found after the fix: {after:#?}"));
        }
    }
    None
}

fn judge(cases: &[Case], mend: bool) {
    let host = Host::new("");
    let faults: Vec<_> = cases
        .iter()
        .filter_map(|case| fault(&host, case, mend))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n\n"));
}

#[test]
fn each_fault_is_found_alone_and_its_fix_mends_it() {
    assert!(MENDED.len() >= 25);
    judge(MENDED, true);
}

#[test]
fn faults_that_people_mend() {
    judge(SHOWN, false);
}

#[test]
fn whoever_checks_passwords_goes_on_where_nobody_asks_outgate_yet() {
    let host = Host::new("");
    let postfix = host.postfix("milter");
    postfix.edit("-P submission/inet/smtpd_milters=");
    postfix.edit("-P submissions/inet/smtpd_milters=");
    let fix = |postfix: &Postfix| {
        let findings = host.doctor(postfix);
        let found = findings
            .iter()
            .find(|finding| finding["id"] == "submission-without-outgate");
        found.unwrap()["fix"].as_str().unwrap().to_owned()
    };
    let said = fix(&postfix);
    assert!(said.contains("--wiring milter"), "{said}");
    postfix.edit("-P submission/inet/smtpd_sasl_path=outgate/auth.sock");
    postfix.edit("-P submission/inet/smtpd_sasl_type=dovecot");
    let said = fix(&postfix);
    assert!(said.contains("--wiring auth-"), "{said}");
}

/// Port 25 is for mail without a login, which must go on coming in.
#[test]
fn logins_where_mail_from_the_outside_comes_in() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    postfix.edit("-P smtp/inet/smtpd_sasl_auth_enable=yes");
    let findings = host.doctor(&postfix);
    assert_eq!(ids(&findings), ["submission-without-outgate"]);
    let fix = findings[0]["fix"].as_str().unwrap();
    assert!(!fix.contains("ORIGINATING"), "{fix}");
    // Logins there on purpose, and outgate asked about them.
    postfix.edit("-P smtp/inet/smtpd_sasl_path=outgate/auth.sock");
    postfix.edit("-P smtp/inet/smtpd_sasl_type=dovecot");
    postfix.edit("-P smtp/inet/smtpd_tls_security_level=none");
    postfix.edit("-P smtp/inet/smtpd_milters=unix:outgate/milter.sock");
    let findings = host.doctor(&postfix);
    assert_eq!(ids(&findings), ["no-tls"]);
    let fix = findings[0]["fix"].as_str().unwrap();
    assert!(fix.contains("smtpd_tls_security_level=may"), "{fix}");
    postfix.mend(fix);
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
    postfix.edit("-P smtp/inet/milter_macro_daemon_name=ORIGINATING");
    let findings = host.doctor(&postfix);
    assert_eq!(ids(&findings), ["daemon-name"]);
    assert_eq!(findings[0]["severity"], "problem");
    postfix.mend(findings[0]["fix"].as_str().unwrap());
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
}

/// Each fix writes the whole parameter: one must not bring back what another took out.
#[test]
fn two_faults_of_one_parameter_are_mended_together() {
    let host = Host::new("");
    let postfix = host.postfix("auth-milter");
    postfix
        .edit("-e receive_override_options=no_milters,no_address_mappings,no_header_body_checks");
    let findings = host.doctor(&postfix);
    assert_eq!(ids(&findings), ["no-milters", "header-body-checks-off"]);
    for finding in &findings {
        postfix.mend(finding["fix"].as_str().unwrap());
    }
    assert_eq!(host.ids(&postfix), [] as [&str; 0]);
}

#[test]
fn a_policy_check_behind_a_restriction_class_is_found_too() {
    let host = Host::new("");
    let postfix = host.postfix("auth-policy");
    for edit in [
        "-e smtpd_restriction_classes=ask",
        "-e ask=permit_sasl_authenticated, check_policy_service $og",
        &format!("-e og={POLICY}"),
        "-P submission/inet/smtpd_sender_restrictions=ask",
    ] {
        postfix.edit(edit);
    }
    assert_eq!(host.ids(&postfix), ["permit-before-policy"]);
}

#[test]
fn listeners_that_are_off_or_on_tcp() {
    let host = Host::new("[listen]\nauth = \"inet:127.0.0.1:0\"\nmilter = \"\"\npolicy = \"\"");
    let postfix = host.stock_postfix();
    postfix.edit("master.cf: submission inet n - y - - smtpd\n  -o smtpd_sasl_auth_enable=yes\n  -o smtpd_milters=unix:outgate/milter.sock\n  -o milter_macro_daemon_name=ORIGINATING");
    postfix.edit("-e message_reject_characters=\\0");
    postfix.edit("-e milter_default_action=tempfail");
    let findings = host.doctor(&postfix);
    assert_eq!(ids(&findings), ["socket-unreachable"]);
    assert!(
        findings[0]["what"]
            .as_str()
            .unwrap()
            .contains("listen.milter is switched off")
    );
}
