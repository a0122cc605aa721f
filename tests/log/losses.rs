//! What may be lost and what not: with a log that is slow, stands still, or fails.

use std::collections::BTreeSet;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use outgate::clock::Clock;
use outgate::journal::{Archive, Losses, Room};
use outgate::store::StoreError;
use outgate::store::log::{Batch, Filter, LogWriter, reader_of};
use outgate::store::sqlite::log::SqliteLogWriter;

use crate::sample::{Fact, START, numbers};
use crate::site::{LONG, until};

/// How the log is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Good,
    /// Hangs, as with its disk.
    Hangs,
    Fails,
    /// Has a fault of ours.
    Panics,
}

/// A log whose mood a test sets.
#[derive(Clone)]
struct Moody(Arc<(Mutex<State>, Condvar)>);

struct State {
    mood: Mood,
    lines: Vec<i64>,
    tries: usize,
}

impl Moody {
    fn new(mood: Mood) -> Moody {
        let state = State {
            mood,
            lines: Vec::new(),
            tries: 0,
        };
        Moody(Arc::new((Mutex::new(state), Condvar::new())))
    }

    fn set(&self, mood: Mood) {
        self.0.0.lock().unwrap().mood = mood;
        self.0.1.notify_all();
    }

    fn tries(&self) -> usize {
        self.0.0.lock().unwrap().tries
    }

    fn lines(&self) -> Vec<i64> {
        self.0.0.lock().unwrap().lines.clone()
    }
}

impl LogWriter for Moody {
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError> {
        let mut state = self.0.0.lock().unwrap();
        state.tries += 1;
        let hangs = |state: &mut State| state.mood == Mood::Hangs;
        let mut state = self.0.1.wait_while(state, hangs).unwrap();
        if state.mood == Mood::Panics {
            state.mood = Mood::Good;
            drop(state);
            panic!("a fault, as the test wants it");
        }
        if state.mood == Mood::Fails {
            return Err(StoreError::ReadOnly("no space".to_owned()));
        }
        state.lines.extend(numbers(batch));
        Ok(())
    }

