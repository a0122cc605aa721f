//! A file of `outgate import` is taken whole or not at all, and taken again it changes nothing.

use jiff::Timestamp;
use outgate::auth::hash::check_stored;
use outgate::manage::ManageError;
use outgate::manage::import::{Count, Options, Summary, run};
use outgate::store::Store;
use outgate::store::memory::MemoryStore;

/// Input: the file.
pub fn check(input: &[u8]) {
    let store = MemoryStore::new();
    let rehearsed = import(&store, input, true);
    let done = import(&store, input, false);
    match (rehearsed, done) {
        (Ok(rehearsed), Ok(done)) => {
            assert_eq!(
                rehearsed,
                Summary {
                    dry_run: true,
                    ..done
                }
            );
            again(&store, input, &done);
        }
        (Err(rehearsed), Err(done)) => {
            let error = done.to_string();
            assert_eq!(rehearsed.to_string(), error);
            assert!(error.starts_with("line "), "{error:?}");
        }
        (rehearsed, done) => panic!("{rehearsed:?}, then {done:?}"),
    }
}

/// Whatever a file says only once, it has said when it comes again.
fn again(store: &MemoryStore, input: &[u8], done: &Summary) {
    let counts = |s: &Summary| [s.accounts, s.domains, s.users];
    if counts(done).iter().any(|count| count.replaced > 0) {
        return;
    }
    let again = import(store, input, false).unwrap();
    let unchanged = |count: Count| Count {
        unchanged: count.added + count.unchanged,
        ..Count::default()
    };
    assert_eq!(counts(&again), counts(done).map(unchanged));
}

fn import(store: &dyn Store, mut input: &[u8], dry_run: bool) -> Result<Summary, ManageError> {
    let options = Options {
        dry_run,
        now: Timestamp::constant(1_767_225_600, 0),
        check_hash: |phc| check_stored(phc).map_err(|error| error.to_string()),
    };
    run(store, &mut input, &options, &mut |_| ())
}
