//! What the doctor knows of a host before it judges. Data alone: [`super::look`] fills it in.

use std::path::PathBuf;

use jiff::Timestamp;

use super::postfix::Postfix;
use crate::config::Config;
use crate::manage::survey::Survey;
use crate::store::Soundness;

/// All of it.
pub struct Facts {
    /// outgate's own configuration.
    pub config: Config,
    /// The file that it stands in.
    pub config_file: PathBuf,
    /// The host's Postfix.
    pub postfix: Result<Postfix, NoPostfix>,
    /// Files, sockets, time.
    pub host: Host,
    /// Users and domains.
    pub store: StoreFacts,
    /// What name servers said to a question; `None`: not asked.
    pub resolver: Option<Result<(), String>>,
    /// What could not be looked at, and why.
    pub unseen: Vec<String>,
}

/// Why nothing is known of Postfix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NoPostfix {
    /// There is no `postconf`.
    NotInstalled,
    /// `postconf` fails, in its own words.
    Unreadable(String),
}

/// The machine.
pub struct Host {
    /// The time of day.
    pub now: Timestamp,
    /// Whether the clock follows others; `None`: the host does not say.
    pub synchronized: Option<bool>,
    /// Who connects to the sockets.
    pub postfix_user: Option<Identity>,
    /// The listeners that are Unix sockets.
    pub sockets: Vec<Socket>,
    /// Files with secrets or power.
    pub files: Vec<File>,
    /// Where something has to be written.
    pub disks: Vec<Disk>,
    /// The running daemon.
    pub daemon: Daemon,
    /// Whether names like `localhost` can be looked up inside Postfix's chroot.
    pub chroot_knows_names: bool,
}

/// A user of the system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// Its name.
    pub name: String,
    /// Its number.
    pub uid: u32,
    /// The groups that it is in.
    pub gids: Vec<u32>,
}

/// Owner and mode of something in the file system.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rights {
    /// The owner.
    pub uid: u32,
    /// The group.
    pub gid: u32,
    /// The permission bits.
    pub mode: u32,
}

impl Rights {
    /// Whether somebody has these rights (as in `rwx`: 4, 2, 1).
    pub fn allow(&self, who: &Identity, wanted: u32) -> bool {
        let bits = if who.uid == self.uid {
            self.mode >> 6
        } else if who.gids.contains(&self.gid) {
            self.mode >> 3
        } else {
            self.mode
        };
        who.uid == 0 || bits & wanted == wanted
    }
}

/// A listener's socket.
pub struct Socket {
    /// `auth`, `policy`, `milter`.
    pub front_end: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// What is there.
    pub found: SocketState,
}

/// What is where a socket should be.
pub enum SocketState {
    /// Nothing.
    Missing,
    /// It cannot be looked at.
    Hidden,
    /// Something that is no socket.
    Other,
    /// A socket.
    There {
        /// Its own.
        rights: Rights,
        /// The directories that lead to it, the root first.
        way: Vec<(PathBuf, Rights)>,
        /// Whether somebody listens; `None`: not allowed to ask.
        served: Option<bool>,
    },
}

/// What a file is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The store, or what SQLite keeps beside it.
    Store,
    /// The decision log.
    Log,
    /// The directory of the store.
    StoreDirectory,
    /// outgate's configuration.
    Configuration,
    /// The control socket.
    Control,
}

/// A file that not everybody should read or write.
pub struct File {
    /// What it is for.
    pub purpose: Purpose,
    /// Where it is.
    pub path: PathBuf,
    /// Its owner and mode.
    pub rights: Rights,
}

/// Room to write.
pub struct Disk {
    /// A directory on it.
    pub path: PathBuf,
    /// Bytes that are free.
    pub bytes: u64,
    /// Files that can be made; `None`: no limit.
    pub files: Option<u64>,
}

/// What the control socket says.
pub enum Daemon {
    /// Nobody is there.
    NotRunning,
    /// Not ours to ask.
    Hidden,
    /// Somebody is, and does not answer.
    Silent(String),
    /// It answers.
    Running(Running),
}

/// What a running daemon says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Running {
    /// Who it runs as.
    pub uid: Option<u32>,
    /// The limit of open files; `None`: no limit, or not said.
    pub open_files: Option<u64>,
    /// Why the store cannot be read or written.
    pub store_trouble: Option<String>,
    /// Log lines that were lost.
    pub lost_log_lines: u64,
}

/// What is known of the store.
pub enum StoreFacts {
    /// There is no database yet.
    Missing,
    /// Not ours to read.
    Hidden,
    /// It could not be opened or read, for this reason.
    Unreadable(String),
    /// An earlier outgate wrote it, and nobody has brought it up to date yet.
    Older {
        /// The version of its tables.
        found: usize,
        /// The one that this program works with.
        known: usize,
    },
    /// It was read.
    Read {
        /// Whether its pages are whole.
        soundness: Soundness,
        /// What is in it.
        survey: Box<Survey>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_of_the_first_class_that_fits() {
        let who = |uid, gids: &[u32]| Identity {
            name: "x".to_owned(),
            uid,
            gids: gids.to_vec(),
        };
        let rights = |mode| Rights {
            uid: 5,
            gid: 50,
            mode,
        };
        assert!(rights(0o660).allow(&who(5, &[]), 2));
        assert!(rights(0o660).allow(&who(6, &[1, 50]), 2));
        assert!(!rights(0o660).allow(&who(6, &[1]), 2));
        assert!(rights(0o662).allow(&who(6, &[1]), 2));
        assert!(!rights(0o602).allow(&who(6, &[50]), 2));
        assert!(!rights(0o062).allow(&who(5, &[50]), 2));
        assert!(rights(0).allow(&who(0, &[]), 7));
    }
}
