//! `backup`.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::site::Site;

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What is shown of everything.
fn state(site: &Site) -> Vec<Value> {
    ["account", "domain", "user"]
        .map(|noun| site.json(&[noun, "list"]))
        .into()
}

#[test]
fn a_copy_is_private_checked_and_whole() {
    let site = Site::new();
    site.verified(&["example.com"]);
    site.user("shop", &["--allow", "example.com"], "long enough");
    let copies = site.path("copies");
    std::fs::create_dir(&copies).unwrap();
    let file = copies.join("outgate.db");
    let made = site.json(&["backup", file.to_str().unwrap()]);
    assert_eq!(made["file"], file.to_str().unwrap());
    assert_eq!(made["bytes"], file.metadata().unwrap().len());
    assert!(made["schema_version"].as_u64().unwrap() >= 3);
    assert_eq!(names(&copies), ["outgate.db"]);
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    // Another host with the copy in its place.
    let other = Site::new();
    std::fs::copy(&file, other.path("outgate.db")).unwrap();
    assert_eq!(state(&other), state(&site));
    let ran = other.run_with_input(
        &["user", "test", "shop", "--password-stdin"],
        b"long enough",
    );
    assert_eq!(ran.code, 0, "{ran:?}");
}

#[test]
fn what_is_there_is_kept() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let file = site.path("copy.db");
    let backup = ["backup", file.to_str().unwrap()];
    std::fs::write(&file, "mine").unwrap();
    let ran = site.refused(&backup);
    assert!(
        ran.err.contains("there already") && ran.err.contains("--force"),
        "{}",
        ran.err
    );
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    site.done(&[&backup[..], &["--force"]].concat());
    assert!(
        std::fs::read(&file)
            .unwrap()
            .starts_with(b"SQLite format 3\0")
    );
    let mode = file.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o600);

    let directory = site.path("directory");
    std::fs::create_dir(&directory).unwrap();
    let link = site.path("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let odd = [
        directory.to_str().unwrap(),
        link.to_str().unwrap(),
        "/dev/null",
        "/",
        "..",
    ];
    for place in odd {
        let ran = site.refused(&["backup", place, "--force"]);
        assert!(ran.err.contains("not"), "{place}: {}", ran.err);
    }
    let ran = site.refused(&["backup", site.path("missing/copy.db").to_str().unwrap()]);
    assert!(ran.err.contains("directory"), "{}", ran.err);
    assert!(
        !names(site.dir.path())
            .iter()
            .any(|name| name.ends_with(".part"))
    );
}

#[test]
fn the_store_is_no_place_for_its_copy() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let here = site.dir.path();
    std::fs::hard_link(site.path("outgate.db"), site.path("hard.db")).unwrap();
    std::fs::write(site.path("log.db"), "").unwrap();
    for name in [
        "outgate.db",
        "outgate.db-wal",
        "outgate.db-shm",
        "./outgate.db",
        "../outgate.db",
        "hard.db",
        "log.db",
        "log.db-wal",
    ] {
        let place = match name {
            "../outgate.db" => here
                .join("..")
                .join(here.file_name().unwrap())
                .join("outgate.db"),
            name => here.join(name),
        };
        for command in ["backup", "export"] {
            let ran = site.refused(&[command, place.to_str().unwrap(), "--force"]);
            assert!(ran.err.contains("store itself"), "{name}: {}", ran.err);
        }
    }
    site.done(&["user", "show", "shop"]);
}

#[test]
fn nor_is_what_a_link_in_its_place_leads_to() {
    let site = Site::new();
    let real = site.path("real.db");
    std::fs::write(&real, "").unwrap();
    std::os::unix::fs::symlink(&real, site.path("outgate.db")).unwrap();
    site.user("shop", &[], "long enough");
    for name in ["real.db", "real.db-wal", "outgate.db"] {
        let place = site.path(name);
        for command in ["backup", "export"] {
            let ran = site.refused(&[command, place.to_str().unwrap(), "--force"]);
            assert!(ran.err.contains("store itself"), "{name}: {}", ran.err);
        }
    }
    site.done(&["user", "show", "shop"]);
    site.done(&["backup", site.path("copy.db").to_str().unwrap()]);
}

/// What is no name of a file is refused before anything is copied.
#[test]
fn names_that_will_not_do() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let long = site.path(&"x".repeat(250));
    let slash = format!("{}/", site.path("copy").display());
    for (name, why) in [
        (long.to_str().unwrap(), "shorter name"),
        (&*slash, "does not name a file"),
        ("-", "standard output"),
    ] {
        let ran = site.refused(&["backup", name]);
        assert!(ran.err.contains(why), "{name}: {}", ran.err);
    }
}

#[test]
fn a_directory_that_can_only_be_written_will_do() {
    let site = Site::new();
    site.user("shop", &[], "long enough");
    let directory = site.path("in");
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o300)).unwrap();
    for (command, name) in [("backup", "copy.db"), ("export", "all.jsonl")] {
        let file = directory.join(name);
        site.done(&[command, file.to_str().unwrap()]);
        assert!(file.exists());
    }
    std::fs::set_permissions(&directory, PermissionsExt::from_mode(0o700)).unwrap();
}

#[test]
fn where_there_is_no_store_none_is_made_to_be_copied() {
    let site = Site::new();
    let file = site.path("copy.db");
    let ran = site.refused(&["backup", file.to_str().unwrap()]);
    assert!(ran.err.contains("no store"), "{}", ran.err);
    assert_eq!(names(site.dir.path()), ["outgate.toml"]);
}
