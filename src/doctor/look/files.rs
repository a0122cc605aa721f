//! Owners and modes of sockets and files.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::config::value::Endpoint;
use crate::config::{Config, Listen};
use crate::doctor::facts::{File, Purpose, Rights, Socket, SocketState};
use crate::socket;
use crate::store::log;

/// The listeners that are Unix sockets.
pub fn sockets(listen: &Listen, unseen: &mut Vec<String>) -> Vec<Socket> {
    let listeners = [
        ("auth", &listen.auth),
        ("policy", &listen.policy),
        ("milter", &listen.milter),
    ];
    let mut sockets = Vec::new();
    for (front_end, endpoint) in listeners {
        let Endpoint::Unix(path) = endpoint else {
            continue;
        };
        sockets.push(Socket {
            front_end,
            path: path.clone(),
            found: look(path, unseen),
        });
    }
    sockets
}

fn look(path: &Path, unseen: &mut Vec<String>) -> SocketState {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return SocketState::Missing,
        Err(error) => {
            unseen.push(format!("{}: {error}", path.display()));
            return SocketState::Hidden;
        }
    };
    if !found.file_type().is_socket() {
        return SocketState::Other;
    }
    SocketState::There {
        rights: rights(&found),
        way: way(path),
        served: served(path, unseen),
    }
}

/// Whether somebody listens. Connects and goes.
fn served(path: &Path, unseen: &mut Vec<String>) -> Option<bool> {
    match socket::connect(path) {
        Ok(_) => Some(true),
        // So many wait that no more may.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Some(true),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => Some(false),
        Err(error) => {
            unseen.push(format!("connecting to {}: {error}", path.display()));
            None
        }
    }
}

/// The directories that lead to a file, the root first.
fn way(path: &Path) -> Vec<(PathBuf, Rights)> {
    let mut way: Vec<_> = path
        .ancestors()
        .skip(1)
        .filter_map(|above| Some((above.to_owned(), rights(&fs::metadata(above).ok()?))))
        .collect();
    way.reverse();
    way
}

/// Files that not everybody should read or write; those that are there.
pub fn with_secrets(config: &Config, file: &Path, unseen: &mut Vec<String>) -> Vec<File> {
    let database = config.store.url.path();
    let log = config.store.url.beside(log::FILE);
    let mut wanted = vec![
        (Purpose::Configuration, file.to_owned()),
        (Purpose::Control, config.control_socket()),
    ];
    for (purpose, database) in [(Purpose::Store, database), (Purpose::Log, &log)] {
        wanted.extend(["", "-wal", "-shm"].map(|suffix| {
            let mut path = database.as_os_str().to_owned();
            path.push(suffix);
            (purpose, PathBuf::from(path))
        }));
    }
    wanted.extend(
        database
            .parent()
            .map(|parent| (Purpose::StoreDirectory, parent.to_owned())),
    );
    let mut files = Vec::new();
    for (purpose, path) in wanted {
        match fs::metadata(&path) {
            Ok(found) => files.push(File {
                purpose,
                rights: rights(&found),
                path,
            }),
            // Of what cannot be seen, the store is said by those who want to read it.
            Err(_) if matches!(purpose, Purpose::Store | Purpose::Log | Purpose::Control) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => unseen.push(format!("{}: {error}", path.display())),
        }
    }
    files
}

fn rights(found: &Metadata) -> Rights {
    Rights {
        uid: found.uid(),
        gid: found.gid(),
        mode: found.mode() & 0o7777,
    }
}
