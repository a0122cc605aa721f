//! A host of its own for one test: a directory, a configuration file, and the program.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::nameserver::{Server, Zone};

/// Passwords are hashed as cheaply as the configuration allows: what is tested here is not argon2.
const CHEAP: &str = "[auth]\nhash = { memory-kib = 64, iterations = 1, parallelism = 1 }\n";

/// Where one test runs.
pub struct Site {
    pub dir: tempfile::TempDir,
    pub config: PathBuf,
}

/// What one run of the program came to.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Site {
    pub fn new() -> Site {
        Site::with("")
    }

    /// With more lines in the configuration file.
    pub fn with(lines: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("outgate.toml");
        let store = dir.path().join("outgate.db");
        let text = format!(
            "[store]\nurl = \"sqlite:{}\"\n{CHEAP}{lines}",
            store.display()
        );
        std::fs::write(&config, text).unwrap();
        Site { dir, config }
    }

    /// With more lines in the configuration file, and a name server that says this.
    pub fn with_zone(lines: &str, zone: &str) -> (Site, Server) {
        let server = Server::start(Zone::parse(zone).unwrap());
        let dns = format!(
            "{lines}\n[dns]\nservers = [\"{}\"]\ntimeout = \"2s\"\n",
            server.address()
        );
        (Site::with(&dns), server)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = bare(args);
        command.env("OUTGATE_CONFIG", &self.config);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        Ran::of(self.command(args).stdin(Stdio::null()).output().unwrap())
    }

    pub fn run_with_input(&self, args: &[&str], input: &[u8]) -> Ran {
        feed(&mut self.command(args), input)
    }

    /// Runs what has to succeed; its standard output.
    #[track_caller]
    pub fn done(&self, args: &[&str]) -> String {
        let ran = self.run(args);
        assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
        ran.out
    }

    /// Runs what has to succeed, with `--json`.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let out = self.done(&[&["--json"], args].concat());
        serde_json::from_str(&out).unwrap_or_else(|e| panic!("{args:?}: {e}: {out}"))
    }

    /// Runs what has to be refused: exit 1, nothing on standard output, a sentence of why.
    #[track_caller]
    pub fn refused(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, 1, "{args:?}: {ran:?}");
        assert_eq!(ran.out, "", "{args:?}");
        assert!(ran.err.starts_with("outgate: "), "{args:?}: {}", ran.err);
        ran
    }

    /// Adds verified domains to the account `default`.
    pub fn verified(&self, domains: &[&str]) -> &Site {
        for domain in domains {
            self.done(&["domain", "add", domain, "--trusted"]);
        }
        self
    }

    /// Adds a user with a password of its own.
    #[track_caller]
    pub fn user(&self, name: &str, options: &[&str], password: &str) {
        let args = [&["user", "add", name, "--password-stdin"], options].concat();
        let ran = self.run_with_input(&args, format!("{password}\n").as_bytes());
        assert_eq!(ran.code, 0, "{ran:?}");
    }
}

impl Ran {
    pub fn of(output: Output) -> Ran {
        Ran {
            code: output.status.code().expect("the program was killed"),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The program without a configuration.
pub fn bare(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outgate"));
    command.args(args).env_remove("OUTGATE_CONFIG");
    command
}

/// Runs with something on standard input.
pub fn feed(command: &mut Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that refuses before reading has closed its end: that is its right.
    let _ = child.stdin.take().unwrap().write_all(input);
    Ran::of(child.wait_with_output().unwrap())
}

/// The names of an object, in the order in which they are printed.
pub fn keys(json: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut rest = json.char_indices().peekable();
    while let Some((start, c)) = rest.next() {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            '"' => {
                let mut end = start;
                while let Some((at, c)) = rest.next() {
                    match c {
                        '\\' => drop(rest.next()),
                        '"' => {
                            end = at;
                            break;
                        }
                        _ => {}
                    }
                }
                if depth == 1 && rest.peek().is_some_and(|(_, c)| *c == ':') {
                    names.push(json[start + 1..end].to_owned());
                }
            }
            _ => {}
        }
    }
    names
}

/// Writes a file of a site.
pub fn write(path: &Path, lines: &[&str]) {
    std::fs::write(path, lines.join("\n") + "\n").unwrap();
}
