//! Which commit a program says that it was built from: build.rs, run in the trees that people build in.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// build.rs as a program.
struct Build(TempDir);

impl Build {
    fn new() -> Build {
        let build = Build(tempfile::tempdir().unwrap());
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("build.rs");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut rustc = Command::new(rustc);
        rustc.args(["--edition=2024", "-o"]).arg(build.program());
        assert!(rustc.arg(source).status().unwrap().success());
        build
    }

    fn program(&self) -> PathBuf {
        self.0.path().join("build")
    }

    /// What it tells the compiler about a tree: commit and date.
    fn says(&self, tree: &Path, environment: &[(&str, &str)]) -> Option<(String, String)> {
        let mut build = Command::new(self.program());
        build.current_dir(tree).env_remove("OUTGATE_COMMIT");
        let ran = build.envs(environment.iter().copied()).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        let said = String::from_utf8(ran.stdout).unwrap();
        let variable = |name: &str| {
            let start = format!("cargo::rustc-env={name}=");
            let line = said.lines().find_map(|line| line.strip_prefix(&start));
            line.map(str::to_owned)
        };
        Some((
            variable("OUTGATE_COMMIT")?,
            variable("OUTGATE_COMMIT_DATE")?,
        ))
    }
}

fn git(tree: &Path, arguments: &[&str]) -> Vec<u8> {
    let ran = Command::new("git")
        .current_dir(tree)
        .args(["-c", "user.name=a", "-c", "user.email=a@example.com"])
        .args(arguments)
        .env("GIT_COMMITTER_DATE", "2025-11-25T23:00:00+0000")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{arguments:?}: {ran:?}");
    ran.stdout
}

/// A repository with what the program is made of.
fn repository() -> (TempDir, String) {
    let tree = tempfile::tempdir().unwrap();
    let path = tree.path();
    for (file, text) in [
        ("src/lib.rs", ""),
        ("docs/page.md", ""),
        ("packaging/commit", "$Format:%H %cs %ct$\n"),
        (".gitattributes", "packaging/commit export-subst\n"),
    ] {
        fs::create_dir_all(path.join(file).parent().unwrap()).unwrap();
        fs::write(path.join(file), text).unwrap();
    }
    git(path, &["init", "-q"]);
    git(path, &["add", "-A"]);
    git(path, &["commit", "-qm", "a"]);
    let commit = git(path, &["rev-parse", "HEAD"]);
    (tree, String::from_utf8(commit).unwrap()[..12].to_owned())
}

#[test]
fn a_checkout_a_worktree_and_what_was_changed_in_them() {
    let build = Build::new();
    let (tree, commit) = repository();
    let path = tree.path();
    let says = |commit: &str| Some((commit.to_owned(), "2025-11-25".to_owned()));
    assert_eq!(build.says(path, &[]), says(&commit));
    fs::write(path.join("docs/page.md"), "more").unwrap();
    assert_eq!(build.says(path, &[]), says(&commit), "not of the program");
    git(path, &["worktree", "add", "-q", "other"]);
    assert_eq!(build.says(&path.join("other"), &[]), says(&commit));
    fs::write(path.join("src/lib.rs"), "// more").unwrap();
    let modified = format!("{commit}-modified");
    assert_eq!(build.says(path, &[]), says(&modified));
    assert_eq!(build.says(&path.join("other"), &[]), says(&commit));
    // Whoever builds knows better: what they say goes to the compiler by itself.
    assert_eq!(build.says(path, &[("OUTGATE_COMMIT", "abc")]), None);
}

#[test]
fn a_source_tarball_and_a_tree_without_any_history() {
    let build = Build::new();
    let (tree, commit) = repository();
    let path = tree.path();
    let inside = path.join("unpacked");
    let outside = tempfile::tempdir().unwrap();
    let archive = git(path, &["archive", "HEAD"]);
    for place in [&inside, outside.path()] {
        fs::create_dir_all(place).unwrap();
        let file = place.join("a.tar");
        fs::write(&file, &archive).unwrap();
        let mut tar = Command::new("tar");
        tar.current_dir(place).arg("-xf").arg(&file);
        assert!(tar.status().unwrap().success());
        let said = build.says(place, &[]);
        assert_eq!(said, Some((commit.clone(), "2025-11-25".to_owned())));
        // A copy that is nobody's commit is not given that of the repository around it.
        fs::write(place.join("packaging/commit"), "$Format:%H %cs %ct$\n").unwrap();
        assert_eq!(build.says(place, &[]), None);
        fs::remove_file(place.join("packaging/commit")).unwrap();
        assert_eq!(build.says(place, &[]), None);
    }
    // Nor does it take git.
    let nowhere = tempfile::tempdir().unwrap();
    let without_git = ("PATH", nowhere.path().to_str().unwrap());
    assert_eq!(build.says(path, &[without_git]), None);
}
