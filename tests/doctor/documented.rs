//! `docs/src/reference/doctor.md` lists what doctor finds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(place: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(place).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push(path);
        }
    }
}

/// The ids in the sources: the first argument of `Finding::problem` and `Finding::advice`.
fn in_sources() -> BTreeSet<String> {
    let mut files = Vec::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    sources(&root.join("src/doctor/checks"), &mut files);
    let mut ids = BTreeSet::new();
    for file in files {
        let text = fs::read_to_string(file).unwrap();
        for part in ["Finding::problem(", "Finding::advice(", "let id = "] {
            for rest in text.split(part).skip(1) {
                let rest = rest.trim_start();
                if let Some(rest) = rest.strip_prefix('"') {
                    ids.insert(rest.split_once('"').unwrap().0.to_owned());
                }
            }
        }
    }
    ids
}

/// The ids in the first columns of the tables.
fn in_document() -> BTreeSet<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("docs/src/reference/doctor.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| row.split('|').nth(1).unwrap().split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_finding_is_documented_and_no_other() {
    let (sources, document) = (in_sources(), in_document());
    assert!(sources.len() > 40, "{sources:?}");
    assert_eq!(sources, document);
}
