//! From the stock files to mail that is refused with the right words, and back, on a Postfix that runs, on
//! loopback. The names of its ports stand for free ones (`known_tcp_ports`).

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::host::{Postfix, age, run};
use crate::site::{Site, files};

/// A Postfix that ends with the test.
struct Running<'a> {
    postfix: &'a Postfix,
    /// Of smtp, submission, submissions.
    ports: [u16; 3],
}

impl Running<'_> {
    fn start<'a>(site: &Site, postfix: &'a Postfix) -> Running<'a> {
        let held = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = held.map(|held| held.local_addr().unwrap().port());
        let key = site.host.path("key.pem");
        run(Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&key));
        let [smtp, submission, submissions] = ports;
        for setting in [
            format!(
                "known_tcp_ports = smtp={smtp}, submission={submission}, submissions={submissions}, smtps={submissions}"
            ),
            "inet_interfaces = loopback-only".to_owned(),
            "inet_protocols = ipv4".to_owned(),
            "myhostname = mail.test.example".to_owned(),
            "mynetworks =".to_owned(),
            "mydestination =".to_owned(),
            "default_transport = discard:".to_owned(),
            "alias_maps =".to_owned(),
            "alias_database =".to_owned(),
            format!("smtpd_tls_cert_file = {}", key.display()),
            format!("smtpd_tls_key_file = {}", key.display()),
        ] {
            postfix.edit(&format!("-e {setting}"));
        }
        age(&postfix.dir.join("main.cf"));
        let started = Command::new("postfix")
            .arg("-c")
            .arg(&postfix.dir)
            .arg("start")
            .output()
            .unwrap();
        let log = fs::read_to_string(site.host.path("mail.log")).unwrap_or_default();
        assert!(started.status.success(), "{started:?}\n{log}");
        let running = Running { postfix, ports };
        wait_for(|| running.listens(0));
        running
    }

    fn listens(&self, service: usize) -> bool {
        TcpStream::connect(("127.0.0.1", self.ports[service])).is_ok()
    }

    /// A session by swaks, whatever comes of it.
    fn talk(&self, service: usize, words: &str) -> String {
        let port = self.ports[service].to_string();
        let output = Command::new("swaks")
            .args([
                "--server",
                "127.0.0.1",
                "--port",
                &port,
                "--helo",
                "client.example",
            ])
            .args(["--to", "you@example.net", "--body", "Hello."])
            .args(words.split_whitespace())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = Command::new("timeout")
            .args(["30", "postfix", "-c"])
            .arg(&self.postfix.dir)
            .arg("stop")
            .output();
    }
}

fn wait_for(mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not within 20 s");
}

