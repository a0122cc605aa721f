//! When a user was last used: at its logins and its accepted mail, and nothing else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::site::Site;
use crate::submission::Policy;

fn last_used(site: &Site, name: &str) -> Value {
    let shown = site.done(&["--json", "user", "show", name]);
    serde_json::from_str::<Value>(&shown).unwrap()["last_used_at"].clone()
}

fn log_in(site: &Site, name: &str, password: &str) -> String {
    let mut session = site.connect("auth");
    session.handshake();
    let response = STANDARD.encode(format!("\0{name}\0{password}"));
    let line = format!("AUTH\t1\tPLAIN\tservice=smtp\trip=192.0.2.7\tresp={response}\n");
    session.send(line.as_bytes());
    session.line()
}

#[test]
fn a_use_is_a_login_or_an_accepted_message() {
    let site = Site::new();
    let daemon = site.ready();
    site.done(&["domain", "add", "example.com", "--trusted"]);
    let mut passwords = Vec::new();
    for name in ["sends", "refused", "asks", "enters", "guessed", "idle"] {
        let grant = if name == "refused" {
            "--allow="
        } else {
            "--allow=example.com"
        };
        let added = site.done(&["--json", "user", "add", name, grant]);
        let added: Value = serde_json::from_str(&added).unwrap();
        passwords.push(added["password"].as_str().unwrap().to_owned());
    }
    let mut policy = Policy::connect(&site).unwrap();
    assert_eq!(policy.data("sends", "1.1").unwrap(), "DUNNO");
    assert!(policy.data("refused", "1.2").unwrap().starts_with("550 "));
    assert_eq!(policy.rcpt("asks", "1.3").unwrap(), "DUNNO");
    let entered = log_in(&site, "enters", &passwords[3]);
    assert!(entered.starts_with("OK\t1\tuser=enters"), "{entered}");
    let guessed = log_in(&site, "guessed", "not the password");
    assert!(guessed.starts_with("FAIL\t1"), "{guessed}");
    // What has gathered is stored at the end at the latest.
    daemon.stop();
    for (name, used) in [
        ("sends", true),
        ("refused", false),
        ("asks", false),
        ("enters", true),
        ("guessed", false),
        ("idle", false),
    ] {
        let time = last_used(&site, name);
        assert_eq!(time != json!(null), used, "{name}: {time}");
        // Whole seconds.
        assert!(!time.to_string().contains('.'), "{time}");
    }
}
