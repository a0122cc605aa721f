//! A directory with a configuration, the daemon that runs there, and clients for its sockets.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use outgate::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};

/// Nothing that works takes this long on the slowest machine.
pub const LONG: Duration = Duration::from_secs(30);

/// Passwords are hashed as cheaply as the configuration allows.
const CHEAP: &str =
    "[auth]\nrequire-tls = false\nhash = { memory-kib = 64, iterations = 1, parallelism = 1 }\n";

/// Where a daemon runs.
pub struct Site {
    dir: tempfile::TempDir,
}

impl Site {
    /// Unix sockets for all front ends.
    pub fn new() -> Site {
        Site::with("")
    }

    /// With more tables in the configuration.
    pub fn with(more: &str) -> Site {
        let site = Site {
            dir: tempfile::tempdir().unwrap(),
        };
        std::fs::create_dir(site.path("sockets")).unwrap();
        site.configure(&site.listen(), more);
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn config(&self) -> PathBuf {
        self.path("outgate.toml")
    }

    pub fn database(&self) -> PathBuf {
        self.path("state/outgate.db")
    }

    pub fn socket(&self, name: &str) -> PathBuf {
        self.path("sockets").join(name)
    }

    /// The lines of `[listen]`.
    pub fn listen(&self) -> String {
        let mut lines = String::new();
        for door in ["auth", "policy", "milter"] {
            let path = self.socket(door);
            writeln!(lines, "{door} = \"unix:{}\"", path.display()).unwrap();
        }
        lines
    }

    /// Writes the configuration file.
    pub fn configure(&self, listen: &str, more: &str) {
        let store = self.database();
        let store = store.display();
        let text = format!("[store]\nurl = \"sqlite:{store}\"\n[listen]\n{listen}{CHEAP}{more}");
        std::fs::write(self.config(), text).unwrap();
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command.env_clear().arg("-c").arg(self.config()).args(args);
        command
    }

    /// Runs a command that has to succeed; what it prints.
    #[track_caller]
    pub fn done(&self, args: &[&str]) -> String {
        let ran = self.command(args).stdin(Stdio::null()).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// `shop` may send as example.com.
    pub fn shop(&self) {
        self.done(&["domain", "add", "example.com", "--trusted"]);
        self.done(&["user", "add", "shop", "--allow", "example.com"]);
    }

    pub fn start(&self) -> Daemon {
        Daemon::spawn(self.command(&["serve"]))
    }

    /// Started, and the store is open.
    pub fn ready(&self) -> Daemon {
        let daemon = self.start();
        daemon.out.wait("ready", |line| line == "ready");
        daemon
    }

    /// Starts through a shell, which prepares something first; `"$@"` is the daemon.
    pub fn shell(&self, script: &str) -> Command {
        let daemon = self.command(&["serve"]);
        let mut shell = Command::new("sh");
        shell.env_clear().env("PATH", "/usr/bin:/bin");
        shell.args(["-c", script, "sh"]);
        shell.arg(daemon.get_program()).args(daemon.get_args());
        shell
    }

    /// Starts what has to fail; its exit code and what it says.
    #[track_caller]
    pub fn fails(&self) -> (i32, String) {
        let mut daemon = self.start();
        let status = daemon.wait();
        (status.code().unwrap(), daemon.err.text())
    }

    pub fn connect(&self, door: &str) -> Client<UnixStream> {
        Client::new(UnixStream::connect(self.socket(door)).unwrap())
    }

    /// What policy answers about `shop` and this sender, on a connection of its own.
    pub fn policy(&self, sender: &str) -> String {
        self.connect("policy").policy(sender)
    }

    /// One exchange with the control socket.
    pub fn control(&self, line: &[u8]) -> String {
        let mut client = Client::new(UnixStream::connect(self.path("state/control.sock")).unwrap());
        client.send(line);
        client.line()
    }
}

/// Lines as they come.
#[derive(Clone)]
pub struct Lines(Arc<Shared>);

#[derive(Default)]
struct Shared {
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    lines: Vec<String>,
    ended: bool,
}

impl Lines {
    fn read(stream: impl Read + Send + 'static) -> Lines {
        let lines = Lines(Arc::default());
        let filled = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines() {
                let Ok(line) = line else { break };
                filled.0.heard.lock().unwrap().lines.push(line);
                filled.0.changed.notify_all();
            }
            filled.0.heard.lock().unwrap().ended = true;
            filled.0.changed.notify_all();
        });
        lines
    }

