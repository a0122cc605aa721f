//! What the compiler does not check: layers, sizes, head comments, words that do not belong.

#![expect(clippy::unwrap_used, reason = "a test of the tree")]

use std::fs;
use std::path::{Path, PathBuf};

/// What a folder or file below `src/` must not mention. The same table is in ARCHITECTURE.md.
const FORBIDDEN: &[(&str, &[&str])] = &[
    (
        "model",
        &[
            "tokio",
            "rusqlite",
            "tracing",
            "std::fs",
            "std::net::Tcp",
            "crate::decision",
            "crate::store",
            "crate::engine",
            "crate::config",
            "crate::clock",
        ],
    ),
    (
        "decision",
        &[
            "async ",
            "tokio",
            "rusqlite",
            "tracing",
            "std::fs",
            "crate::store",
            "crate::engine",
            "crate::config",
            "crate::clock",
            "crate::front",
            "crate::journal",
            "crate::dns",
            "hickory",
        ],
    ),
    (
        "spf",
        &[
            "async ",
            "tokio",
            "rusqlite",
            "tracing",
            "std::fs",
            "crate::decision",
            "crate::store",
            "crate::engine",
            "crate::config",
            "crate::clock",
            "crate::front",
            "crate::journal",
            "crate::dns",
        ],
    ),
    (
        "store",
        &[
            "crate::decision",
            "crate::engine",
            "crate::front",
            "crate::manage",
            "crate::cli",
            "crate::journal",
        ],
    ),
    (
        "manage",
        &[
            "rusqlite",
            "clap",
            "tokio",
            "crate::cli",
            "crate::front",
            "crate::daemon",
        ],
    ),
    (
        "front/policy",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "front::auth",
            "front::milter",
            "indymilter",
        ],
    ),
    (
        "front/milter",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "front::auth",
            "front::policy",
        ],
    ),
    (
        "front/auth",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "front::policy",
            "front::milter",
            "indymilter",
        ],
    ),
    (
        "dns",
        &[
            "rusqlite",
            "crate::store",
            "crate::decision",
            "crate::engine",
            "crate::directory",
            "crate::spf",
            "crate::standing",
            "crate::front",
            "crate::manage",
            "crate::journal",
        ],
    ),
    ("spf", JUDGES_OF_DNS),
    ("standing", JUDGES_OF_DNS),
    (
        "auth",
        &["rusqlite", "crate::store::sqlite", "crate::front"],
    ),
    (
        "engine.rs",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "crate::front::",
            "indymilter",
        ],
    ),
    (
        "journal",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "crate::engine",
            "crate::front",
            "crate::manage",
            "crate::cli",
        ],
    ),
    (
        "admin",
        &[
            "rusqlite",
            "crate::store::sqlite",
            "crate::engine",
            "crate::front",
            "crate::daemon",
            "crate::cli",
            "crate::model",
        ],
    ),
    (
        "metrics",
        &["crate::", "Mutex", "RwLock", "String", "prometheus_client"],
    ),
    (
        "doctor",
        &[
            "rusqlite",
            "clap",
            "crate::store::sqlite",
            "crate::cli",
            "crate::front",
            "crate::daemon",
        ],
    ),
    ("doctor/checks", PURE_DOCTOR),
    ("doctor/postfix", PURE_DOCTOR),
    ("doctor/wiring.rs", PURE_DOCTOR),
    (
        "wire",
        &[
            "rusqlite",
            "clap",
            "tokio",
            "crate::store",
            "crate::cli",
            "crate::front",
            "crate::daemon",
        ],
    ),
    ("wire/choice.rs", PURE_DOCTOR),
    ("wire/edit.rs", PURE_DOCTOR),
    ("wire/lines.rs", PURE_DOCTOR),
    ("wire/messages.rs", PURE_DOCTOR),
    ("wire/plan.rs", PURE_DOCTOR),
    ("wire/service.rs", PURE_DOCTOR),
    ("wire/snippet.rs", PURE_DOCTOR),
    ("wire/undo.rs", PURE_DOCTOR),
    ("cli", &["rusqlite", "crate::front"]),
];

/// What judges DNS is pure, and knows nothing of who asks.
const JUDGES_OF_DNS: &[&str] = &[
    "async ",
    "tokio",
    "rusqlite",
    "tracing",
    "std::fs",
    "crate::dns",
    "crate::store",
    "crate::decision",
    "crate::engine",
    "crate::config",
    "crate::clock",
    "crate::manage",
];

/// What the doctor judges has been gathered before.
const PURE_DOCTOR: &[&str] = &[
    "async ",
    "tokio",
    "tracing",
    "std::fs",
    "std::process",
    "rustix",
    "crate::clock",
    "crate::dns",
    "crate::control",
];

/// Beyond, a file holds more than one noun.
const MAX_LINES: usize = 400;

