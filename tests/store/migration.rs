//! Files of earlier versions become what a new one is. What can go wrong on the way is tested with the program
//! (`tests/daemon/upgrade.rs`).

use std::path::Path;

use outgate::model::user::Enforce;
use outgate::store::Age;
use outgate::store::sqlite::{SqliteStore, age};
use rusqlite::Connection;

use crate::file::{open, place};
use crate::sample::*;

/// What each earlier version wrote, the first one first.
const EARLIER: [&str; 2] = [
    include_str!("versions/1.sql"),
    include_str!("versions/2.sql"),
];

/// The tables as they are made, without what ALTER TABLE does to their text.
fn tables(path: &Path) -> Vec<(String, Vec<String>)> {
    let file = Connection::open(path).unwrap();
    let names = "SELECT name FROM sqlite_schema ORDER BY name";
    let mut names = file.prepare(names).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let columns = |name: &str| -> Vec<String> {
        let columns = "SELECT name || ' ' || type || ' ' || \"notnull\" || ' ' || pk FROM pragma_table_xinfo(?1)";
        let mut columns = file.prepare(columns).unwrap();
        columns
            .query_map([name], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect()
    };
    names
        .map(Result::unwrap)
        .map(|name| (name.clone(), columns(&name)))
        .collect()
}

#[test]
fn what_an_earlier_version_wrote_becomes_what_a_new_file_is() {
    let (directory, new) = place();
    assert_eq!(age(&new).unwrap(), Age::Unborn);
    open(&new).close();
    assert_eq!(age(&new).unwrap(), Age::Current);
    for (text, version) in EARLIER.iter().zip(1..) {
        let path = directory.path().join(format!("{version}.db"));
        let file = Connection::open(&path).unwrap();
        file.execute_batch(text).unwrap();
        drop(file);
        // A version without a file here was forgotten.
        let (found, known) = (version, EARLIER.len() + 1);
        assert_eq!(age(&path).unwrap(), Age::Older { found, known });
        assert_eq!(
            age(&path).unwrap(),
            Age::Older { found, known },
            "it only looks"
        );
        let store = SqliteStore::open(&path).unwrap();
        drop(store);
        assert_eq!(age(&path).unwrap(), Age::Current);
        assert_eq!(tables(&path), tables(&new));
        let store = open(&path);
        let shop = view(&store, |t| t.user_named(&name("shop"))).unwrap();
        assert_eq!(shop.logins, [login("jane@example.com")]);
        assert_eq!(shop.user.grants, grants(&["example.com", "*.example.com"]));
        let printer = view(&store, |t| t.user_named(&name("printer"))).unwrap();
        assert_eq!(
            (printer.user.enforce, printer.user.enforce_until),
            (Enforce::Audit, None)
        );
    }
}