    fn trim(&mut self, _: Timestamp, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    fn newest(&mut self) -> Result<Option<i64>, StoreError> {
        Ok(None)
    }
}

const ROOM: Room = Room {
    allowed: 100,
    all: 300,
    bytes: 1 << 20,
};

fn add(archive: &Archive, number: i64, allowed: bool) {
    let fact = match allowed {
        true => Fact::allowed(START + number, 1),
        false => Fact::refused(START + number, 1, "plan"),
    };
    fact.with(|entry| archive.add(entry, allowed));
}

/// An archive on a log that has its hands full with the first line.
fn stuck(mood: Mood) -> (Moody, Archive) {
    let log = Moody::new(mood);
    let archive = Archive::with_room(Box::new(log.clone()), Clock::system(), ROOM).unwrap();
    add(&archive, -1, true);
    until(LONG, || log.tries(), |tries| *tries > 0);
    (log, archive)
}

#[test]
fn what_a_fault_of_ours_costs_is_counted() {
    let (log, archive) = stuck(Mood::Hangs);
    for number in 0..5 {
        add(&archive, number, number < 2);
    }
    log.set(Mood::Panics);
    // The first line is gone; those behind it are not.
    until(LONG, || log.lines().len(), |lines| *lines == 5);
    let (allowed, refused) = (1, 0);
    assert_eq!(archive.losses(), Losses { allowed, refused });
    archive.close(LONG);
}

#[test]
fn a_log_that_hangs_costs_accepted_lines_first_and_refusals_last() {
    let (log, archive) = stuck(Mood::Hangs);
    let clock = Clock::system();
    let began = clock.instant();
    // 100 find room.
    (0..150).for_each(|number| add(&archive, number, true));
    let lost = |allowed, refused| Losses { allowed, refused };
    assert_eq!(archive.losses(), lost(50, 0));
    // 200 more.
    (150..400).for_each(|number| add(&archive, number, false));
    assert_eq!(archive.losses(), lost(50, 50));
    // Nobody waits for it.
    assert!(clock.instant() - began < Duration::from_secs(1));
    log.set(Mood::Good);
    archive.close(LONG);
    let kept = (-1..100).chain(150..350).map(|number| START + number);
    assert_eq!(log.lines(), kept.collect::<Vec<_>>());
    assert_eq!(archive.losses(), lost(50, 50));
}

#[test]
fn there_is_room_again_when_it_goes_on() {
    let (log, archive) = stuck(Mood::Hangs);
    (0..150).for_each(|number| add(&archive, number, true));
    log.set(Mood::Good);
    until(LONG, || log.lines().len(), |lines| *lines == 101);
    (200..250).for_each(|number| add(&archive, number, true));
    archive.close(LONG);
    assert_eq!(log.lines().len(), 151);
    assert_eq!(archive.losses().allowed, 50);
}

#[test]
fn a_log_that_fails_is_tried_again_and_nothing_is_lost() {
    let (log, archive) = stuck(Mood::Fails);
    (0..50).for_each(|number| add(&archive, number, number % 2 == 0));
    until(LONG, || log.tries(), |tries| *tries >= 3);
    log.set(Mood::Good);
    until(LONG, || log.lines().len(), |lines| *lines == 51);
    archive.close(LONG);
    let kept: Vec<i64> = (-1..50).map(|number| START + number).collect();
    assert_eq!(log.lines(), kept);
    assert_eq!(archive.losses(), Losses::default());
}

#[test]
fn what_the_end_finds_unwritten_is_counted() {
    let (log, archive) = stuck(Mood::Fails);
    (0..30).for_each(|number| add(&archive, number, number < 10));
    archive.close(LONG);
    let lost = Losses {
        allowed: 11,
        refused: 20,
    };
    assert_eq!(archive.losses(), lost);
    assert!(log.lines().is_empty());

    let (log, archive) = stuck(Mood::Hangs);
    (0..30).for_each(|number| add(&archive, number, number < 10));
    archive.close(Duration::from_millis(50));
    let lost = Losses {
        allowed: 10,
        refused: 20,
    };
    // What hangs with the disk may still be written.
    assert_eq!(archive.losses(), lost);
    log.set(Mood::Good);
}

#[test]
fn lines_of_any_size_take_bounded_room() {
    let (log, archive) = stuck(Mood::Hangs);
    let long = "x".repeat(1 << 20);
    for number in 0..300 {
        Fact::refused(START + number, 1, "plan").with(|entry| {
            let mut entry = *entry;
            entry.reply = &long;
            entry.login = &long;
            archive.add(&entry, false);
        });
    }
    let lost = archive.losses().refused;
    assert!((100..200).contains(&lost), "{lost}");
    log.set(Mood::Good);
    archive.close(LONG);
}

/// Ten thousand a second for some seconds, evenly: all of them land, in a file.
#[test]
fn ten_thousand_a_second_land() {
    let seconds = std::env::var("SECONDS").map_or(2, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("log.db");
    let clock = Clock::system();
    let writer = Box::new(SqliteLogWriter::new(&file));
    let archive = Archive::start(writer, clock.clone()).unwrap();
    let began = clock.instant();
    let (mut number, all) = (0, seconds * 10_000);
    while number < all {
        let due = (clock.instant() - began).as_micros() as i64 / 100;
        while number < due.min(all) {
            let user = (number * 7919 % 1000) as usize;
            Fact::allowed(START + number, user).with(|entry| archive.add(entry, true));
            number += 1;
        }
        std::thread::yield_now();
    }
    archive.close(LONG);
    assert_eq!(archive.losses(), Losses::default());
    let page = reader_of(&file)
        .page(&Filter::default(), usize::MAX)
        .unwrap();
    let landed: BTreeSet<i64> = numbers(&page).into_iter().collect();
    assert_eq!(landed, (0..all).map(|number| START + number).collect());
}

#[test]
fn a_log_that_keeps_nothing_takes_nothing_in() {
    let log = Moody::new(Mood::Good);
    let archive = Archive::with_room(Box::new(log.clone()), Clock::system(), ROOM).unwrap();
    archive.keep(Duration::ZERO);
    add(&archive, 1, false);
    archive.keep(Duration::from_secs(1));
    add(&archive, 2, false);
    archive.close(LONG);
    assert_eq!(log.lines(), [START + 2]);
    assert_eq!(archive.losses(), Losses::default());
}
