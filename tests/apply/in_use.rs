//! Hosts as they are found: after --apply, outgate is asked, doctor has nothing to say about it, a second
//! time changes nothing, and --undo brings back every byte.

use crate::host::Postfix;
use crate::site::{Site, files, kept, postconf};

const WIRINGS: [&str; 4] = ["auth-milter", "milter", "auth-policy", "policy"];

/// Wires it and takes that back, in each way. Postfix waits more than it works, so all at once.
#[track_caller]
fn there_and_back(name: &str, wirings: &[&str]) {
    std::thread::scope(|scope| {
        for wiring in wirings {
            scope.spawn(|| one_way(name, wiring));
        }
    });
}

fn one_way(name: &str, wiring: &str) {
    let site = Site::new("");
    let postfix = match name {
        "" => site.stock(),
        name => site.in_use(name),
    };
    let before = files(&postfix);
    let words = format!("--apply --wiring {wiring}");
    let done = site.done(&postfix, &words);
    assert_eq!(done["changed"], true, "{name} {wiring}");
    assert_eq!(done["wiring"], *wiring);
    let findings = site.host.doctor(&postfix);
    let diff = done["diff"].as_str().unwrap();
    assert!(
        findings.is_empty(),
        "{name} {wiring}: {findings:#?}\n{diff}"
    );
    others_are_as_they_were(&site, &postfix, &before);
    let wired = files(&postfix);
    let again = site.done(&postfix, &words);
    assert_eq!(again["changed"], false, "{name} {wiring}: {again:#?}");
    assert_eq!(files(&postfix), wired, "{name} {wiring}");
    assert_eq!(site.done(&postfix, "--undo")["changed"], true);
    assert!(files(&postfix) == before, "{name} {wiring}: not as it was");
    assert!(!kept(&postfix).exists());
}

/// All that is no submission service is as before, but for what is said beside outgate's own.
#[track_caller]
fn others_are_as_they_were(site: &Site, postfix: &Postfix, before: &[Vec<u8>; 2]) {
    let text = |file: &[u8]| String::from_utf8(file.to_vec()).unwrap();
    let old = site.with("", &text(&before[1]));
    std::fs::write(old.dir.join("main.cf"), &before[0]).unwrap();
    let services = |postfix: &Postfix| {
        let text = postconf(postfix, &["-M"]);
        let lines = text
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        lines.collect::<Vec<_>>()
    };
    let (old, new) = (services(&old), services(postfix));
    for line in &old {
        if is_for_logins(line) {
            continue;
        }
        let same = new.iter().any(|new| {
            let rest = new.strip_prefix(line.as_str());
            ["", " -o milter_default_action=accept"]
                .iter()
                .any(|more| rest == Some(more))
        });
        assert!(same, "{line}\nis not among\n{}", new.join("\n"));
    }
}

fn is_for_logins(line: &str) -> bool {
    let name = line.split(' ').next().unwrap_or_default();
    let port = name.rsplit(':').next().unwrap_or_default();
    ["submission", "smtps", "588", "2525"].contains(&port)
        || line.contains("smtpd_sasl_auth_enable=yes")
}

#[test]
fn as_the_distribution_installs_it() {
    there_and_back("", &["auth-milter", "auth-policy"]);
}

#[test]
fn dovecot_and_rspamd() {
    there_and_back("dovecot-rspamd", &WIRINGS);
}

#[test]
fn names_for_lists_and_an_old_dkim() {
    there_and_back("mua-variables", &WIRINGS);
}

#[test]
fn a_panel_with_a_content_filter() {
    there_and_back("panel-amavis", &WIRINGS);
}

#[test]
fn postscreen_and_containers() {
    there_and_back("postscreen-containers", &WIRINGS);
}

#[test]
fn logins_on_port_25_alone() {
    there_and_back("cyrus-port-25", &WIRINGS);
}

#[test]
fn logins_by_postfixs_defaults() {
    there_and_back("cyrus-submission", &WIRINGS);
}

#[test]
fn a_cleanup_of_its_own() {
    there_and_back("box", &WIRINGS);
}

#[test]
fn lines_that_end_as_on_windows() {
    there_and_back("line-ends", &WIRINGS);
}

/// Without --postfix it is Postfix's own.
#[test]
fn the_usual_directory() {
    let site = Site::new("");
    let postfix = site.stock();
    postfix.edit("-e multi_instance_directories=/etc/postfix-out");
    crate::host::age(&postfix.dir.join("main.cf"));
    let output = site
        .host
        .command(&["postfix", "config", "--apply", "--yes"])
        .env("MAIL_CONFIG", &postfix.dir)
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.contains("now       postfix reload\n"), "{text}");
    assert!(
        text.contains("each wired by itself (--postfix DIR): /etc/postfix-out"),
        "{text}"
    );
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
}

/// The lines that are printed leave nothing to change.
#[test]
fn what_was_wired_by_hand_stays() {
    let site = Site::new("");
    for wiring in WIRINGS {
        let postfix = site.host.postfix(wiring);
        let done = site.done(&postfix, &format!("--apply --wiring {wiring}"));
        assert_eq!(
            done["changed"],
            false,
            "{wiring}: {}",
            done["diff"].as_str().unwrap()
        );
        assert!(!kept(&postfix).exists());
    }
}
