//! Where Postfix looks for a server, and whether that is where somebody listens.

use std::path::{Component, Path, PathBuf};

/// An address as main.cf and master.cf have it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// `unix:PATH`, or a path alone.
    Unix(PathBuf),
    /// `inet:HOST:PORT`.
    Inet {
        /// A name or an address, without brackets.
        host: String,
        /// Digits, or a name.
        port: String,
    },
}

impl Place {
    /// Reads it.
    pub fn parse(text: &str) -> Place {
        let text = text.trim();
        let Some(rest) = text.strip_prefix("inet:") else {
            let path = text
                .strip_prefix("unix:")
                .or_else(|| text.strip_prefix("local:"));
            return Place::Unix(PathBuf::from(path.unwrap_or(text)));
        };
        let (host, port) = rest.rsplit_once(':').unwrap_or(("", rest));
        Place::Inet {
            host: host.trim_matches(['[', ']']).to_ascii_lowercase(),
            port: port.to_owned(),
        }
    }
}

/// The file that a path leads a process of Postfix to, whose working directory is the queue.
pub fn seen(path: &Path, queue: &Path, chroot: bool) -> PathBuf {
    let path = match path.strip_prefix("/") {
        Err(_) => queue.join(path),
        Ok(below) if chroot => queue.join(below),
        Ok(_) => path.to_owned(),
    };
    tidy(&path)
}

/// Without `.`, `..` and doubled slashes.
fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(tidy.pop()),
            Component::CurDir => {}
            Component::Normal(_) | Component::RootDir | Component::Prefix(_) => tidy.push(part),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places() {
        let unix = |path: &str| Place::Unix(path.into());
        for text in ["unix:a/b", "a/b", "local:a/b", " unix:a/b "] {
            assert_eq!(Place::parse(text), unix("a/b"), "{text}");
        }
        let inet = |host: &str, port: &str| Place::Inet {
            host: host.into(),
            port: port.into(),
        };
        assert_eq!(Place::parse("inet:[::1]:99"), inet("::1", "99"));
        assert_eq!(
            Place::parse("inet:Localhost:smtp"),
            inet("localhost", "smtp")
        );
        assert_eq!(Place::parse("inet:99"), inet("", "99"));
    }

    #[test]
    fn what_a_chroot_sees() {
        let queue = Path::new("/q");
        for (path, chroot, expected) in [
            ("og/a", true, "/q/og/a"),
            ("og//./a", false, "/q/og/a"),
            ("/og/a", true, "/q/og/a"),
            ("/og/a", false, "/og/a"),
            ("/q/og/a", true, "/q/q/og/a"),
            ("../og/a", false, "/og/a"),
        ] {
            assert_eq!(
                seen(Path::new(path), queue, chroot),
                Path::new(expected),
                "{path} {chroot}"
            );
        }
    }
}
