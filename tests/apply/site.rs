//! A daemon, and Postfix configurations beside it that `postfix check` likes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::host::{Host, Postfix, age, run};

/// All of it.
pub struct Site {
    pub host: Host,
}

impl Site {
    /// With more lines in outgate's configuration; the daemon runs.
    pub fn new(config: &str) -> Site {
        let host = Host::new(config);
        fs::create_dir(host.path("data")).unwrap();
        run(Command::new("chown").arg("postfix").arg(host.path("data")));
        Site { host }
    }

    /// Where queue, data and log of its Postfixes are.
    fn places(&self) -> String {
        let dir = self.host.path("").display().to_string();
        let dir = dir.trim_end_matches('/');
        format!(
            "queue_directory = {dir}/spool\ndata_directory = {dir}/data\nmaillog_file = {dir}/mail.log\n\
             maillog_file_prefixes = {dir}\n"
        )
    }

    /// As the distribution installs it.
    pub fn stock(&self) -> Postfix {
        let postfix = self.host.stock_postfix();
        postfix.add("main.cf", &self.places());
        postfix
    }

    /// One of `hosts/`.
    pub fn in_use(&self, name: &str) -> Postfix {
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/apply/hosts")
            .join(name);
        let file = |name: &str| fs::read_to_string(from.join(name)).unwrap();
        self.with(&file("main.cf"), &file("master.cf"))
    }

    /// With these files.
    pub fn with(&self, main: &str, master: &str) -> Postfix {
        let postfix = self.host.stock_postfix();
        let main = format!("{}{main}", self.places());
        fs::write(postfix.dir.join("main.cf"), main).unwrap();
        fs::write(postfix.dir.join("master.cf"), master).unwrap();
        age(&postfix.dir.join("main.cf"));
        postfix
    }

    /// Runs `postfix config` on it, whatever comes of it.
    pub fn run(&self, postfix: &Postfix, words: &str) -> Output {
        age(&postfix.dir.join("main.cf"));
        let mut command = self.host.command(&["postfix", "config", "--postfix"]);
        command.arg(&postfix.dir).args(words.split_whitespace());
        command.output().unwrap()
    }

    /// Runs what has to succeed, and reads its JSON.
    #[track_caller]
    pub fn done(&self, postfix: &Postfix, words: &str) -> Value {
        let output = self.run(postfix, &format!("{words} --yes --json"));
        assert!(output.status.success(), "{words}: {output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Runs what has to be refused: its exit status, and what it says.
    #[track_caller]
    pub fn refused(&self, postfix: &Postfix, words: &str) -> (i32, String) {
        let before = files(postfix);
        let output = self.run(postfix, words);
        assert!(!output.status.success(), "{words}: {output:?}");
        assert_eq!(files(postfix), before, "nothing may have changed: {words}");
        let said = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), said)
    }
}

/// main.cf and master.cf.
pub fn files(postfix: &Postfix) -> [Vec<u8>; 2] {
    ["main.cf", "master.cf"].map(|name| fs::read(postfix.dir.join(name)).unwrap())
}

/// What `postconf` says.
#[track_caller]
pub fn postconf(postfix: &Postfix, arguments: &[&str]) -> String {
    age(&postfix.dir.join("main.cf"));
    let output = Command::new("postconf")
        .arg("-c")
        .arg(&postfix.dir)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// Where the old files are kept.
pub fn kept(postfix: &Postfix) -> PathBuf {
    postfix.dir.join("outgate-undo")
}