    /// Waits until it has ended, or this is true of the lines.
    fn wait_until(&self, enough: impl Fn(&[String]) -> bool) -> MutexGuard<'_, Heard> {
        let heard = self.0.heard.lock().unwrap();
        let waiting = |heard: &mut Heard| !heard.ended && !enough(&heard.lines);
        let waited = self.0.changed.wait_timeout_while(heard, LONG, waiting);
        waited.unwrap().0
    }

    /// Waits for a line that fits, from the beginning on.
    #[track_caller]
    pub fn wait(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        let heard = self.wait_until(|lines| lines.iter().any(|line| fits(line)));
        match heard.lines.iter().find(|line| fits(line)) {
            Some(line) => line.clone(),
            None => panic!("no {what} in {:#?}", heard.lines),
        }
    }

    pub fn text(&self) -> String {
        self.0.heard.lock().unwrap().lines.join("\n")
    }

    /// Waits for the end.
    #[track_caller]
    fn end(&self) {
        let heard = self.wait_until(|_| false);
        assert!(heard.ended, "still running: {:#?}", heard.lines);
    }
}

/// A running daemon. Killed when it is dropped.
pub struct Daemon {
    child: Child,
    pub out: Lines,
    pub err: Lines,
}

impl Daemon {
    pub fn spawn(mut command: Command) -> Daemon {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = Lines::read(child.stdout.take().unwrap());
        let err = Lines::read(child.stderr.take().unwrap());
        Daemon { child, out, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        // The pipe ends with the process.
        self.err.end();
        self.child.wait().unwrap()
    }

    /// SIGTERM, and how long the end took.
    #[track_caller]
    pub fn stop(mut self) -> Duration {
        let clock = Clock::system();
        let began = clock.instant();
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "{}", self.err.text());
        clock.instant() - began
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One connection.
pub struct Client<S: Read + Write> {
    stream: BufReader<S>,
}

impl Client<UnixStream> {
    pub fn new(stream: UnixStream) -> Client<UnixStream> {
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Client {
            stream: BufReader::new(stream),
        }
    }
}

impl Client<TcpStream> {
    pub fn tcp(address: &str) -> Client<TcpStream> {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        Client {
            stream: BufReader::new(stream),
        }
    }
}

impl<S: Read + Write> Client<S> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.get_mut().write_all(bytes).unwrap();
    }

    /// The next line, without its end; empty at the end of the stream.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// As Postfix begins; returns when the server has told everything.
    pub fn handshake(&mut self) {
        self.send(b"VERSION\t1\t0\nCPID\t7\n");
        loop {
            let line = self.line();
            assert_ne!(line, "", "closed in the handshake");
            if line == "DONE" {
                return;
            }
        }
    }

    /// What policy answers about `shop` and this sender.
    pub fn policy(&mut self, sender: &str) -> String {
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state=RCPT\ninstance=1\nclient_address=192.0.2.1\n\
             sasl_username=shop\nsender={sender}\nrecipient=x@example.net\n\n"
        );
        self.send(request.as_bytes());
        let action = self.line();
        assert_eq!(self.line(), "");
        action.strip_prefix("action=").unwrap().to_owned()
    }
}

/// Asks again and again until the answer fits; nothing that is asked changes anything.
#[track_caller]
pub fn until<T: std::fmt::Debug>(
    patience: Duration,
    mut ask: impl FnMut() -> T,
    fits: impl Fn(&T) -> bool,
) -> T {
    let clock = Clock::system();
    let deadline = clock.instant() + patience;
    loop {
        let answer = ask();
        if fits(&answer) {
            return answer;
        }
        assert!(clock.instant() < deadline, "still {answer:?}");
        std::thread::yield_now();
    }
}

/// The permission bits of a path.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::MetadataExt;
    std::fs::symlink_metadata(path).unwrap().mode() & 0o7777
}
