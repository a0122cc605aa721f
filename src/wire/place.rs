//! Puts a file in the place of another one, whole or not at all, with the same owner and mode; and
//! has Postfix check what it finds then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::pty::OpenptFlags;

use super::failed::Failed;

/// Where `postfix` is on hosts whose users do not have `sbin` in their path.
const PROGRAMS: [&str; 3] = ["postfix", "/usr/sbin/postfix", "/usr/local/sbin/postfix"];

/// As much as anybody reads of what it says.
const MOST: u64 = 64 * 1024;

/// A name that nobody has guessed.
pub fn random() -> Result<String, Failed> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|error| Failed::temporary(format!("cannot name a new file: {error}"), ""))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(random)))
}

/// Replaces a file that is there. The path leads to the file itself, not to a link.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Failed> {
    let like = fs::metadata(path).map_err(|error| Failed::io("look at", path, &error))?;
    let owner = (like.uid(), like.gid());
    write(path, bytes, like.permissions().mode() & 0o7777, Some(owner))
}

/// Writes a file, new or not; `owner`: user and group, where they are not ours.
pub fn write(
    path: &Path,
    bytes: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Failed> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    sweep(path);
    let making = path.with_file_name(format!(".{name}.{}", random()?));
    let done = fill(&making, bytes, mode, owner).and_then(|()| fs::rename(&making, path));
    done.map_err(|error| {
        let _ = fs::remove_file(&making);
        Failed::io("write", path, &error)
    })?;
    // The name is as durable as the file system has it: some cannot sync a directory.
    let directory = path.parent().map(File::open);
    let _ = directory.map(|directory| directory.and_then(|directory| directory.sync_all()));
    Ok(())
}

/// Takes away what a process left that was killed while it wrote this file. Nobody else writes it now: see
/// the lock of a session.
pub fn sweep(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let start = format!(".{name}.");
    let is_left = |found: &str| {
        let random = found.strip_prefix(&start);
        random.is_some_and(|word| word.len() == 16 && word.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    let entries = path.parent().map(fs::read_dir);
    for entry in entries.into_iter().flatten().flatten().flatten() {
        if is_left(&entry.file_name().to_string_lossy()) {
            // What cannot be taken away hurts nobody.
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn fill(making: &Path, bytes: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(making)?;
    file.write_all(bytes)?;
    if let Some((user, group)) = owner {
        fchown(&file, Some(user), Some(group))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Runs `postfix WORD`; an error is what it said.
pub fn postfix(directory: &Path, word: &str) -> Result<(), String> {
    for program in PROGRAMS {
        let mut command = Command::new(program);
        command.arg("-c").arg(directory).arg(word);
        match heard(&mut command) {
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(format!("{program}: {error}")),
            Ok((true, _)) => return Ok(()),
            Ok((false, said)) => return Err(said),
        }
    }
    Err("there is no postfix command on this host".to_owned())
}

/// Whether it succeeds, and what it says. Postfix speaks to terminals alone; to others, its log does.
/// Hosts without any are checked all the same.
fn heard(command: &mut Command) -> io::Result<(bool, String)> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let mut said = Vec::new();
    let (mut child, is_heard) = match terminal() {
        Ok((ours, theirs)) => {
            let child = command.stderr(theirs).spawn()?;
            // Our copy of their end, which keeps it open.
            command.stderr(Stdio::null());
            // EIO: the last of them has closed it.
            let _ = ours.take(MOST).read_to_end(&mut said);
            (child, true)
        }
        Err(_) => {
            let mut child = command.stderr(Stdio::piped()).spawn()?;
            if let Some(pipe) = child.stderr.take() {
                let _ = pipe.take(MOST).read_to_end(&mut said);
            }
            (child, false)
        }
    };
    let status = child.wait()?;
    let said = match gist(&String::from_utf8_lossy(&said)) {
        Some(gist) => gist,
        None if is_heard => "it says nothing here; see the mail log".to_owned(),
        None => {
            "why, it says to terminals only, and this host has none (/dev/pts); see the mail log"
                .to_owned()
        }
    };
    Ok((status.success(), said))
}

/// Both ends of one: ours, and that of a program.
fn terminal() -> io::Result<(File, File)> {
    let ours = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    rustix::pty::grantpt(&ours)?;
    rustix::pty::unlockpt(&ours)?;
    let name = rustix::pty::ptsname(&ours, Vec::new())?;
    let name = PathBuf::from(name.to_string_lossy().into_owned());
    let theirs = File::options().read(true).write(true).open(name)?;
    Ok((File::from(ours), theirs))
}

/// What ended it, among all the warnings; else what it said last.
fn gist(said: &str) -> Option<String> {
    let mut lines: Vec<&str> = Vec::new();
    for line in said.lines().map(str::trim) {
        if !line.is_empty() && !lines.contains(&line) {
            lines.push(line);
        }
    }
    let ends = |line: &&str| line.contains("fatal:") || line.contains("error:");
    let mut telling: Vec<&str> = lines.iter().copied().filter(ends).collect();
    if telling.is_empty() {
        telling = lines.iter().rev().take(3).rev().copied().collect();
    }
    (!telling.is_empty()).then(|| telling.join("; "))
}

#[cfg(test)]
mod tests {
    use super::gist;

    #[test]
    fn the_gist_of_what_postfix_says() {
        assert_eq!(
            gist("w: warning: a\r\nw: warning: a\r\np: fatal: b\r\n").as_deref(),
            Some("p: fatal: b")
        );
        assert_eq!(gist("1\n2\n\n3\n4\n").as_deref(), Some("2; 3; 4"));
        assert_eq!(gist(""), None);
    }
}
