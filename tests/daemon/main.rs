//! The daemon as a process: how it starts, what it says, how it takes signals, and what it does
//! while its store is in trouble. Over real sockets, on real files.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rusqlite::Connection;
use tempfile::TempDir;

struct Daemon {
    dir: TempDir,
    child: Option<Child>,
}

impl Daemon {
    fn prepared(config: &str) -> Daemon {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display();
        let text = format!(
            "[store]\nurl = \"sqlite:{at}/state/outgate.db\"\n[listen]\nauth = \"unix:{at}/auth.sock\"\n\
             policy = \"unix:{at}/policy.sock\"\nmilter = \"unix:{at}/milter.sock\"\n\
             [auth]\nhash = {{ memory-kib = 64, iterations = 1 }}\n{config}"
        );
        fs::write(dir.path().join("outgate.toml"), text).unwrap();
        Daemon { dir, child: None }
    }

    fn started(config: &str) -> Daemon {
        let mut daemon = Daemon::prepared(config);
        daemon.start();
        daemon
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command.arg("-c").arg(self.path("outgate.toml"));
        command
    }

    fn spawn(&mut self) -> BufReader<std::process::ChildStdout> {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .unwrap();
        let mut child = self
            .command()
            .arg("serve")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        self.child = Some(child);
        out
    }

    /// Starts it and waits for `ready`; returns what it said before.
    fn start(&mut self) -> Vec<String> {
        let out = self.spawn();
        let lines: Vec<String> = out
            .lines()
            .map_while(Result::ok)
            .take_while(|l| l != "ready")
            .collect();
        assert!(
            self.child.as_mut().unwrap().try_wait().unwrap().is_none(),
            "{}",
            self.log()
        );
        lines
    }

    fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &pid])
                .status()
                .unwrap()
                .success()
        );
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.take().unwrap().wait().unwrap()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    fn outgate(&self, line: &str) -> (Option<i32>, String) {
        let output = self
            .command()
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    }

    fn done(&self, line: &str) -> String {
        let (code, text) = self.outgate(line);
        assert_eq!(code, Some(0), "{line}: {text}");
        text
    }

    fn policy(&self) -> Policy {
        Policy(BufReader::new(
            UnixStream::connect(self.path("policy.sock")).unwrap(),
        ))
    }

    /// The answer to an AUTH handshake.
    fn handshake(&self) -> String {
        let mut stream = UnixStream::connect(self.path("auth.sock")).unwrap();
        stream.write_all(b"VERSION\t1\t0\nCPID\t1\n").unwrap();
        let mut text = String::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            text.push_str(&line);
            text.push('\n');
            if line == "DONE" {
                return text;
            }
        }
        panic!("no handshake: {text}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log());
        }
    }
}

/// A connection to the policy front end.
struct Policy(BufReader<UnixStream>);

impl Policy {
    fn ask(&mut self, user: &str, sender: &str) -> String {
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state=RCPT\nsender={sender}\nsasl_method=PLAIN\nsasl_username={user}\n\
             client_address=192.0.2.7\nclient_port=4000\ninstance=1.2.3.4\nrecipient_count=0\n\n"
        );
        self.0.get_mut().write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        let mut blank = String::new();
        self.0.read_line(&mut blank).unwrap();
        answer.trim_end().to_owned()
    }
}

/// Waits for a condition, for a while.
fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not within 10 s: {what}");
}

#[test]
fn it_says_where_it_listens_and_ends_with_0() {
    let mut daemon = Daemon::prepared("");
    let said = daemon.start();
    for (line, name) in said.iter().zip(["auth", "policy", "milter"]) {
        let path = daemon.path(&format!("{name}.sock"));
        assert_eq!(
            *line,
            format!("listening front_end={name} address=unix:{}", path.display())
        );
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o660);
    }
    assert_eq!(said.len(), 3);
    for name in ["state/outgate.db", "state/control.sock"] {
        assert_eq!(
            fs::metadata(daemon.path(name)).unwrap().mode() & 0o777,
            0o600,
            "{name}"
        );
    }
    let idle = [
        UnixStream::connect(daemon.path("policy.sock")),
        UnixStream::connect(daemon.path("auth.sock")),
    ];
    daemon.signal("TERM");
    assert_eq!(daemon.wait().code(), Some(0), "{}", daemon.log());
    drop(idle);
    // What it left behind is no obstacle.
    daemon.start();
    daemon.signal("INT");
    assert_eq!(daemon.wait().code(), Some(0));
}

