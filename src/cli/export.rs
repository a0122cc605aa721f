//! `export`: all accounts, domains and users, in the form that `import outgate` reads.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::failure::{Exit, Failure};
use super::host::Host;
use super::new_file::{NewFile, cannot};
use super::output::{Output, Shown, to_json};
use super::{own_files, progress};
use crate::manage::export::{self, Summary};
use crate::store::Store;

/// How often progress is told: after so many records.
const PROGRESS_EVERY: u64 = 512;

/// `outgate export …`
#[derive(Args)]
pub struct Options {
    /// The file, JSON Lines; mode 0600; - is standard output
    file: PathBuf,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

impl Options {
    /// Writes the file, which has password hashes in it.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        if self.file == Path::new("-") {
            to_output(host.store()?.as_ref(), output)?;
        } else {
            own_files::check(&host.config.store.url, &self.file)?;
            let summary = self.to_file(host.store()?.as_ref())?;
            output.show(&summary);
        }
        Ok(Exit::Done)
    }

    fn to_file(&self, store: &dyn Store) -> Result<Summary, Failure> {
        let new = NewFile::create(&self.file, self.force)?;
        let mut lines = BufWriter::with_capacity(256 * 1024, new.file());
        let bar = progress::records();
        let mut trouble = None;
        let written = export::run(store, &mut |record, so_far| {
            if so_far.records.is_multiple_of(PROGRESS_EVERY) {
                bar.set_length(so_far.total);
                bar.set_position(so_far.records);
            }
            let mut line = to_json(record);
            line.push('\n');
            trouble = lines.write_all(line.as_bytes()).err();
            trouble.is_none()
        });
        bar.finish_and_clear();
        if let Some(error) = trouble.or_else(|| lines.flush().err()) {
            return Err(cannot("write", &self.file, &error));
        }
        drop(lines);
        let summary = written?;
        new.finish()?;
        Ok(summary)
    }
}

/// A reader that has left is no failure.
fn to_output(store: &dyn Store, output: &mut Output) -> Result<(), Failure> {
    let written = export::run(store, &mut |record, _| {
        output.value(record);
        !output.is_left()
    });
    match written {
        Err(_) if output.is_left() => Ok(()),
        written => Ok(written.map(drop)?),
    }
}

impl Shown for Summary {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("accounts", self.accounts.to_string()),
            ("domains", self.domains.to_string()),
            ("users", self.users.to_string()),
        ]
    }
}
