//! The front ends in service: which socket leads to which of them.

use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::doors::{self, Gauge};
use super::inherited::Door;
use crate::auth::Authenticator;
use crate::config::Listen;
use crate::config::value::Endpoint;
use crate::engine::Engine;
use crate::front::auth::AuthFront;
use crate::front::listener::{Listener, Stream};
use crate::front::milter::MilterFront;
use crate::front::policy::PolicyFront;

/// Counts open milter sessions.
pub type Sessions = Box<dyn Fn() -> usize + Send + Sync>;

/// Everything that answers Postfix.
pub struct Fronts {
    /// Knows passwords.
    pub authenticator: Arc<Authenticator>,
    /// Open connections of auth.
    pub auth: Arc<Gauge>,
    /// Open connections of policy.
    pub policy: Arc<Gauge>,
    /// One for each socket.
    pub milters: Vec<MilterFront>,
    /// Open sessions of each of them.
    pub milter_sessions: Vec<Sessions>,
    /// Where they listen.
    pub listeners: Vec<(Door, String)>,
    engine: Arc<Engine>,
}

impl Fronts {
    /// None is open yet.
    pub fn new(engine: Arc<Engine>) -> Fronts {
        Fronts {
            authenticator: Arc::new(Authenticator::new(engine.clone())),
            engine,
            auth: Arc::default(),
            policy: Arc::default(),
            milters: Vec::new(),
            milter_sessions: Vec::new(),
            listeners: Vec::new(),
        }
    }

    /// Serves all of these sockets from now on.
    pub fn open_all(
        &mut self,
        listeners: Vec<(Door, Listener)>,
        tasks: &mut JoinSet<()>,
    ) -> io::Result<()> {
        let mut listeners = listeners.into_iter();
        listeners.try_for_each(|(door, listener)| self.open(door, listener, tasks))
    }

    /// Serves a socket from now on. The tasks that let connections in end with their front end only.
    fn open(&mut self, door: Door, listener: Listener, tasks: &mut JoinSet<()>) -> io::Result<()> {
        let address = listener.to_string();
        let clock = self.engine.clock.clone();
        match door {
            Door::Auth => {
                let front = Arc::new(AuthFront::new(self.authenticator.clone()));
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    async move { front.serve(stream).await }
                };
                tasks.spawn(doors::keep(listener, self.auth.clone(), clock, serve));
            }
            Door::Policy => {
                let front = Arc::new(PolicyFront::new(self.engine.clone()));
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    async move { front.serve(stream).await }
                };
                tasks.spawn(doors::keep(listener, self.policy.clone(), clock, serve));
            }
            Door::Milter => {
                let front = MilterFront::start(self.engine.clone(), listener, tasks);
                let front = front.map_err(|error| {
                    let text = format!("cannot serve the milter on {address}: {error}");
                    io::Error::new(error.kind(), text)
                })?;
                self.milter_sessions.push(Box::new(front.gauge()));
                self.milters.push(front);
            }
            Door::Admin => {
                tracing::warn!(
                    address,
                    "this version has no admin interface: nobody answers there"
                );
                return Ok(());
            }
        }
        self.listeners.push((door, address));
        Ok(())
    }
}

/// What is inherited, and what is configured for the doors that inherit nothing.
pub fn bind(
    mut listeners: Vec<(Door, Listener)>,
    listen: &Listen,
) -> io::Result<Vec<(Door, Listener)>> {
    for door in Door::ALL {
        let endpoint = match door {
            Door::Auth => &listen.auth,
            Door::Policy => &listen.policy,
            Door::Milter => &listen.milter,
            Door::Admin => &listen.admin,
        };
        if listeners.iter().any(|(inherited, _)| *inherited == door) {
            continue;
        }
        if door == Door::Admin && *endpoint != Endpoint::Off {
            let address = endpoint.to_string();
            tracing::warn!(
                address,
                "this version has no admin interface: not listening there"
            );
            continue;
        }
        for listener in Listener::bind(endpoint, listen.socket_mode.0)? {
            listeners.push((door, listener));
        }
    }
    Ok(listeners)
}