#[test]
fn a_port_of_0_is_shown_as_the_one_it_got() {
    let dir = Daemon::prepared("");
    let text = fs::read_to_string(dir.path("outgate.toml")).unwrap();
    let policy = format!("policy = \"unix:{}\"", dir.path("policy.sock").display());
    fs::write(
        dir.path("outgate.toml"),
        text.replace(&policy, "policy = \"inet:127.0.0.1:0\""),
    )
    .unwrap();
    let mut daemon = dir;
    let said = daemon.start();
    let address = said[1].rsplit_once("inet:").unwrap().1;
    assert!(!address.ends_with(":0"), "{said:?}");
    std::net::TcpStream::connect(address).unwrap();
}

#[test]
fn a_second_daemon_does_not_take_the_sockets_of_the_first() {
    let first = Daemon::started("");
    let output = first.command().arg("serve").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    first.handshake();
    // Nor does one with another store.
    let mut other = Daemon::prepared("");
    let text = fs::read_to_string(other.path("outgate.toml")).unwrap();
    let (theirs, ours) = (other.path("auth.sock"), first.path("auth.sock"));
    let text = text.replace(&theirs.display().to_string(), &ours.display().to_string());
    fs::write(other.path("outgate.toml"), text).unwrap();
    other.spawn().read_to_string(&mut String::new()).unwrap();
    assert_eq!(other.wait().code(), Some(1));
    assert!(
        other.log().contains("another process listens there"),
        "{}",
        other.log()
    );
    first.handshake();
}

#[test]
fn a_wrong_configuration_is_78_with_its_place() {
    let mut daemon = Daemon::prepared("[milter]\nmax-conections = 1\n");
    daemon.spawn().read_to_string(&mut String::new()).unwrap();
    assert_eq!(daemon.wait().code(), Some(78));
    assert!(
        daemon
            .log()
            .contains("outgate.toml:10: milter.max-conections"),
        "{}",
        daemon.log()
    );
}

#[test]
fn a_reload_takes_what_is_right_and_keeps_what_was() {
    let daemon = Daemon::started("");
    let good = fs::read_to_string(daemon.path("outgate.toml")).unwrap();
    let mut policy = daemon.policy();
    assert!(
        policy
            .ask("nobody", "a@example.com")
            .starts_with("action=550")
    );
    fs::write(
        daemon.path("outgate.toml"),
        format!("{good}[enforcement]\nunknown-user = \"allow\"\n"),
    )
    .unwrap();
    daemon.signal("HUP");
    wait_for("the new rule", || {
        policy.ask("nobody", "a@example.com") == "action=DUNNO"
    });
    fs::write(
        daemon.path("outgate.toml"),
        format!("{good}[enforcement]\nunknown-user = \"perhaps\"\n"),
    )
    .unwrap();
    daemon.signal("HUP");
    wait_for("a complaint", || {
        daemon.log().contains("enforcement.unknown-user")
    });
    assert_eq!(policy.ask("nobody", "a@example.com"), "action=DUNNO");
    let moved = good.replace("policy.sock", "elsewhere.sock");
    fs::write(daemon.path("outgate.toml"), moved).unwrap();
    daemon.signal("HUP");
    wait_for("a remark", || daemon.log().contains("restart"));
    assert!(!daemon.path("elsewhere.sock").exists());
}

#[test]
fn a_change_works_on_the_next_question() {
    let daemon = Daemon::started("");
    daemon.done("domain add example.com --trusted");
    daemon.done("user add shop --allow example.com");
    let mut policy = daemon.policy();
    for _ in 0..20 {
        assert_eq!(policy.ask("shop", "a@example.com"), "action=DUNNO");
        daemon.done("user suspend shop");
        assert!(policy.ask("shop", "a@example.com").contains("is suspended"));
        daemon.done("user resume shop");
    }
    daemon.done("domain remove example.com");
    assert!(
        policy
            .ask("shop", "a@example.com")
            .contains("[ACL] Blocked")
    );
}

