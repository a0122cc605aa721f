//! The file of the log in trouble: locked, removed, replaced, full, foreign. Lines wait, and land.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use outgate::clock::Clock;
use outgate::journal::{Archive, Losses};
use outgate::store::StoreError;
use outgate::store::log::{Filter, LogWriter, reader_of};
use outgate::store::sqlite::log::SqliteLogWriter;
use rusqlite::Connection;

use crate::sample::{Fact, START, append, numbers};
use crate::site::{LONG, until};
use crate::small_disk::SmallDisk;

fn archive(file: &Path) -> Archive {
    Archive::start(Box::new(SqliteLogWriter::new(file)), Clock::system()).unwrap()
}

fn add(archive: &Archive, number: i64) {
    Fact::refused(START + number, 1, "plan").with(|entry| archive.add(entry, false));
}

/// How many lines a reader finds; none while the file is away.
fn landed(file: &Path) -> usize {
    let page = reader_of(file).page(&Filter::default(), usize::MAX);
    page.map_or(0, |page| page.len())
}

#[test]
fn it_is_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let archive = archive(&file);
    until(LONG, || file.exists(), |there| *there);
    add(&archive, 0);
    until(LONG, || landed(&file), |lines| *lines == 1);
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        let found = fs::metadata(directory.path().join(name)).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{name}");
    }
    archive.close(LONG);
}

#[test]
fn a_locked_file_is_waited_for() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    append(&mut SqliteLogWriter::new(&file), std::iter::empty());
    let lock = Connection::open(&file).unwrap();
    lock.execute_batch("BEGIN IMMEDIATE").unwrap();
    let archive = archive(&file);
    (0..100).for_each(|number| add(&archive, number));
    until(LONG, || archive.trouble().is_some(), |said| *said);
    drop(lock);
    until(LONG, || landed(&file), |lines| *lines == 100);
    until(LONG, || archive.trouble().is_none(), |over| *over);
    assert_eq!(archive.losses(), Losses::default());
    archive.close(LONG);
}

#[test]
fn a_file_that_was_removed_is_made_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let archive = archive(&file);
    add(&archive, 0);
    until(LONG, || landed(&file), |lines| *lines == 1);
    for name in ["log.db", "log.db-wal", "log.db-shm"] {
        fs::remove_file(directory.path().join(name)).unwrap();
    }
    (1..4).for_each(|number| add(&archive, number));
    until(LONG, || landed(&file), |lines| *lines == 3);
    assert_eq!(archive.losses(), Losses::default());
    archive.close(LONG);
}

#[test]
fn a_file_that_is_none_of_ours_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let (damaged, foreign) = (
        "no database, whatever its name says".repeat(100),
        String::new(),
    );
    for content in [damaged, foreign] {
        fs::write(&file, &content).unwrap();
        if content.is_empty() {
            let other = Connection::open(&file).unwrap();
            other.execute_batch("CREATE TABLE t (a)").unwrap();
        }
        let before = fs::read(&file).unwrap();
        let mut writer = SqliteLogWriter::new(&file);
        let refused = |error: StoreError| match error {
            StoreError::Unusable(_) => assert!(!content.is_empty()),
            StoreError::Mismatch(_) => assert!(content.is_empty()),
            other @ (StoreError::Busy(_) | StoreError::ReadOnly(_)) => panic!("{other}"),
        };
        refused(writer.newest().unwrap_err());
        let page = reader_of(&file).page(&Filter::default(), 1);
        refused(page.err().unwrap());
        assert_eq!(fs::read(&file).unwrap(), before);
        let archive = archive(&file);
        add(&archive, 0);
        fs::remove_file(&file).unwrap();
        until(LONG, || landed(&file), |lines| *lines == 1);
        archive.close(LONG);
    }
}

#[test]
fn a_full_disk_is_waited_for() {
    let Some(disk) = SmallDisk::mount() else {
        return;
    };
    let file = disk.path().join("log.db");
    let mut writer = SqliteLogWriter::new(&file);
    append(&mut writer, std::iter::once(Fact::allowed(START, 1)));
    let ballast = disk.path().join("ballast");
    // All that is left.
    fs::write(&ballast, vec![1; 2 << 20]).unwrap_err();
    let archive = Archive::start(Box::new(writer), Clock::system()).unwrap();
    (1..2000).for_each(|number| add(&archive, number));
    fs::remove_file(&ballast).unwrap();
    until(LONG, || landed(&file), |lines| *lines == 2000);
    assert_eq!(archive.losses(), Losses::default());
    archive.close(LONG);
    let page = reader_of(&file)
        .page(&Filter::default(), usize::MAX)
        .unwrap();
    let all: Vec<i64> = (0..2000).map(|number| START + number).collect();
    assert_eq!(numbers(&page), all);
}
