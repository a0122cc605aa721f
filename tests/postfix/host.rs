//! A private Postfix with an outgate and a name server beside it: own directories, loopback only,
//! `discard:` transport, wired with the very files of `postfix/`. Never touches the mail service of
//! the host. outgate asks this name server alone, and Postfix, which relays nothing, asks none.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use outgate::model::quota::Unit;
use serde_json::Value;
use tempfile::TempDir;

use crate::counters;
use crate::held::Held;
use crate::nameserver::{Server, Zone};
use crate::smtp::Smtp;

/// How a host is set up.
#[derive(Clone, Copy)]
pub struct Setup {
    /// The name of the file in `postfix/`.
    pub wiring: &'static str,
    /// The fifth column of master.cf.
    pub chroot: bool,
    /// `smtpd_delay_reject`.
    pub delay_reject: bool,
    /// The service asks for STARTTLS, as in the file; otherwise those lines are left out.
    pub tls: bool,
    /// More options of the service. One that the file has too replaces it.
    pub options: &'static str,
    /// More lines of main.cf.
    pub main: &'static str,
    /// More of outgate's configuration. It comes last, after `[dns]`.
    pub config: &'static str,
    /// The sockets stay open while outgate is not running.
    pub held: bool,
    /// What the name server says, in the lines of its zone file; it denies the rest.
    pub zone: &'static str,
}

impl Setup {
    /// Without TLS, otherwise as the file says.
    pub fn new(wiring: &'static str) -> Setup {
        Setup {
            wiring,
            chroot: true,
            delay_reject: false,
            tls: false,
            options: "",
            main: "",
            config: "",
            held: false,
            zone: "",
        }
    }
}

impl Setup {
    /// A line of the file that does not count: replaced, or about TLS where there is none.
    fn leaves_out(&self, line: &str) -> bool {
        let replaced = option(line).is_some_and(|name| {
            let mut given = self.options.lines().filter_map(option);
            name == "smtpd_delay_reject" || given.any(|given| given == name)
        });
        replaced || (!self.tls && line.contains("smtpd_tls_"))
    }
}

/// A running host. Everything ends with it.
pub struct Host {
    dir: TempDir,
    outgate: Option<Child>,
    held: Option<Held>,
    /// What outgate asks.
    pub nameserver: Server,
    /// Where the submission service listens.
    pub port: u16,
}

const SERVICES: &str = include_str!("services.master.cf");

