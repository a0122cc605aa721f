//! `check-config`: would the daemon take this file?

use std::path::Path;

use serde::Serialize;

use super::failure::{Exit, Failure};
use super::output::{Output, Shown};
use crate::config::load;

/// A file without faults.
#[derive(Serialize)]
struct Checked {
    file: String,
    ok: bool,
}

impl Shown for Checked {
    fn fields(&self) -> Vec<(&'static str, String)> {
        vec![("file", self.file.clone()), ("ok", "yes".to_owned())]
    }
}

/// Reads the file and says whether the daemon would take it.
pub fn run(file: &Path, output: &mut Output) -> Result<Exit, Failure> {
    load::load(file).map_err(|e| Failure::configuration(e.to_string()))?;
    output.show(&Checked {
        file: file.display().to_string(),
        ok: true,
    });
    Ok(Exit::Done)
}
