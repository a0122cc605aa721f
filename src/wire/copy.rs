//! main.cf and master.cf as they were found, and a copy of them to work on.

use std::fs::{self, DirBuilder};
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use similar::TextDiff;

use super::failed::Failed;
use super::place;

/// What main.cf is called.
pub const MAIN: &str = "main.cf";
/// What master.cf is called.
pub const MASTER: &str = "master.cf";

/// A file as it was found.
pub struct Original {
    /// `main.cf`, `master.cf`.
    pub name: &'static str,
    /// The file itself: links are followed.
    pub path: PathBuf,
    /// What was in it.
    pub bytes: Vec<u8>,
}

/// A directory for this change alone. Dropped, it is gone.
pub struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Original {
    /// Reads it.
    pub fn read(directory: &Path, name: &'static str) -> Result<Original, Failed> {
        let path = directory.join(name);
        let path = fs::canonicalize(&path).map_err(|error| Failed::io("read", &path, &error))?;
        let bytes = fs::read(&path).map_err(|error| Failed::io("read", &path, &error))?;
        Ok(Original { name, path, bytes })
    }

    /// Whether nobody has changed it since.
    pub fn is_unchanged(&self) -> Result<(), Failed> {
        let now = fs::read(&self.path).map_err(|error| Failed::io("read", &self.path, &error))?;
        match now == self.bytes {
            true => Ok(()),
            false => Err(Failed::temporary(
                format!(
                    "{} was changed meanwhile by somebody else",
                    self.path.display()
                ),
                "nothing was changed by outgate: run this again",
            )),
        }
    }

    /// What becomes of it, as `diff -u` shows it.
    pub fn diff(&self, new: &[u8]) -> String {
        let (old, new) = (
            String::from_utf8_lossy(&self.bytes),
            String::from_utf8_lossy(new),
        );
        let path = self.path.display().to_string();
        let diff = TextDiff::from_lines(&*old, &*new);
        diff.unified_diff()
            .header(&path, &format!("{path} (new)"))
            .to_string()
    }
}

impl Copy {
    /// With these files in it.
    pub fn make(originals: &[&Original]) -> Result<Copy, Failed> {
        let path = std::env::temp_dir().join(format!("outgate-postfix.{}", place::random()?));
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| {
            let hint = "the change is made in a copy first, in a directory for what is temporary: see TMPDIR";
            Failed {
                hint: hint.to_owned(),
                ..Failed::io("make", &path, &error)
            }
        })?;
        let copy = Copy(path);
        for original in originals {
            copy.write(original.name, &original.bytes)?;
        }
        Ok(copy)
    }

    /// Puts one there.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Failed> {
        let path = self.0.join(name);
        fs::write(&path, bytes).map_err(|error| Failed::io("write", &path, &error))
    }

    /// One as it is now.
    pub fn read(&self, name: &str) -> Result<Vec<u8>, Failed> {
        let path = self.0.join(name);
        match fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
            read => read.map_err(|error| Failed::io("read", &path, &error)),
        }
    }

    /// Ends it before its time.
    pub fn remove(&self) {
        // What stays is in the directory for what is temporary.
        let _ = fs::remove_dir_all(&self.0);
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}