#[test]
fn from_the_stock_files_to_refused_mail_and_back() {
    let site = Site::new("");
    for name in ["", "spool"] {
        fs::set_permissions(site.host.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let postfix = site.stock();
    let running = Running::start(&site, &postfix);
    let before = files(&postfix);
    let capabilities = || {
        let talk = running.talk(0, "--quit-after EHLO");
        talk.lines()
            .filter(|line| line.starts_with("<-  250"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let on_25 = capabilities();
    assert!(on_25.len() > 5, "{on_25:?}");
    assert!(!running.listens(1));

    site.done(&postfix, "--apply --reload");
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
    site.host.outgate("domain add shop.example --trusted");
    site.host.outgate("user add shop --allow shop.example");
    wait_for(|| running.listens(1) && running.listens(2));
    for (service, words, answer) in conversations() {
        let talk = running.talk(service, &words);
        assert!(talk.contains(answer), "{words}: {answer} is not in\n{talk}");
    }
    assert_eq!(capabilities(), on_25);

    site.done(&postfix, "--undo --reload");
    assert!(files(&postfix) == before);
    wait_for(|| !running.listens(1));
    assert_eq!(capabilities(), on_25);
}

/// A service by its place among the ports, what is said to it, and a part of an answer.
fn conversations() -> Vec<(usize, String, &'static str)> {
    let login = "--auth PLAIN --auth-user shop --auth-password";
    vec![
        (
            1,
            format!("--tls {login} correct-horse --from a@shop.example"),
            "250 2.0.0 Ok: queued",
        ),
        (
            2,
            format!("--tls-on-connect {login} correct-horse --from a@shop.example"),
            "250 2.0.0 Ok: queued",
        ),
        (
            1,
            format!("--tls {login} wrong-horse --from a@shop.example"),
            "535 5.7.8 Error: authentication failed: Authentication failed",
        ),
        (
            1,
            format!("--tls {login} correct-horse --from ceo@bank.example"),
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example (envelope sender)",
        ),
        (
            1,
            format!(
                "--tls {login} correct-horse --from a@shop.example --header From:ceo@bank.example"
            ),
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example (header From)",
        ),
        (
            1,
            "--tls --from a@shop.example".to_owned(),
            "530 5.7.0 Authentication required",
        ),
        (0, "--from a@shop.example".to_owned(), "Relay access denied"),
    ]
}

/// A host in use: Rspamd asked everywhere and down just now, which the host lets pass, and lists of its own
/// for those who have logged in.
fn with_neighbours(wiring: &str, refusal: &str) {
    let site = Site::new("");
    for name in ["", "spool"] {
        fs::set_permissions(site.host.path(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
    let postfix = site.in_use("dovecot-rspamd");
    for edit in [
        "-e smtpd_milters=inet:127.0.0.1:1",
        // What asks the world's DNS.
        "-e smtpd_sender_restrictions=reject_unlisted_sender",
        "-e smtpd_recipient_restrictions=permit_mynetworks, permit_sasl_authenticated, reject_unauth_destination",
        "-e virtual_transport=discard:",
        "-e virtual_mailbox_maps=",
        "master.cf: discard unix - - y - - discard\nproxymap unix - - n - - proxymap\nerror unix - - y - - error\n\
         defer unix - - y - 0 bounce\ntrace unix - - y - 0 bounce\nretry unix - - y - - error",
    ] {
        postfix.edit(edit);
    }
    site.done(&postfix, &format!("--apply --wiring {wiring}"));
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
    site.host.outgate("domain add shop.example --trusted");
    site.host.outgate("user add shop --allow shop.example");
    let running = Running::start(&site, &postfix);
    wait_for(|| running.listens(1) && running.listens(2));
    // Without a login, as before: in, but not through, and nobody can log in there.
    let talk = running.talk(0, "--to jane@family.example --from a@shop.example");
    assert!(talk.contains("250 2.0.0 Ok: queued"), "{talk}");
    assert!(!talk.contains("AUTH"), "{talk}");
    let talk = running.talk(0, "--from a@shop.example");
    assert!(talk.contains("Relay access denied"), "{talk}");
    let login = "--auth PLAIN --auth-user shop --auth-password correct-horse";
    for (service, tls) in [(1, "--tls"), (2, "--tls-on-connect")] {
        let talk = running.talk(service, &format!("{tls} {login} --from a@shop.example"));
        assert!(talk.contains("250 2.0.0 Ok: queued"), "{talk}");
        let talk = running.talk(service, &format!("{tls} {login} --from ceo@bank.example"));
        assert!(talk.contains(refusal), "{talk}");
        let talk = running.talk(service, &format!("{tls} --from a@shop.example"));
        assert!(!talk.contains("queued"), "{talk}");
    }
}

#[test]
fn beside_rspamd_as_a_milter() {
    let refusal = "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example";
    with_neighbours("auth-milter", refusal);
}

#[test]
fn beside_rspamd_as_a_policy_server() {
    let refusal = "550 5.7.1 <ceo@bank.example>: Sender address rejected: [ACL] Blocked: user shop";
    with_neighbours("auth-policy", refusal);
}
