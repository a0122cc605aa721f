//! Which files are the store's own: no command writes another file over one of them.

use std::ffi::OsString;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::config::value::StoreUrl;
use crate::store::log;

/// What SQLite puts beside a database.
const BESIDE: [&str; 4] = ["", "-wal", "-shm", "-journal"];

/// Refuses a place that the store, or its decision log, takes itself, by whatever name.
pub fn check(store: &StoreUrl, target: &Path) -> Result<(), Failure> {
    let log = store.beside(log::FILE);
    let there = fs::symlink_metadata(target).ok();
    let place = resolved(target);
    let taken = |database: &Path| {
        BESIDE.into_iter().any(|suffix| {
            let mut name: OsString = database.into();
            name.push(suffix);
            let own = PathBuf::from(name);
            let same_place = place.is_some() && place == resolved(&own);
            same_place || there.as_ref().is_some_and(|there| is(there, &own))
        })
    };
    // SQLite follows a link, and keeps what is beside a database where that really is.
    let real = |database: &Path| fs::canonicalize(database).ok();
    let databases = [store.path(), &log];
    let real = databases.iter().filter_map(|database| real(database));
    if databases.into_iter().any(taken) || real.into_iter().any(|database| taken(&database)) {
        return Err(Failure::refused(
            format!("{} belongs to the store itself", target.display()),
            "name another file",
        ));
    }
    Ok(())
}

/// Where a file is, or would be. A link in its own place is not followed: it is what is replaced.
fn resolved(path: &Path) -> Option<PathBuf> {
    let directory = match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => directory,
        Some(_) | None => Path::new("."),
    };
    let directory = fs::canonicalize(directory).ok()?;
    Some(directory.join(path.file_name()?))
}

/// Whether this is the file at that path.
fn is(found: &Metadata, path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|own| (own.dev(), own.ino()) == (found.dev(), found.ino()))
}