#[test]
fn layers_do_not_reach_outwards() {
    let mut faults = Vec::new();
    for (place, words) in FORBIDDEN {
        let files = sources(&root().join("src").join(place));
        assert!(!files.is_empty(), "src/{place} holds no source");
        for file in files {
            for (number, line) in code(&file).lines().enumerate() {
                for word in *words {
                    if line.contains(word) {
                        faults.push(format!("{}:{}: {word}", file.display(), number + 1));
                    }
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_source_says_what_it_is_for() {
    for file in sources(&root().join("src")) {
        let text = fs::read_to_string(&file).unwrap();
        assert!(
            text.starts_with("//!"),
            "{} has no head comment",
            file.display()
        );
    }
}

#[test]
fn no_source_is_too_long() {
    for file in sources(&root().join("src")) {
        let lines = code(&file).lines().count();
        assert!(
            lines <= MAX_LINES,
            "{} has {lines} lines before its tests, more than {MAX_LINES}",
            file.display()
        );
    }
}

#[test]
fn nothing_is_called_by_a_name_that_says_nothing() {
    for file in sources(&root().join("src")) {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        for empty in [
            "util", "utils", "helper", "helpers", "common", "manager", "misc",
        ] {
            assert_ne!(name, empty, "{}", file.display());
        }
    }
}

#[test]
fn no_work_is_left_open() {
    // Put together here, so that this file does not find itself.
    let words = ["TO", "FIX", "XX"].map(|start| {
        format!(
            "{start}{}",
            if start == "TO" {
                "DO"
            } else if start == "FIX" {
                "ME"
            } else {
                "X:"
            }
        )
    });
    for folder in ["src", "tests", "config"] {
        for file in files(&root().join(folder)) {
            let Ok(text) = fs::read_to_string(&file) else {
                continue;
            };
            for word in &words {
                assert!(
                    !text.contains(word.as_str()),
                    "{} says {word}",
                    file.display()
                );
            }
        }
    }
}

#[test]
fn the_changelog_fits_the_version() {
    let text = fs::read_to_string(root().join("CHANGELOG.md")).unwrap();
    let faults = changelog_faults(&text, env!("CARGO_PKG_VERSION"));
    assert!(faults.is_empty(), "{faults:?}");
    // A check that finds nothing wrong with anything is none.
    let wrong = [
        "## 0.3.0 - 2026-11-25\n### Added\n* a",
        "## Unreleased\n### Added\n* a\n## 0.2.0 - 2026-11-25\n### Fixed\n* b",
        "## Unreleased\n### Improved\n* a",
        "## Unreleased\n### Fixed\n* a\n### Added\n* b",
        "## Unreleased\n### Added\n### Fixed\n* b",
        "## 0.2.0 - yesterday\n### Added\n* a",
        "## 0.2.0 - 2026-11-25\n### Added\n* a\n## Unreleased\n### Added\n* b",
        "## 0.2.0 - 2026-11-25\n### Added\n* a\n## 0.1.0 - 2026-11-26\n### Added\n* b",
        "",
    ];
    for text in wrong {
        assert!(!changelog_faults(text, "0.2.0").is_empty(), "{text}");
    }
}

/// What is wrong with a changelog of a program of this version: each entry is `## VERSION - DATE`, the newest
/// first, and the first may be `## Unreleased`; below stand, in this order, the headings that have something.
fn changelog_faults(text: &str, version: &str) -> Vec<String> {
    const KINDS: [&str; 4] = ["Added", "Changed", "Fixed", "Incompatible"];
    let mut faults = Vec::new();
    let text = format!("\n{text}");
    let entries: Vec<&str> = text.split("\n## ").skip(1).collect();
    let number = |version: &str| -> Option<Vec<u32>> {
        version.split('.').map(|part| part.parse().ok()).collect()
    };
    let mut newer: Option<(Vec<u32>, String)> = None;
    for (place, entry) in entries.iter().enumerate() {
        let (title, body) = entry.split_once('\n').unwrap_or((entry, ""));
        let mut order = 0;
        for section in body.split("### ").skip(1) {
            let (kind, lines) = section.split_once('\n').unwrap_or((section, ""));
            match KINDS.iter().position(|known| *known == kind) {
                Some(at) if at >= order => order = at + 1,
                Some(_) => faults.push(format!("{title}: {kind} stands too late, or twice")),
                None => faults.push(format!("{title}: no heading is called {kind}")),
            }
            if !lines.trim_start().starts_with("* ") {
                faults.push(format!("{title}: nothing under {kind}"));
            }
        }
        if (place, title) == (0, "Unreleased") {
            continue;
        }
        let Some((release, date)) = title
            .split_once(" - ")
            .and_then(|(release, date)| Some((number(release)?, date.parse().ok()?)))
            .map(|(release, date): (_, jiff::civil::Date)| (release, date.to_string()))
        else {
            faults.push(format!("{title}: is not VERSION - DATE"));
            continue;
        };
        let ours = number(version).unwrap();
        if newer.is_none() && (release > ours || (place == 0) != (release == ours)) {
            faults.push(format!("{title}: Cargo.toml says {version}"));
        }
        if newer.is_some_and(|newer| newer.0 <= release || newer.1 < date) {
            faults.push(format!("{title}: stands below an older one"));
        }
        newer = Some((release, date));
    }
    if entries.is_empty() {
        faults.push("no entry".to_owned());
    }
    faults
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a source without its unit tests and without comments.
fn code(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    let end = text.find("\n#[cfg(test)]").unwrap_or(text.len());
    text[..end]
        .lines()
        .map(|line| {
            if line.trim_start().starts_with("//") {
                ""
            } else {
                line
            }
        })
        .collect::<Vec<_>>()
        .join("\n")
}

fn sources(place: &Path) -> Vec<PathBuf> {
    let mut found = files(place);
    found.retain(|file| file.extension().is_some_and(|e| e == "rs"));
    found
}

fn files(place: &Path) -> Vec<PathBuf> {
    if place.is_file() {
        return vec![place.to_owned()];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir()
            && path
                .file_name()
                .is_some_and(|n| n != "target" && n != "results")
        {
            found.extend(files(&path));
        } else if path.is_file() {
            found.push(path);
        }
    }
    found
}
