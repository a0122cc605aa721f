//! Killed at any moment: what was answered is in the file, once.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use outgate::model::name::UserId;
use outgate::model::quota::{Counter, Subject, Window};
use outgate::store::{Charged, Store};
use rusqlite::Connection;
use uuid::Uuid;

use crate::file::{open, place};
use crate::ledger::{EARLY, folding};
use crate::sample::*;

const FILE: &str = "OUTGATE_TEST_KILLED_FILE";
const ROUND: &str = "OUTGATE_TEST_KILLED_ROUND";
const TASKS: u64 = 16;

fn own(task: u64) -> Counter {
    let user = UserId(Uuid::from_u128(u128::from(task)));
    counter(&Subject::User(user), Window::Total)
}

#[expect(clippy::print_stdout, reason = "how it tells its parent")]
/// Charges one message after the other, and says so, until it is killed.
async fn charge_for_ever(store: Arc<dyn Store>, round: u64, task: u64) {
    for number in 0.. {
        let key = (round * TASKS + task) << 32 | number;
        let dues = [
            due(&own(task), 0, 0),
            due(&counter(&shared("default"), Window::Total), 0, 0),
        ];
        let charged = store.charge(charge(key, &dues)).await;
        assert_eq!(charged, Ok(Charged::Done));
        println!("\ncharged {task} {key}");
    }
}

#[tokio::test]
#[ignore = "is started by the test below, and killed"]
async fn killed() {
    let path = std::env::var(FILE).unwrap();
    let round: u64 = std::env::var(ROUND).unwrap().parse().unwrap();
    let path = Path::new(&path);
    // Every other time, rows are folded and what was answered is to be found in sums.
    let store = if round.is_multiple_of(2) {
        open(path)
    } else {
        folding(path, EARLY)
    };
    let tasks = (0..TASKS).map(|task| tokio::spawn(charge_for_ever(store.clone(), round, task)));
    futures_util::future::join_all(tasks).await;
}

/// Lets a process charge until it has said so this many times, kills it, and returns what it said.
fn kill_one(path: &Path, round: u64, after: usize) -> Vec<(u64, u64)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["kill::killed", "--exact", "--ignored", "--nocapture"])
        .env(FILE, path)
        .env(ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.map_while(Result::ok) {
        if said.len() == after {
            child.kill().unwrap();
        }
        if let Some(charged) = line.strip_prefix("charged ")
            && let Some((task, key)) = charged.split_once(' ')
            && let (Ok(task), Ok(key)) = (task.parse(), key.parse())
        {
            said.push((task, key));
        }
    }
    assert!(!child.wait().unwrap().success(), "it was killed");
    assert!(said.len() >= after, "{} of {after}", said.len());
    said
}

#[tokio::test]
async fn what_was_answered_is_in_the_file_once() {
    let (_directory, path) = place();
    drop(open(&path));
    let mut before: HashMap<u64, u64> = HashMap::new();
    for round in 0..20 {
        let after = (round as usize * 37) % 211;
        let said = kill_one(&path, round, after);
        let store = open(&path);
        let mut sum = 0;
        for task in 0..TASKS {
            let answered = said.iter().filter(|(by, _)| *by == task).count() as u64;
            let kept = used(&store, &own(task), 0).await;
            let before = before.insert(task, kept).unwrap_or(0);
            // One may have been charged, and its answer cut off.
            let possible = before + answered..=before + answered + 1;
            assert!(
                possible.contains(&kept),
                "round {round}: {kept}, not {possible:?}"
            );
            sum += kept;
        }
        let pool = counter(&shared("default"), Window::Total);
        assert_eq!(used(&store, &pool, 0).await, sum, "all dues or none");
        drop(store);
        if round.is_multiple_of(2) {
            each_once(&path, &said);
        }
    }
}

fn each_once(path: &Path, said: &[(u64, u64)]) {
    let connection = Connection::open(path).unwrap();
    let sql = "SELECT count(*) FROM ledger WHERE message = ?1";
    let mut count = connection.prepare(sql).unwrap();
    for (_, key) in said {
        let rows: u32 = count
            .query_row([message(*key).0], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 1, "{key}");
    }
}
