//! From the stock files to mail that is refused with the right words, and back, on a Postfix that runs. It has
//! an address of its own on the loopback, so that it can have the real ports.

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use crate::host::{Postfix, age, run};
use crate::site::{Site, files};

/// A Postfix that ends with the test.
struct Running<'a> {
    postfix: &'a Postfix,
    address: String,
}

impl Running<'_> {
    fn start<'a>(site: &Site, postfix: &'a Postfix) -> Running<'a> {
        let id = std::process::id();
        let address = format!(
            "127.{}.{}.{}",
            64 + (id >> 16) % 128,
            (id >> 8) % 256,
            id % 254 + 1
        );
        let key = site.host.path("key.pem");
        run(Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&key));
        for edit in [
            format!("-e inet_interfaces={address}"),
            "-e inet_protocols=ipv4".to_owned(),
            "-e myhostname=mail.test.example".to_owned(),
            "-e mydestination=".to_owned(),
            "-e default_transport=discard:".to_owned(),
            "-e alias_maps=".to_owned(),
            "-e alias_database=".to_owned(),
            format!("-e smtpd_tls_cert_file={}", key.display()),
            format!("-e smtpd_tls_key_file={}", key.display()),
        ] {
            postfix.edit(&edit);
        }
        age(&postfix.dir.join("main.cf"));
        run(Command::new("postfix")
            .arg("-c")
            .arg(&postfix.dir)
            .arg("start"));
        let running = Running { postfix, address };
        wait_for(|| running.listens(25));
        running
    }

    fn listens(&self, port: u16) -> bool {
        TcpStream::connect((self.address.as_str(), port)).is_ok()
    }

    /// A session by swaks, whatever comes of it.
    fn talk(&self, words: &str) -> String {
        let output = Command::new("swaks")
            .args([
                "--server",
                &self.address,
                "--helo",
                "client.example",
                "--to",
                "you@example.net",
            ])
            .args(["--body", "Hello."])
            .args(words.split_whitespace())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let _ = Command::new("postfix")
            .arg("-c")
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
        let talk = running.talk("--port 25 --quit-after EHLO");
        talk.lines()
            .filter(|line| line.starts_with("<-  250"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let on_25 = capabilities();
    assert!(on_25.len() > 5, "{on_25:?}");
    assert!(!running.listens(587));

    site.done(&postfix, "--apply --reload");
    assert_eq!(site.host.ids(&postfix), [] as [&str; 0]);
    site.host.outgate("domain add shop.example --trusted");
    site.host.outgate("user add shop --allow shop.example");
    wait_for(|| running.listens(587) && running.listens(465));
    let login = "--auth PLAIN --auth-user shop --auth-password";
    for (words, answer) in [
        (
            format!("--port 587 --tls {login} correct-horse --from a@shop.example"),
            "250 2.0.0 Ok: queued",
        ),
        (
            format!("--port 465 --tls-on-connect {login} correct-horse --from a@shop.example"),
            "250 2.0.0 Ok: queued",
        ),
        (
            format!("--port 587 --tls {login} wrong-horse --from a@shop.example"),
            "535 5.7.8 Error: authentication failed: Authentication failed",
        ),
        (
            format!("--port 587 --tls {login} correct-horse --from ceo@bank.example"),
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example (envelope sender)",
        ),
        (
            format!(
                "--port 587 --tls {login} correct-horse --from a@shop.example --header From:ceo@bank.example"
            ),
            "550 5.7.1 [ACL] Blocked: user shop may not send as ceo@bank.example (header From)",
        ),
        (
            "--port 587 --tls --from a@shop.example".to_owned(),
            "530 5.7.0 Authentication required",
        ),
        (
            "--port 25 --from a@shop.example".to_owned(),
            "Relay access denied",
        ),
    ] {
        let talk = running.talk(&words);
        assert!(talk.contains(answer), "{words}: {answer} is not in\n{talk}");
    }
    assert_eq!(capabilities(), on_25);

    site.done(&postfix, "--undo --reload");
    assert!(files(&postfix) == before);
    wait_for(|| !running.listens(587));
    assert_eq!(capabilities(), on_25);
}
