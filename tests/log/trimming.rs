//! Lines that are too old go, a few at a time, and their room is used again.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use outgate::clock::Clock;
use outgate::journal::Archive;
use outgate::store::StoreError;
use outgate::store::log::{Batch, Filter, LogWriter, reader_of};
use outgate::store::sqlite::log::SqliteLogWriter;

use crate::sample::{Chance, START, append, numbers};
use crate::site::{LONG, until};

#[test]
fn what_is_trimmed_is_the_oldest_and_its_room_is_used_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let mut writer = SqliteLogWriter::new(&file);
    let mut chance = Chance::new();
    let mut last = START;
    let mut all = Vec::new();
    let mut size: u32 = 0;
    for round in 0..8 {
        let facts: Vec<_> = (0..20_000)
            .map(|_| {
                let fact = chance.fact(last, 1000);
                last = fact.number;
                fact
            })
            .collect();
        all.extend(facts.iter().map(|fact| fact.number));
        append(&mut writer, facts.into_iter());
        // Two rounds are kept.
        let before = all[all.len().saturating_sub(40_000)];
        let before = Timestamp::from_microsecond(before).unwrap();
        while writer.trim(before, 1000).unwrap() == 1000 {}
        let pages = rusqlite::Connection::open(&file).unwrap();
        let pages: u32 = pages
            .query_row("PRAGMA page_count", [], |row| row.get(0))
            .unwrap();
        if round == 3 {
            size = pages;
        }
        assert!(round <= 3 || pages <= size + size / 20, "{size} -> {pages}");
    }
    let page = reader_of(&file)
        .page(&Filter::default(), usize::MAX)
        .unwrap();
    assert_eq!(numbers(&page), all[all.len() - 40_000..]);
    let refused = Filter {
        refused: true,
        ..Filter::default()
    };
    let page = reader_of(&file).page(&refused, usize::MAX).unwrap();
    assert!(page.len() > 1000 && numbers(&page)[0] >= all[all.len() - 40_000]);
    let segments = rusqlite::Connection::open(&file).unwrap();
    let segments: u32 = segments
        .query_row("SELECT count(*) FROM segment", [], |row| row.get(0))
        .unwrap();
    assert!(segments <= 4, "{segments}");
}

/// Has so many old lines; counts steps.
struct Old {
    left: u32,
    steps: Arc<AtomicU32>,
    asked: Arc<(Mutex<Option<Timestamp>>, Condvar)>,
}

impl LogWriter for Old {
    fn append(&mut self, _: &Batch) -> Result<(), StoreError> {
        Ok(())
    }

    fn trim(&mut self, before: Timestamp, most: u32) -> Result<u32, StoreError> {
        let trimmed = self.left.min(most);
        self.left -= trimmed;
        if trimmed > 0 {
            self.steps.fetch_add(1, Ordering::SeqCst);
        }
        *self.asked.0.lock().unwrap() = Some(before);
        self.asked.1.notify_all();
        Ok(trimmed)
    }

    fn newest(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }
}

#[test]
fn trimming_goes_on_in_steps_until_nothing_is_too_old() {
    let steps = Arc::new(AtomicU32::new(0));
    let asked = Arc::new((Mutex::new(None), Condvar::new()));
    let old = Old {
        left: 9_500,
        steps: steps.clone(),
        asked: asked.clone(),
    };
    let clock = Clock::movable();
    let archive = Archive::start(Box::new(old), clock.clone()).unwrap();
    archive.keep(Duration::from_secs(3600));
    // Told how long before the first look, or a minute after it.
    clock.advance(Duration::from_secs(61));
    let line = Chance::new().fact(START, 1);
    let trimmed = || {
        line.with(|entry| archive.add(entry, true));
        steps.load(Ordering::SeqCst)
    };
    until(LONG, trimmed, |steps| *steps == 5);
    let before = asked.0.lock().unwrap().unwrap();
    let hour = clock.now().duration_since(before).as_secs() - 3600;
    assert!((0..60).contains(&hour), "{hour}");
    archive.close(LONG);
    assert_eq!(steps.load(Ordering::SeqCst), 5);
}
