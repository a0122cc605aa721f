//! Tells the program which commit it is built from: `OUTGATE_COMMIT` and `OUTGATE_COMMIT_DATE` for the compiler.
//!
//! From git where this is a working copy of its own, else from `packaging/commit`, which `git archive` fills in; where
//! there is neither, the program says nothing. Nothing of the building host or its clock gets in.

use std::path::Path;
use std::process::Command;

/// What the program is made of: a change elsewhere does not make it another one.
const SOURCES: &[&str] = &[
    "src",
    "postfix",
    "Cargo.toml",
    "Cargo.lock",
    "build.rs",
    ".cargo",
];
/// Digits of a commit that are said.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed=OUTGATE_COMMIT");
    for source in SOURCES.iter().chain(&["packaging/commit"]) {
        println!("cargo::rerun-if-changed={source}");
    }
    // Whoever builds knows better.
    if std::env::var_os("OUTGATE_COMMIT").is_some() {
        return;
    }
    let Some((commit, date)) = from_git().or_else(from_archive) else {
        return;
    };
    println!("cargo::rustc-env=OUTGATE_COMMIT={commit}");
    println!("cargo::rustc-env=OUTGATE_COMMIT_DATE={date}");
}

/// The commit that is checked out; `-modified` where the sources differ from it.
fn from_git() -> Option<(String, String)> {
    // A source tree that was unpacked inside somebody's repository is not of its commits.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&top).canonicalize().ok()? != Path::new(".").canonicalize().ok()? {
        return None;
    }
    watch();
    let said = git(&["log", "-1", "--format=%H %cs"])?;
    let (commit, date) = said.split_once(' ')?;
    let mut commit = commit.get(..DIGITS)?.to_owned();
    let status: Vec<_> = ["status", "--porcelain", "--"]
        .iter()
        .chain(SOURCES)
        .copied()
        .collect();
    if !git(&status)?.is_empty() {
        commit += "-modified";
    }
    Some((commit, date.to_owned()))
}

/// Has this run again when another commit is checked out or made. Files that are not there are not named: for
/// those, cargo would run this each time.
fn watch() {
    let branch = git(&["symbolic-ref", "-q", "HEAD"]);
    let places = ["logs/HEAD", "HEAD", "packed-refs"]
        .into_iter()
        .chain(branch.as_deref());
    let files = places.filter_map(|place| git(&["rev-parse", "--git-path", place]));
    for file in files.filter(|file| Path::new(file).exists()) {
        println!("cargo::rerun-if-changed={file}");
    }
}

/// What `git archive` wrote into a source tarball.
fn from_archive() -> Option<(String, String)> {
    let text = std::fs::read_to_string("packaging/commit").ok()?;
    let mut words = text.split_whitespace();
    let (commit, date) = (words.next()?.get(..DIGITS)?, words.next()?);
    let filled_in = commit.bytes().all(|b| b.is_ascii_hexdigit());
    filled_in.then(|| (commit.to_owned(), date.to_owned()))
}

fn git(arguments: &[&str]) -> Option<String> {
    // Reading the status would otherwise write the index, beside whoever works here.
    let git = Command::new("git")
        .arg("--no-optional-locks")
        .args(arguments)
        .output()
        .ok()?;
    let said = String::from_utf8(git.stdout).ok()?;
    git.status.success().then(|| said.trim_end().to_owned())
}