#[test]
fn the_handshake_does_not_wait_for_the_store() {
    let mut daemon = Daemon::started("");
    daemon.signal("TERM");
    daemon.wait();
    let lock = Connection::open(daemon.path("state/outgate.db")).unwrap();
    lock.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; CREATE TABLE x(y);")
        .unwrap();
    let out = daemon.spawn();
    let mut lines = out.lines().map_while(Result::ok);
    assert!(lines.any(|line| line.starts_with("listening front_end=milter")));
    assert!(daemon.handshake().contains("MECH\tPLAIN"));
    assert!(
        daemon
            .policy()
            .ask("shop", "a@example.com")
            .starts_with("action=451 4.3.0")
    );
    drop(lock);
    assert!(lines.any(|line| line == "ready"));
    wait_for("an answer", || {
        daemon
            .policy()
            .ask("shop", "a@example.com")
            .starts_with("action=550")
    });
}

#[test]
fn a_store_that_is_gone_defers_and_comes_back() {
    let daemon = Daemon::started("");
    daemon.done("domain add example.com --trusted");
    daemon.done("user add shop --allow example.com");
    let mut policy = daemon.policy();
    assert_eq!(policy.ask("shop", "a@example.com"), "action=DUNNO");
    let (state, aside) = (
        daemon.path("state/outgate.db"),
        daemon.path("state/aside.db"),
    );
    fs::rename(&state, &aside).unwrap();
    wait_for("trouble", || {
        policy
            .ask("shop", "a@example.com")
            .starts_with("action=451 4.3.0")
    });
    daemon.handshake();
    fs::rename(&aside, &state).unwrap();
    wait_for("recovery", || {
        policy.ask("shop", "a@example.com") == "action=DUNNO"
    });
    // Locked for writing: what needs no write goes on.
    let lock = Connection::open(&state).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert_eq!(policy.ask("shop", "a@example.com"), "action=DUNNO");
    let (code, text) = daemon.outgate("user suspend shop");
    assert_eq!(code, Some(75), "{text}");
    lock.execute_batch("ROLLBACK").unwrap();
    daemon.done("user suspend shop");
    assert!(policy.ask("shop", "a@example.com").contains("is suspended"));
}

#[test]
fn nonsense_and_crowds_hurt_nobody_else() {
    let daemon = Daemon::started("");
    let mut policy = daemon.policy();
    for name in [
        "auth.sock",
        "policy.sock",
        "milter.sock",
        "state/control.sock",
    ] {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            &[0xff; 100_000],
            b"\n\n\n",
            b"{\"ask\":",
        ] {
            let mut stream = UnixStream::connect(daemon.path(name)).unwrap();
            // It may be closed before all is written.
            let _ = stream.write_all(bytes);
        }
    }
    let crowd: Vec<UnixStream> = (0..500)
        .map(|_| UnixStream::connect(daemon.path("policy.sock")).unwrap())
        .collect();
    assert!(
        policy
            .ask("nobody", "a@example.com")
            .starts_with("action=550")
    );
    daemon.handshake();
    let status: serde_json::Value = serde_json::from_str(&daemon.done("--json status")).unwrap();
    assert_eq!(status["panics"], 0);
    drop(crowd);
}

#[test]
fn a_store_of_somebody_else_is_not_touched() {
    let mut daemon = Daemon::prepared("");
    fs::create_dir(daemon.path("state")).unwrap();
    fs::set_permissions(daemon.path("state"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(daemon.path("state/outgate.db"), "precious, and no database").unwrap();
    daemon.spawn().read_to_string(&mut String::new()).unwrap();
    assert_eq!(daemon.wait().code(), Some(1), "{}", daemon.log());
    assert_eq!(
        fs::read_to_string(daemon.path("state/outgate.db")).unwrap(),
        "precious, and no database"
    );
}
