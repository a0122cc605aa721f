//! Sockets that systemd (or whoever started the process) has bound and holds: they survive a
//! restart, so that Postfix never meets a closed door. Taken by name, see sd_listen_fds(3).

use std::io;

use listenfd::ListenFd;

use crate::front::listener::Listener;

/// Inherited sockets and their names.
pub struct Inherited {
    names: Vec<String>,
    sockets: ListenFd,
}

/// What an inherited socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Door {
    /// The auth front end.
    Auth,
    /// The policy front end.
    Policy,
    /// The milter front end.
    Milter,
    /// API and web page.
    Admin,
}

impl Door {
    /// Every one.
    pub const ALL: [Door; 4] = [Door::Auth, Door::Policy, Door::Milter, Door::Admin];

    /// The name of its socket, of its key in `[listen]`, and in the line that announces it.
    pub fn id(self) -> &'static str {
        match self {
            Door::Auth => "auth",
            Door::Policy => "policy",
            Door::Milter => "milter",
            Door::Admin => "admin",
        }
    }
}

impl Inherited {
    /// Takes what the environment announces. Call it before there are other threads: it removes
    /// the announcement, so that no child takes the sockets for its own.
    pub fn take() -> Inherited {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Inherited {
            names: names.split(':').map(str::to_owned).collect(),
            sockets: ListenFd::from_env(),
        }
    }

    /// The listeners with their doors. Wants a runtime. A socket that is for none of the doors is
    /// an error: Postfix would wait behind it for ever.
    pub fn listeners(mut self) -> io::Result<Vec<(Door, Listener)>> {
        let mut listeners = Vec::new();
        for index in 0..self.sockets.len() {
            let name = self.names.get(index).map_or("", String::as_str);
            let Some(door) = Door::ALL.into_iter().find(|door| door.id() == name) else {
                return Err(io::Error::other(format!(
                    "inherited socket {index} is named {name:?}: give its socket unit FileDescriptorName=auth, policy, milter or admin"
                )));
            };
            let explain = |error| {
                io::Error::other(format!("cannot use the inherited socket {name}: {error}"))
            };
            if let Some(listener) = take(&mut self.sockets, index).map_err(explain)? {
                listeners.push((door, listener));
            }
        }
        Ok(listeners)
    }
}

fn take(sockets: &mut ListenFd, index: usize) -> io::Result<Option<Listener>> {
    // What is no Unix socket stays in its place and may be one of TCP.
    if let Ok(Some(socket)) = sockets.take_unix_listener(index) {
        return Listener::inherit_unix(socket).map(Some);
    }
    match sockets.take_tcp_listener(index)? {
        Some(socket) => Listener::inherit_tcp(socket).map(Some),
        None => Ok(None),
    }
}