impl Host {
    /// Starts both, with these users and domains.
    pub fn start(setup: Setup, commands: &[&str]) -> Host {
        let dir = tempfile::Builder::new().prefix("og").tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for name in ["etc", "spool", "data", "log", "spool/outgate"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        run(Command::new("chown")
            .arg("postfix")
            .arg(dir.path().join("data")));
        let sockets = dir.path().join("spool/outgate");
        run(Command::new("chgrp").arg("postfix").arg(&sockets));
        fs::set_permissions(&sockets, fs::Permissions::from_mode(0o2750)).unwrap();
        let ports = free_ports();
        let mut host = Host {
            dir,
            outgate: None,
            held: setup.held.then(|| Held::bind(&sockets)),
            nameserver: Server::start(Zone::parse(setup.zone).unwrap()),
            port: ports[0],
        };
        host.configure(setup, ports);
        host.start_outgate();
        for command in commands {
            host.outgate(command);
        }
        host.postfix("start");
        wait_for("Postfix listens", || {
            std::net::TcpStream::connect(("127.0.0.1", host.port)).is_ok()
        });
        host
    }

    fn configure(&self, setup: Setup, ports: [u16; 2]) {
        let dir = self.dir.path().display().to_string();
        let file = |name: &str| {
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("postfix")
                .join(name);
            fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        };
        let main = format!(
            "{}\ncompatibility_level = 3.6\nqueue_directory = {dir}/spool\ndata_directory = {dir}/data\n\
             maillog_file = {dir}/log/mail.log\nmaillog_file_prefixes = {dir}\nmyhostname = mail.test.example\n\
             mydestination = o.test\ninet_interfaces = loopback-only\ninet_protocols = ipv4\n\
             default_transport = discard:\nlocal_transport = discard:\nalias_maps =\nalias_database =\nlocal_recipient_maps =\n\
             smtpd_tls_cert_file = {dir}/etc/cert.pem\nsmtpd_tls_key_file = {dir}/etc/key.pem\n\
             smtpd_authorized_xclient_hosts = 127.0.0.0/8\nsmtpd_error_sleep_time = 0\nsmtputf8_enable = yes\n\
             smtpd_sasl_type = dovecot\nsmtpd_sasl_path = outgate/auth.sock\n\
             local_header_rewrite_clients =\n{}",
            file("main.cf"),
            setup.main
        );
        fs::write(self.path("etc/main.cf"), main).unwrap();
        // Postfix's programs wait until it has not been changed for a second, lest they read half of it.
        run(Command::new("touch")
            .args(["-d", "1 minute ago"])
            .arg(self.path("etc/main.cf")));
        let chroot = if setup.chroot { "y" } else { "n" };
        let delay = if setup.delay_reject { "yes" } else { "no" };
        let mut master = String::new();
        for line in file(&format!("{}.master.cf", setup.wiring)).lines() {
            let line = line
                .replace(
                    "submissions inet n - y",
                    &format!("127.0.0.1:{} inet n - {chroot}", ports[1]),
                )
                .replace(
                    "submission inet n - y",
                    &format!("127.0.0.1:{} inet n - {chroot}", ports[0]),
                );
            if setup.leaves_out(&line) {
                continue;
            }
            master.push_str(&line);
            master.push('\n');
            if line.contains("syslog_name") {
                master.push_str(&format!(
                    "  -o smtpd_delay_reject={delay}\n{}",
                    setup.options
                ));
            }
        }
        fs::write(self.path("etc/master.cf"), master + SERVICES).unwrap();
        self.certify();
        let require_tls = setup.tls;
        let config = format!(
            "[store]\nurl = \"sqlite:{dir}/state/outgate.db\"\n[listen]\nauth = \"unix:{dir}/spool/outgate/auth.sock\"\n\
             policy = \"unix:{dir}/spool/outgate/policy.sock\"\nmilter = \"unix:{dir}/spool/outgate/milter.sock\"\n\
             [auth]\nrequire-tls = {require_tls}\nhash = {{ memory-kib = 64, iterations = 1 }}\n[log]\nformat = \"json\"\n\
             [dns]\nservers = [\"{}\"]\n{}",
            self.nameserver.address(),
            setup.config
        );
        fs::write(self.path("outgate.toml"), config).unwrap();
    }

    fn certify(&self) {
        run(Command::new("openssl")
            .args([
                "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test",
            ])
            .arg("-keyout")
            .arg(self.path("etc/key.pem"))
            .arg("-out")
            .arg(self.path("etc/cert.pem")));
    }

    /// A file of this host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command.arg("-c").arg(self.path("outgate.toml"));
        command
    }

    /// Starts the daemon and waits for its `ready`.
    pub fn start_outgate(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("outgate.log"))
            .unwrap();
        let mut command = self.command();
        command.arg("serve");
        if let Some(held) = &self.held {
            command = held.hand_over(&command);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let ready = out
            .lines()
            .map_while(Result::ok)
            .any(|line| line == "ready");
        assert!(ready, "outgate is not ready:\n{}", self.log_text());
        self.outgate = Some(child);
    }

    /// SIGTERM, and the end.
    pub fn stop_outgate(&mut self) {
        self.terminate_outgate();
        let mut child = self.outgate.take().unwrap();
        assert!(child.wait().unwrap().success());
    }

    /// SIGTERM. What is under way goes on for a while.
    pub fn terminate_outgate(&self) {
        let child = self.outgate.as_ref().unwrap();
        run(Command::new("kill").arg(child.id().to_string()));
    }

