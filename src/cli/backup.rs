//! `backup`: a consistent copy of a store that is in use.

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::new_file::NewFile;
use super::output::{Output, Shown};
use super::{own_files, progress};
use crate::store;
use crate::store::backup::{BackupError, Copied};

/// `outgate backup …`
#[derive(Args)]
pub struct Options {
    /// The file for the copy; mode 0600
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl Options {
    /// Copies the store, checks the copy, and gives it its name.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        if self.file == Path::new("-") {
            return Err(Failure::refused(
                "a backup cannot be written to standard output: it is checked as a file",
                "name a file (./- if that is its name), or outgate export -",
            ));
        }
        there_is_one(host.config.store.url.path())?;
        own_files::check(&host.config.store.url, &self.file)?;
        let new = NewFile::create(&self.file, self.force)?;
        let bar = progress::bytes(Some(0));
        let copied = store::back_up(&host.config.store.url, new.path(), &mut |so_far| {
            bar.set_length(so_far.total);
            bar.set_position(so_far.copied);
            if so_far.copied == so_far.total {
                bar.set_message("checking the copy");
            }
        });
        bar.finish_and_clear();
        let copied = copied?;
        new.finish()?;
        output.show(&Backup::new(&self.file, copied));
        Ok(Exit::Done)
    }
}

/// Whether there is something to copy.
fn there_is_one(database: &Path) -> Result<(), Failure> {
    if fs::exists(database).unwrap_or(true) {
        return Ok(());
    }
    let database = database.display();
    Err(Failure::refused(
        format!("there is no store at {database}: nothing to copy"),
        "check [store] url",
    ))
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Failure {
        let text = format!("no backup was made: {error}");
        match error {
            BackupError::Store(error) => error.into(),
            BackupError::File(_) => Failure::temporary(
                text,
                "look at the space and health of the disk that it goes to, then try again",
            ),
            BackupError::Damaged(_) => Failure::temporary(
                text,
                "if it happens again, the store is damaged or a disk is failing",
            ),
        }
    }
}

/// A copy that is whole.
#[derive(Serialize)]
struct Backup {
    file: String,
    bytes: u64,
    schema_version: usize,
}

impl Backup {
    fn new(file: &Path, copied: Copied) -> Backup {
        Backup {
            file: file.display().to_string(),
            bytes: copied.bytes,
            schema_version: copied.schema_version,
        }
    }
}

impl Shown for Backup {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("file", self.file.clone()),
            ("bytes", self.bytes.to_string()),
            ("schema version", self.schema_version.to_string()),
        ]
    }
}
