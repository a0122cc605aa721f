//! A host of its own for one test: a daemon with its sockets, and any number of Postfix configurations
//! beside it. No Postfix runs: `postconf` alone reads them.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

/// Where Debian keeps the files that a new host begins with.
const STOCK: &str = "/usr/share/postfix";

/// A directory with a daemon in it.
pub struct Host {
    dir: TempDir,
    daemon: Option<Child>,
    /// What `postfix config` says, by wiring.
    printed: Mutex<HashMap<String, String>>,
}

impl Host {
    /// With more lines in outgate's configuration; the daemon runs.
    pub fn new(config: &str) -> Host {
        let mut host = Host::without_daemon(config);
        host.serve();
        host
    }

    /// The same, before the daemon was ever started.
    pub fn without_daemon(config: &str) -> Host {
        let dir = tempfile::Builder::new().prefix("og").tempdir().unwrap();
        let host = Host {
            dir,
            daemon: None,
            printed: Mutex::default(),
        };
        for (name, mode) in [
            ("", 0o755),
            ("spool", 0o755),
            ("spool/outgate", 0o2750),
            ("state", 0o700),
        ] {
            let path = host.path(name);
            fs::create_dir_all(&path).unwrap();
            if name == "spool/outgate" {
                run(Command::new("chgrp").arg("postfix").arg(&path));
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        let dir = host.dir.path().display();
        let listeners = ["auth", "policy", "milter"]
            .map(|name| format!("{name} = \"unix:{dir}/spool/outgate/{name}.sock\"\n"))
            .concat();
        let text = format!(
            "[store]\nurl = \"sqlite:{dir}/state/outgate.db\"\n[listen]\n{listeners}{config}\n"
        );
        // What a case says itself takes the place of the above.
        let text = if config.contains("[listen]") {
            text.replace(&format!("[listen]\n{listeners}"), "")
        } else {
            text
        };
        fs::write(host.path("outgate.toml"), text).unwrap();
        host
    }

    /// Starts the daemon and waits until it is ready.
    pub fn serve(&mut self) {
        let mut child = self
            .command(&["serve"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let ready = out.lines().any(|line| line.unwrap() == "ready");
        assert!(ready, "the daemon did not start");
        self.daemon = Some(child);
    }

    /// SIGKILL, so that its sockets stay.
    pub fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// outgate with the configuration of this host.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
        command.arg("-c").arg(self.path("outgate.toml")).args(args);
        command
    }

    /// Runs what has to succeed.
    #[track_caller]
    pub fn outgate(&self, line: &str) -> String {
        let words: Vec<_> = line.split_whitespace().collect();
        let mut command = self.command(&words);
        if line.starts_with("user add ") {
            command.arg("--password-stdin");
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _ = child.stdin.take().unwrap().write_all(b"correct-horse\n");
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A Postfix with the stock files and one of our wirings.
    pub fn postfix(&self, wiring: &str) -> Postfix {
        let postfix = self.stock_postfix();
        let mut printed = self.printed.lock().unwrap();
        let text = printed.entry(wiring.to_owned()).or_insert_with(|| {
            age(&postfix.dir.join("main.cf"));
            let output = self
                .command(&["postfix", "config", "--wiring", wiring])
                .env("MAIL_CONFIG", &postfix.dir)
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        });
        let (main, master) = text.split_at(text.find("# master.cf").unwrap());
        postfix.add("main.cf", main);
        postfix.add("master.cf", master);
        postfix
    }

    /// A Postfix as the distribution installs it.
    pub fn stock_postfix(&self) -> Postfix {
        let dir = tempfile::Builder::new()
            .prefix("etc")
            .tempdir_in(self.dir.path())
            .unwrap();
        let dir = dir.keep();
        let file = |name: &str| fs::read_to_string(Path::new(STOCK).join(name)).unwrap();
        let spool = self.path("spool");
        let main = format!(
            "{}{}queue_directory = {}\n",
            file("main.cf.debian"),
            file("main.cf.tls"),
            spool.display()
        );
        fs::write(dir.join("main.cf"), main).unwrap();
        fs::write(dir.join("master.cf"), file("master.cf.dist")).unwrap();
        Postfix { dir }
    }

    /// What doctor finds.
    #[track_caller]
    pub fn doctor(&self, postfix: &Postfix) -> Vec<Value> {
        let output = self.run_doctor(&postfix.dir, true);
        let text = String::from_utf8(output.stdout).unwrap();
        let findings: Vec<Value> =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let exit = i32::from(!findings.is_empty());
        assert_eq!(output.status.code(), Some(exit), "{text}");
        for finding in &findings {
            for field in ["id", "what", "why", "fix"] {
                assert!(
                    !finding[field].as_str().unwrap().is_empty(),
                    "{field}: {finding}"
                );
            }
        }
        findings
    }

    pub fn run_doctor(&self, directory: &Path, json: bool) -> Output {
        let main = directory.join("main.cf");
        if main.exists() {
            age(&main);
        }
        let mut command = self.command(&["doctor", "--postfix"]);
        command.arg(directory);
        if json {
            command.arg("--json");
        }
        command.output().unwrap()
    }

    /// The ids of what doctor finds.
    #[track_caller]
    pub fn ids(&self, postfix: &Postfix) -> Vec<String> {
        ids(&self.doctor(postfix))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The ids of findings.
pub fn ids(findings: &[Value]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| finding["id"].as_str().unwrap().to_owned())
        .collect()
}

/// A configuration directory.
pub struct Postfix {
    pub dir: PathBuf,
}

impl Postfix {
    /// Adds lines to one of the files.
    pub fn add(&self, name: &str, lines: &str) {
        let path = self.dir.join(name);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(path, format!("{text}\n{lines}\n")).unwrap();
    }

    /// `-e name=value`, `-X name`, `-P service/type/name=value`: what `postconf` does. `s/from/to/`: that
    /// text of master.cf, once for each place where it is.
    #[track_caller]
    pub fn edit(&self, edit: &str) {
        if let Some(rest) = edit.strip_prefix("s/") {
            let (from, to) = rest.strip_suffix('/').unwrap().split_once("/→/").unwrap();
            return self.replace(from, to);
        }
        if let Some(lines) = edit.strip_prefix("master.cf: ") {
            return self.add("master.cf", lines);
        }
        let (option, argument) = edit.split_once(' ').unwrap();
        age(&self.dir.join("main.cf"));
        run(Command::new("postconf")
            .arg("-c")
            .arg(&self.dir)
            .args([option, argument]));
    }

    #[track_caller]
    fn replace(&self, from: &str, to: &str) {
        let path = self.dir.join("master.cf");
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{from} is not in {text}");
        fs::write(path, text.replace(from, to)).unwrap();
    }

    /// Does what a fix says: its `postconf` commands, and its lines for master.cf.
    #[track_caller]
    pub fn mend(&self, fix: &str) {
        for line in fix.lines() {
            if line.starts_with("postconf ") {
                age(&self.dir.join("main.cf"));
                run(Command::new("sh").args(["-c", line]));
            } else if let Some(rest) = line.strip_prefix("in master.cf, below ") {
                let (service, option) = rest.split_once(": ").unwrap();
                self.put(service, option);
            }
        }
    }

    /// An option of a service: the line `-o { name = value }`, in the place of the one that is there.
    #[track_caller]
    fn put(&self, service: &str, option: &str) {
        let name = option
            .trim_start_matches("-o { ")
            .split_once(" =")
            .unwrap()
            .0;
        let path = self.dir.join("master.cf");
        let mut text = String::new();
        let mut inside = false;
        for line in fs::read_to_string(&path).unwrap().lines() {
            if !line.starts_with([' ', '\t', '#']) {
                inside = line.split_whitespace().next() == Some(service);
            }
            let set = line.trim_start().strip_prefix("-o ").unwrap_or_default();
            let mine = set.trim_start_matches(['{', ' ']).starts_with(name);
            if !(inside && mine) {
                text.push_str(&format!("{line}\n"));
            }
            if inside && !line.starts_with([' ', '\t', '#']) {
                text.push_str(&format!("  {option}\n"));
            }
        }
        fs::write(path, text).unwrap();
    }
}

/// Makes a main.cf look old: Postfix's programs wait until it has not been changed for a second, lest they
/// read half of it.
pub fn age(file: &Path) {
    run(Command::new("touch").args(["-d", "1 minute ago"]).arg(file));
}

#[track_caller]
pub fn run(command: &mut Command) {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(output.status.success(), "{command:?}: {output:?}");
}