    /// SIGKILL, and the end.
    pub fn kill_outgate(&mut self) {
        let mut child = self.outgate.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// What a user, or `account:NAME`, has used in the window `total`.
    #[track_caller]
    pub fn used(&self, subject: &str, unit: Unit) -> u64 {
        counters::used(&self.path("state/outgate.db"), subject, unit)
    }

    /// A command line; `~` stands for a space inside a word. `user add` gets the password `correct-horse`.
    pub fn outgate(&self, line: &str) -> String {
        let output = self.run_outgate(line);
        assert!(
            output.status.success(),
            "outgate {line}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// A command line that is refused: exit 1.
    pub fn outgate_refuses(&self, line: &str) {
        let output = self.run_outgate(line);
        assert_eq!(output.status.code(), Some(1), "outgate {line}: {output:?}");
    }

    /// A command line, whatever comes of it.
    pub fn run_outgate(&self, line: &str) -> Output {
        let words = line.split_whitespace().map(|word| word.replace('~', " "));
        let mut command = self.command();
        command.args(words);
        if line.starts_with("user add ") {
            command.arg("--password-stdin");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // Not every command reads it.
        let _ = std::io::Write::write_all(&mut stdin, b"correct-horse\n");
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    /// A message in the queue, as Postfix would send it on.
    pub fn queued(&self, queue_id: &str) -> String {
        let output = Command::new("postcat")
            .arg("-c")
            .arg(self.path("etc"))
            .args(["-bhq", queue_id])
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    fn postfix(&self, word: &str) {
        run(Command::new("postfix")
            .arg("-c")
            .arg(self.path("etc"))
            .arg(word));
    }

    /// A new SMTP session, after EHLO.
    pub fn connect(&self) -> Smtp {
        Smtp::connect(self.port)
    }

    /// The decisions logged so far.
    pub fn decisions(&self) -> Vec<Value> {
        self.log_text()
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .filter(|line| line.get("verdict").is_some())
            .collect()
    }

    /// The last decision about this sender, once it is there.
    pub fn decision_about(&self, sender: &str) -> Value {
        let mut found = None;
        wait_for(&format!("a decision about {sender}"), || {
            found = self
                .decisions()
                .into_iter()
                .rev()
                .find(|d| d["mail_from"] == sender);
            found.is_some()
        });
        found.unwrap()
    }

    /// What `outgate explain -` answers to the lines of this text.
    pub fn explain(&self, text: &str) -> Vec<Value> {
        let file = self.path("lines");
        fs::write(&file, text).unwrap();
        let output = self
            .command()
            .args(["--json", "explain", "-"])
            .stdin(fs::File::open(file).unwrap())
            .output()
            .unwrap();
        assert!(!output.stdout.is_empty(), "{text}: {output:?}");
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What `outgate explain` answers to an id, once its line has landed in the store.
    pub fn explain_id(&self, id: &str) -> Value {
        let mut answer = None;
        wait_for(&format!("decision {id}"), || {
            let output = self
                .command()
                .args(["--json", "explain", id])
                .output()
                .unwrap();
            answer = serde_json::from_slice(&output.stdout).ok();
            answer.is_some()
        });
        answer.unwrap()
    }

    /// Everything that Postfix logged.
    pub fn mail_log(&self) -> String {
        fs::read_to_string(self.path("log/mail.log")).unwrap_or_default()
    }

    /// Everything that outgate logged.
    pub fn log_text(&self) -> String {
        fs::read_to_string(self.path("outgate.log")).unwrap_or_default()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        stop(&self.path("etc"), &self.path("spool"));
        if let Some(mut child) = self.outgate.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- outgate\n{}", self.log_text());
            let mail = fs::read_to_string(self.path("log/mail.log")).unwrap_or_default();
            eprintln!("--- Postfix\n{mail}");
        }
    }
}

/// The name that a line `-o NAME=VALUE` or `-o { NAME = VALUE }` sets.
fn option(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix("-o ")?;
    let name = name.trim_start_matches(['{', ' ']);
    Some(name.split_once('=')?.0.trim_end())
}

fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}; `make test` installs what the tests need"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Ports that were free a moment ago: master.cf cannot ask for any free one.
fn free_ports() -> [u16; 2] {
    let held: Vec<TcpListener> = (0..2)
        .map(|_| TcpListener::bind("127.0.0.1:0").unwrap())
        .collect();
    [0, 1].map(|i: usize| held[i].local_addr().unwrap().port())
}

/// Waits for a condition, for a while.
pub fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    panic!("not within 20 s: {what}");
}

/// Ends a private Postfix. What says that it is being stopped says so to a postlogd that may hang: then all of
/// its processes are killed.
fn stop(etc: &Path, spool: &Path) {
    let both =
        "timeout --kill-after=5 30 postfix -c \"$0\" stop || kill -9 -- -$(tr -d ' ' <\"$1\")";
    let done = Command::new("sh")
        .args(["-c", both])
        .arg(etc)
        .arg(spool.join("pid/master.pid"))
        .output();
    drop(done);
}
