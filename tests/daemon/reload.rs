//! SIGHUP.

use rustix::process::Signal;

use crate::site::Site;

const AUDIT: &str = "[enforcement]\nmode = \"audit\"\n";

#[test]
fn a_good_file_is_in_force_from_the_next_question_on() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let mut session = site.connect("policy");
    assert!(session.policy("a@other.example").starts_with("550 5.7.1 "));
    site.configure(&site.listen(), AUDIT);
    daemon.signal(Signal::HUP);
    daemon
        .err
        .wait("reload", |line| line.contains("configuration reloaded"));
    assert_eq!(session.policy("a@other.example"), "DUNNO");
    assert!(!daemon.err.text().contains("wait for a restart"));
    daemon.stop();
}

#[test]
fn a_broken_file_changes_nothing_and_is_named() {
    let site = Site::with(AUDIT);
    let daemon = site.ready();
    site.shop();
    for (broken, place) in [
        (
            "[enforcement]\nmode = \"aduit\"\n",
            ":2: enforcement.mode: ",
        ),
        (
            "[enforcement]\nmoed = \"enforce\"\n",
            ":2: enforcement.moed: ",
        ),
    ] {
        std::fs::write(site.config(), broken).unwrap();
        daemon.signal(Signal::HUP);
        let place = format!("{}{place}", site.config().display());
        let line = daemon.err.wait("complaint", |line| line.contains(&place));
        assert!(line.contains("not reloaded"), "{line}");
        assert_eq!(site.policy("a@other.example"), "DUNNO");
    }
    std::fs::remove_file(site.config()).unwrap();
    daemon.signal(Signal::HUP);
    daemon
        .err
        .wait("complaint", |line| line.contains("cannot read it"));
    assert_eq!(site.policy("a@other.example"), "DUNNO");
    site.configure(&site.listen(), "");
    daemon.stop();
}

#[test]
fn what_needs_a_restart_is_named_and_waits() {
    let site = Site::new();
    let daemon = site.ready();
    site.shop();
    let listen = site.listen().replace("/policy\"", "/other\"");
    let sessions = "[milter]\nmax-connections = 7\n";
    site.configure(
        &format!("{listen}socket-mode = \"0600\"\n"),
        &format!("{AUDIT}{sessions}"),
    );
    daemon.signal(Signal::HUP);
    let line = daemon
        .err
        .wait("keys", |line| line.contains("wait for a restart"));
    let keys = "listen.policy, listen.socket-mode, milter.max-connections";
    assert!(line.contains(keys), "{line}");
    assert!(!line.contains("store"), "{line}");
    // The rest of the file is in force.
    assert_eq!(site.policy("a@other.example"), "DUNNO");
    assert!(!site.socket("other").exists());
}

#[test]
fn the_form_of_the_log_follows() {
    let site = Site::new();
    let daemon = site.ready();
    site.configure(&site.listen(), "[log]\nformat = \"json\"\n");
    daemon.signal(Signal::HUP);
    let line = daemon
        .err
        .wait("reload", |line| line.contains("configuration reloaded"));
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["message"], "configuration reloaded");
}
