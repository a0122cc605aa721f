//! What was done to a configuration, and how it was before: `outgate-undo/` beside main.cf.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use blake2::{Blake2b256, Digest};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::copy::{MAIN, MASTER};
use super::edit::{Edit, Spot};
use super::failed::Failed;
use super::place;
use super::wiring::Wiring;
use crate::doctor::postfix::Postfix;

/// The directory, below Postfix's.
pub const DIRECTORY: &str = "outgate-undo";
const FILE: &str = "record.json";

/// What is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Record {
    /// When.
    pub time: Timestamp,
    /// What was wired.
    pub wiring: Wiring,
    /// The services that ask outgate since.
    pub services: Vec<String>,
    /// The changes of outgate's, all of them.
    pub edits: Vec<Edit>,
    /// Whether the copies differ from what was written by these changes alone.
    pub exact: bool,
    /// Of main.cf.
    pub main: Prints,
    /// Of master.cf.
    pub master: Prints,
}

/// A file before and after, each by its hash.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Prints {
    /// Of the copy that is kept.
    pub before: String,
    /// Of what was written.
    pub after: String,
    /// Of what is there until that is written, where it is the work of an earlier record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub earlier: Option<String>,
}

/// The hash of a file.
pub fn print(bytes: &[u8]) -> String {
    let digest = Blake2b256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Prints {
    /// Whether a file is one of the two.
    pub fn know(&self, bytes: &[u8]) -> bool {
        let print = print(bytes);
        self.before == print || self.after == print || self.earlier == Some(print)
    }

    /// Whether a file is what an earlier record has made of it, and not yet what this one says.
    fn is_earlier(&self, bytes: &[u8]) -> bool {
        let print = print(bytes);
        self.after != print && self.earlier == Some(print)
    }
}

impl Record {
    /// Whether it was kept, and its files were perhaps not all written.
    pub fn is_open(&self) -> bool {
        self.main.earlier.is_some() || self.master.earlier.is_some()
    }

    /// The same when its files are written.
    pub fn closed(&self) -> Record {
        let mut record = self.clone();
        (record.main.earlier, record.master.earlier) = (None, None);
        record
    }

    /// Whether the files are still those of the record before this one, one of them at least.
    pub fn is_half_done(&self, main: &[u8], master: &[u8]) -> bool {
        self.main.is_earlier(main) || self.master.is_earlier(master)
    }

    /// The one that is kept for this configuration directory.
    pub fn load(directory: &Path) -> Result<Option<Record>, Failed> {
        let path = place_of(directory).join(FILE);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Failed::io("read", &path, &error)),
        };
        serde_json::from_slice(&text).map(Some).map_err(|error| {
            Failed::refused(
                format!("{} is damaged: {error}", path.display()),
                "main.cf and master.cf as they were are beside it: compare them by hand, then move that directory away",
            )
        })
    }

    /// Keeps it, and the files as they were.
    pub fn save(&self, directory: &Path, before: [(&str, &[u8]); 2]) -> Result<(), Failed> {
        let place = place_of(directory);
        match fs::DirBuilder::new().mode(0o700).create(&place) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(Failed::io("make", &place, &error));
            }
            Ok(()) | Err(_) => {}
        }
        for (name, bytes) in before {
            place::write(&place.join(name), bytes, 0o600, None)?;
        }
        let text = serde_json::to_vec_pretty(self)
            .map_err(|error| Failed::temporary(format!("cannot write the record: {error}"), ""))?;
        place::write(&place.join(FILE), &text, 0o600, None)
    }

    /// Forgets it. What else is in the directory stays.
    pub fn remove(directory: &Path) -> Result<(), Failed> {
        let place = place_of(directory);
        for name in [FILE, MAIN, MASTER] {
            let path = place.join(name);
            place::sweep(&path);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    return Err(Failed::io("remove", &path, &error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        // Somebody else's files may be in it.
        let _ = fs::remove_dir(&place);
        Ok(())
    }

    /// A file as it was.
    pub fn before(directory: &Path, name: &str) -> Result<Vec<u8>, Failed> {
        let path = place_of(directory).join(name);
        fs::read(&path).map_err(|error| Failed::io("read", &path, &error))
    }

    /// Takes in later changes: the first `before` of a place is the one that counts.
    pub fn merge(&mut self, edits: Vec<Edit>) {
        for edit in edits {
            let made = |known: &Edit| {
                known.before.is_none()
                    && matches!(known.spot, Spot::Service { .. })
                    && known.spot.service() == edit.spot.service()
            };
            let known = |known: &Edit| known.spot == edit.spot;
            if !self.edits.iter().any(|edit| known(edit) || made(edit)) {
                self.edits.push(edit);
            }
        }
    }

    /// Takes `after` from what stands there now.
    pub fn refresh(&mut self, postfix: &Postfix) {
        for edit in &mut self.edits {
            edit.after = edit.spot.value(postfix);
        }
        self.edits.retain(|edit| edit.before != edit.after);
    }
}

/// Where the copies are.
pub fn place_of(directory: &Path) -> PathBuf {
    directory.join(DIRECTORY)
}
