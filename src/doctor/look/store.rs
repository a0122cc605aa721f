//! The store: whether it is whole, and what of its users and domains gives cause for concern.

use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::io::Errno;

use crate::clock::Clock;
use crate::config::Config;
use crate::doctor::facts::StoreFacts;
use crate::manage::survey;
use crate::store::{self, Age};

/// How long the pages of a database are read.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads what is there; makes nothing.
pub fn read(config: &Config, clock: &Clock, unseen: &mut Vec<String>) -> StoreFacts {
    let url = &config.store.url;
    match access(url.path(), Access::READ_OK) {
        Ok(()) => {}
        Err(Errno::NOENT) => return StoreFacts::Missing,
        Err(error) => {
            unseen.push(format!("the store {}: {error}", url.path().display()));
            return StoreFacts::Hidden;
        }
    }
    let soundness = match store::inspect(url, PATIENCE) {
        Ok(soundness) => soundness,
        Err(error) => return StoreFacts::Unreadable(error.to_string()),
    };
    match store::age(url) {
        Ok(Age::Older { found, known }) => return StoreFacts::Older { found, known },
        Ok(Age::Unborn | Age::Current) => {}
        Err(error) => return StoreFacts::Unreadable(error.to_string()),
    }
    let surveyed = store::open(url)
        .map_err(store::ManageError::from)
        .and_then(|store| survey::take(store.as_ref(), clock.now()));
    match surveyed {
        Ok(survey) => StoreFacts::Read {
            soundness,
            survey: Box::new(survey),
        },
        Err(error) => StoreFacts::Unreadable(error.to_string()),
    }
}
