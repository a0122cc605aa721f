//! The seeds of the fuzz targets through the checks of the fuzz targets. What the fuzzer has found
//! lies among the seeds, so that it stays found.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

#[path = "fuzz/src/lib.rs"]
mod checks;

use checks::TARGETS;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz")
}

/// What is in a folder, in the order of the names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

#[test]
fn every_seed_holds() {
    let mut failed = Vec::new();
    for (name, check) in TARGETS {
        let seeds = entries(&folder().join("corpus").join(name));
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            let input = fs::read(&seed).unwrap();
            if catch_unwind(AssertUnwindSafe(|| check(&input))).is_err() {
                failed.push(seed);
            }
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

/// Nor does the empty input, or any single byte, need a seed.
#[test]
fn the_smallest_inputs_hold() {
    for (_, check) in TARGETS {
        check(b"");
        for byte in 0..=u8::MAX {
            check(&[byte]);
        }
    }
}

#[test]
fn every_target_is_built_and_every_seed_is_used() {
    let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let built: Vec<_> = manifest["bin"].as_array().unwrap().iter().collect();
    let built: Vec<_> = built
        .iter()
        .map(|bin| bin["name"].as_str().unwrap())
        .collect();
    assert_eq!(built, TARGETS.map(|(name, _)| name));
    let stem = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    for of in ["corpus", "targets"] {
        let found: Vec<_> = entries(&folder().join(of)).iter().map(stem).collect();
        assert_eq!(found, built, "{of}");
    }
}
