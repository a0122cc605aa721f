//! Gathers the facts: runs `postconf`, looks at files and sockets, reads the store.
//!
//! Changes nothing. What it may not look at is said, not guessed.

mod files;
mod machine;
pub mod postconf;
mod store;

use std::path::{Path, PathBuf};

use super::facts::{Facts, Host};
use crate::clock::Clock;
use crate::config::Config;

/// Where to look.
pub struct Places {
    /// outgate's configuration file.
    pub config_file: PathBuf,
    /// Another configuration directory of Postfix.
    pub postfix: Option<PathBuf>,
}

/// Looks at everything but DNS.
pub fn gather(config: &Config, places: Places, clock: &Clock) -> Facts {
    let mut unseen = Vec::new();
    let postfix = postconf::read(places.postfix.as_deref());
    let queue = postfix.as_ref().map_or_else(
        |_| PathBuf::from("/var/spool/postfix"),
        super::postfix::Postfix::queue,
    );
    let owner = postfix.as_ref().map_or_else(
        |_| "postfix".to_owned(),
        |postfix| postfix.value("mail_owner"),
    );
    let host = Host {
        now: clock.now(),
        synchronized: machine::synchronized(),
        postfix_user: machine::identity(&owner),
        sockets: files::sockets(&config.listen, &mut unseen),
        files: files::with_secrets(config, &places.config_file, &mut unseen),
        disks: machine::disks(&[store_directory(config), &queue]),
        daemon: machine::daemon(config, &mut unseen),
        chroot_knows_names: queue.join("etc/hosts").exists(),
    };
    Facts {
        store: store::read(config, clock, &mut unseen),
        config: config.clone(),
        config_file: places.config_file,
        postfix,
        host,
        resolver: None,
        unseen,
    }
}

fn store_directory(config: &Config) -> &Path {
    config.store.url.path().parent().unwrap_or(Path::new("/"))
}
