//! The front ends in service: which socket leads to which of them.

use std::io;
use std::sync::Arc;

use tokio::task::JoinSet;

use super::doors::{self, Gauge};
use super::farewell::{Farewell, Visitor};
use super::inherited::Door;
use crate::admin::{self, AdminFront, Observed};
use crate::auth::Authenticator;
use crate::config::Listen;
use crate::engine::Engine;
use crate::front::auth::AuthFront;
use crate::front::listener::{Listener, Stream};
use crate::front::milter::MilterFront;
use crate::front::policy::PolicyFront;

/// Counts open milter sessions.
pub type Sessions = Arc<dyn Fn() -> usize + Send + Sync>;

/// Everything that answers Postfix, and the admin interface.
pub struct Fronts {
    /// Knows passwords.
    pub authenticator: Arc<Authenticator>,
    /// Open connections of auth.
    pub auth: Arc<Gauge>,
    /// Open connections of policy.
    pub policy: Arc<Gauge>,
    /// For the connections of both.
    pub farewell: Arc<Farewell>,
    /// Open connections of the admin listener.
    pub admin: Arc<Gauge>,
    /// One for each socket.
    pub milters: Vec<MilterFront>,
    /// Open sessions of each of them.
    pub milter_sessions: Vec<Sessions>,
    /// How many may be open, all together.
    pub milter_limit: u32,
    /// Where they listen.
    pub listeners: Vec<(Door, String)>,
    /// Not served yet.
    admin_listeners: Vec<Listener>,
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
            farewell: Arc::default(),
            admin: Arc::default(),
            milters: Vec::new(),
            milter_sessions: Vec::new(),
            milter_limit: 0,
            listeners: Vec::new(),
            admin_listeners: Vec::new(),
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
                let farewell = self.farewell.clone();
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    let visitor = Visitor::new(stream, farewell.clone());
                    async move { front.serve(visitor).await }
                };
                tasks.spawn(doors::keep(listener, self.auth.clone(), clock, serve));
            }
            Door::Policy => {
                let front = Arc::new(PolicyFront::new(self.engine.clone()));
                let farewell = self.farewell.clone();
                let serve = move |stream: Stream| {
                    let front = front.clone();
                    let visitor = Visitor::new(stream, farewell.clone());
                    async move { front.serve(visitor).await }
                };
                tasks.spawn(doors::keep(listener, self.policy.clone(), clock, serve));
            }
            Door::Milter => {
                let front = MilterFront::start(self.engine.clone(), listener, tasks);
                let front = front.map_err(|error| {
                    let text = format!("cannot serve the milter on {address}: {error}");
                    io::Error::new(error.kind(), text)
                })?;
                self.milter_sessions.push(Arc::new(front.gauge()));
                self.milter_limit = self.milter_limit.saturating_add(front.limit());
                self.milters.push(front);
            }
            Door::Admin => self.admin_listeners.push(listener),
        }
        self.listeners.push((door, address));
        Ok(())
    }
}

impl Fronts {
    /// Serves the admin sockets from now on, which show this.
    pub fn open_admin(&mut self, shown: Arc<dyn Observed>, tasks: &mut JoinSet<()>) {
        let front = Arc::new(AdminFront::new(shown));
        for listener in self.admin_listeners.drain(..) {
            let (front, clock) = (front.clone(), self.engine.clock.clone());
            let serve = move |stream: Stream| {
                let front = front.clone();
                async move { front.serve(stream).await }
            };
            let gauge = self.admin.clone();
            tasks.spawn(doors::keep_few(
                listener,
                admin::MAX_CONNECTIONS,
                gauge,
                clock,
                serve,
            ));
        }
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
        for listener in Listener::bind(endpoint, listen.socket_mode.0)? {
            listeners.push((door, listener));
        }
    }
    Ok(listeners)
}
