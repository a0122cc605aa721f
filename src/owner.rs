//! Who owns what outgate makes in the file system: what root makes belongs to the owner of the
//! directory around it, so that the daemon can use what an administrator's command made.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::Path;

/// Makes a directory of mode 0700, and those above it, where there is none.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    if directory.as_os_str().is_empty() || directory.try_exists()? {
        return Ok(());
    }
    if let Some(above) = directory.parent() {
        create_directory(above)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => match around(directory)? {
            Some((user, group)) => chown(directory, Some(user), Some(group)),
            None => Ok(()),
        },
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Who is to own what root makes at this place; `None` for those who can give nothing away.
pub fn around(path: &Path) -> io::Result<Option<(u32, u32)>> {
    match path.parent() {
        Some(around) if rustix::process::geteuid().is_root() => {
            let found = fs::metadata(around)?;
            Ok(Some((found.uid(), found.gid())))
        }
        Some(_) | None => Ok(None),
    }
}
