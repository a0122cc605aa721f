//! Whatever a service says beside what outgate needs, it says afterwards too.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::site::{Site, files, postconf};

/// Parameters of smtpd that outgate has no opinion on.
const NAMES: [&str; 12] = [
    "syslog_name",
    "smtpd_banner",
    "smtpd_client_connection_count_limit",
    "smtpd_tls_mandatory_ciphers",
    "smtpd_tls_exclude_ciphers",
    "smtpd_reject_footer",
    "smtpd_etrn_restrictions",
    "content_filter",
    "cleanup_service_name",
    "smtpd_sender_login_maps",
    "my_own",
    "smtpd_helo_required",
];

/// A value as it stands in a file: braces in pairs, white space inside.
fn value() -> impl Strategy<Value = String> {
    let word = "[a-zA-Z0-9:/_.,@%!<>=+*?|'\"\\\\\\[\\]-]{1,12}";
    let braced = word.prop_map(|word| format!("{{ {word}, {{ a = {word} }} }}"));
    let name = "[a-z]{3,8}".prop_map(|name| format!("${{{name}?{{x $y}}:{{z}}}}"));
    let part = prop_oneof![4 => word, 1 => braced, 1 => name];
    proptest::collection::vec(part, 0..4).prop_map(|parts| parts.join(" "))
}

/// Options of one service: each name once.
fn options() -> impl Strategy<Value = Vec<(usize, String)>> {
    proptest::collection::btree_map(0..NAMES.len(), value(), 0..8)
        .prop_map(|map| map.into_iter().collect())
}

#[test]
fn other_options_stay() {
    let site = Site::new("");
    let mut runner = TestRunner::new(Config {
        cases: 3,
        failure_persistence: None,
        ..Config::default()
    });
    let services = proptest::collection::vec((options(), any::<bool>()), 12);
    let wirings = prop_oneof![Just("auth-milter"), Just("auth-policy")];
    let result = runner.run(&(services, wirings), |(services, wiring)| {
        let mut master = String::new();
        for (number, (options, braces)) in services.iter().enumerate() {
            let address = match number {
                0 => "[::1]".to_owned(),
                number => format!("127.0.0.{number}"),
            };
            master.push_str(&format!("{address}:587 inet n - y - - smtpd\n"));
            for (name, value) in options {
                let name = NAMES[*name];
                let plain = !value.contains(' ') && !braces && !value.starts_with('{');
                master.push_str(&match plain {
                    true => format!("  -o {name}={value}\n"),
                    false => format!("  -o {{ {name} = {value} }}\n"),
                });
            }
        }
        master.push_str("postlog unix-dgram n - n - 1 postlogd\n");
        let postfix = site.with(
            "smtpd_milters = inet:127.0.0.1:11332, inet:127.0.0.1:8891\n",
            &master,
        );
        let before = files(&postfix);
        let options = || {
            let text = postconf(&postfix, &["-P"]);
            let ours = |line: &&str| {
                NAMES
                    .iter()
                    .any(|name| line.contains(&format!("/inet/{name} =")))
            };
            text.lines()
                .filter(ours)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        let old = options();
        let done = site.done(&postfix, &format!("--apply --wiring {wiring}"));
        prop_assert_eq!(done["services"].as_array().unwrap().len(), 12);
        prop_assert_eq!(options(), old);
        prop_assert_eq!(
            site.done(&postfix, &format!("--apply --wiring {wiring}"))["changed"].clone(),
            false
        );
        site.done(&postfix, "--undo");
        prop_assert!(files(&postfix) == before);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}
