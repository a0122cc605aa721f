//! `import`: many records at once, all of them or none.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::failure::{Exit, Failure};
use super::host::Host;
use super::new_file::NewFile;
use super::output::{Output, Shown};
use super::progress;
use super::word;
use crate::auth::hash::check_stored;
use crate::manage::import::{self, Count, Summary};

/// How much is read at once.
const BUFFER: usize = 256 * 1024;

/// How the file is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// JSON Lines, one record a line
    Outgate,
}

/// `outgate import …`
#[derive(Args)]
pub struct Options {
    /// How the file is written
    #[arg(value_enum)]
    format: Format,
    /// The file; - is standard input
    file: PathBuf,
    /// Only check it: nothing is stored
    #[arg(long)]
    dry_run: bool,
}

impl Options {
    /// Reads the file into the store.
    pub fn run(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        match self.format {
            Format::Outgate => self.outgate(host, output),
        }
    }

    fn outgate(self, host: &Host, output: &mut Output) -> Result<Exit, Failure> {
        let (mut lines, length) = open(&self.file)?;
        let store = host.store()?;
        if length.is_none() {
            lines = gathered(lines.as_mut(), host)?;
        }
        let bar = progress::bytes(length);
        let options = import::Options {
            dry_run: self.dry_run,
            now: host.clock.now(),
            check_hash: |phc| check_stored(phc).map_err(|error| error.to_string()),
        };
        let done = import::run(store.as_ref(), &mut lines, &options, &mut |so_far| {
            bar.set_position(so_far.bytes);
        });
        bar.finish_and_clear();
        let summary = done?;
        if self.dry_run {
            output.show(&summary);
            return Ok(Exit::Done);
        }
        host.changed(output, &summary)
    }
}

impl Shown for Summary {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![
            ("accounts", count(&self.accounts)),
            ("domains", count(&self.domains)),
            ("users", count(&self.users)),
            ("dry run", word::yes_or_no(self.dry_run)),
        ]
    }
}

fn count(count: &Count) -> String {
    let Count {
        added,
        replaced,
        unchanged,
    } = count;
    format!("{added} added, {replaced} replaced, {unchanged} unchanged")
}

/// The file, and how long it is if that is known.
fn open(file: &Path) -> Result<(Box<dyn BufRead>, Option<u64>), Failure> {
    if file == Path::new("-") {
        return Ok((Box::new(io::stdin().lock()), None));
    }
    let opened = File::open(file).and_then(|opened| {
        let about = opened.metadata()?;
        Ok((opened, about.is_file().then_some(about.len())))
    });
    let (opened, length) = opened.map_err(|error| {
        Failure::refused(
            format!("cannot read {}: {error}", file.display()),
            "name a file that outgate export wrote, or - for standard input",
        )
    })?;
    Ok((Box::new(BufReader::with_capacity(BUFFER, opened)), length))
}

/// What comes from a pipe, when it has all come. An import locks the store from its first line to its
/// last, and whoever writes into the pipe may ask for a passphrase in between. It is kept in a file
/// without a name beside the store, with which it shares its secrets and the space that it needs.
fn gathered(input: &mut dyn BufRead, host: &Host) -> Result<Box<dyn BufRead>, Failure> {
    let place = host.config.store.url.beside("piped-import");
    let cannot = |error: io::Error| {
        Failure::temporary(
            format!("cannot keep what is read beside the store: {error}"),
            "make room there, or write it into a file and import that",
        )
    };
    let mut file = NewFile::create(&place, true)?.nameless().map_err(cannot)?;
    let mut kept = BufWriter::with_capacity(BUFFER, &file);
    let mut trouble = None;
    let read = import::gather(input, &mut |line| {
        trouble = kept.write_all(line.as_bytes()).err();
        trouble.is_none()
    });
    if let Some(error) = trouble.or_else(|| kept.flush().err()) {
        return Err(cannot(error));
    }
    drop(kept);
    read?;
    file.rewind().map_err(cannot)?;
    Ok(Box::new(BufReader::with_capacity(BUFFER, file)))
}
