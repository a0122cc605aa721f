//! Unix sockets in the file system: bound with owner and mode in place before anybody can connect,
//! never over a socket that somebody serves, and connected to without waiting.
//!
//! For the listeners of the daemon and for the control socket; knows no protocol.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt, lchown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use rustix::fs::Mode;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use crate::owner;

/// Connections that may wait to be accepted. Postfix opens hundreds at once after a restart.
pub const BACKLOG: i32 = 1024;

/// Binds a non-blocking listener with this mode. A socket that nobody serves is replaced; one that
/// answers is an error of kind `AddrInUse`, and anything but a socket one of kind `AlreadyExists`.
/// What root binds belongs to the owner and group of the directory; others give their socket the
/// group of the directory where they may, because that is the group that Postfix connects with.
pub fn bind(path: &Path, mode: u32) -> io::Result<UnixListener> {
    remove_stale(path)?;
    let socket = new()?;
    // A socket is created in the file system with the mode that it has here, as far as the umask
    // lets it. A chmod afterwards would follow a link that the owner of the directory puts there.
    rustix::fs::fchmod(&socket, Mode::from_raw_mode(mode))?;
    let address = SocketAddrUnix::new(path)?;
    let umask = rustix::process::umask(Mode::from_raw_mode(0o077));
    rustix::process::umask(umask & !Mode::from_raw_mode(mode));
    let bound = rustix::net::bind(&socket, &address);
    rustix::process::umask(umask);
    bound?;
    hand_over(path)?;
    // Nobody can connect before this.
    rustix::net::listen(&socket, BACKLOG)?;
    Ok(UnixListener::from(socket))
}

/// Connects at once or not at all: a server whose backlog is full is an error of kind `WouldBlock`.
/// The stream is non-blocking.
pub fn connect(path: &Path) -> io::Result<UnixStream> {
    let socket = new()?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(UnixStream::from(socket))
}

/// Gives what was just created at `path` its owner and group.
fn hand_over(path: &Path) -> io::Result<()> {
    if let Some((user, group)) = owner::around(path)? {
        return lchown(path, Some(user), Some(group));
    }
    let group = fs::metadata(path.parent().unwrap_or(Path::new("/")))?.gid();
    if fs::symlink_metadata(path)?.gid() != group {
        // Allowed to members of that group only; without, the socket keeps ours.
        let _ = lchown(path, None, Some(group));
    }
    Ok(())
}

fn new() -> io::Result<std::os::fd::OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(socket)
}

fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
        Ok(found) if !found.file_type().is_socket() => {
            let problem = "something that is not a socket is there: move it away";
            return Err(io::Error::new(ErrorKind::AlreadyExists, problem));
        }
        Ok(_) => {}
    }
    match connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        Ok(_) | Err(_) => {
            let problem = "another process listens there: stop it first";
            Err(io::Error::new(ErrorKind::AddrInUse, problem))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_are_exact() {
        let dir = tempfile::tempdir().unwrap();
        for mode in [0o600, 0o660, 0o666, 0o640, 0o777, 0o000] {
            let path = dir.path().join(format!("{mode:o}.sock"));
            let _listener = bind(&path, mode).unwrap();
            let found = fs::symlink_metadata(&path).unwrap().mode();
            assert_eq!(found & 0o7777, mode, "{mode:o}");
        }
    }

    #[test]
    fn a_stale_socket_is_replaced_and_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        drop(bind(&path, 0o600).unwrap());
        let listener = bind(&path, 0o600).unwrap();
        let error = bind(&path, 0o600).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        connect(&path).unwrap();
        drop(listener);
        bind(&path, 0o600).unwrap();
    }

    #[test]
    fn a_full_backlog_is_a_live_socket() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let listener = bind(&path, 0o600).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let waiting = connect(&path).unwrap();
        assert_eq!(connect(&path).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(bind(&path, 0o600).unwrap_err().kind(), ErrorKind::AddrInUse);
        drop(waiting);
    }

    #[test]
    fn what_is_no_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "precious").unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        for path in [&file, &link, &dir.path().to_owned()] {
            let error = bind(path, 0o600).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{}", path.display());
        }
        assert_eq!(fs::read_to_string(&file).unwrap(), "precious");
    }

    #[test]
    fn a_missing_directory_and_a_long_path_are_errors() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("missing").join("s");
        assert_eq!(
            bind(&missing, 0o600).unwrap_err().kind(),
            ErrorKind::NotFound
        );
        let long = dir.path().join("x".repeat(120));
        assert!(bind(&long, 0o600).is_err());
        assert!(connect(&long).is_err());
    }
}
