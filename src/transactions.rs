//! Which SMTP sessions have a message under way that the milter will see to its end.
//!
//! Where policy and milter are wired together, the milter charges: it has the last word. Policy
//! finds the session here by what both see of it: client address, client port, the port that it is
//! connected to (a client may use one port of its own for several of ours), and login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::network::ClientAddress;

/// The sessions, and the ports of ours that they are connected to. Cheap to share.
#[derive(Clone, Default)]
pub struct Transactions(Arc<Mutex<HashMap<Session, Vec<u16>>>>);

/// A session as both front ends see it.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Session {
    /// Where the client connects from.
    pub client: ClientAddress,
    /// From which port; 0: not known.
    pub port: u16,
    /// The SASL name.
    pub login: Box<str>,
}

/// A message under way; it is over when this is dropped.
pub struct Open {
    session: Session,
    server_port: u16,
    transactions: Transactions,
}

impl Transactions {
    /// A milter has a message of this session, which is connected to that port of ours; 0: not known.
    pub fn open(&self, session: Session, server_port: u16) -> Open {
        let mut open = self.lock();
        open.entry(session.clone()).or_default().push(server_port);
        drop(open);
        Open {
            session,
            server_port,
            transactions: self.clone(),
        }
    }

    /// Whether a milter has a message of this session. Sessions whose port nobody knows cannot be
    /// told apart, so none of them is. A port of ours that is not known may be any.
    pub fn is_open(&self, session: impl FnOnce() -> Session, server_port: u16) -> bool {
        let open = self.lock();
        if open.is_empty() {
            return false;
        }
        let same = |other: &u16| *other == server_port || *other == 0 || server_port == 0;
        let session = session();
        session.port != 0
            && open
                .get(&session)
                .is_some_and(|ports| ports.iter().any(same))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Session, Vec<u16>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.transactions.lock();
        if let Some(ports) = open.get_mut(&self.session) {
            if let Some(place) = ports.iter().position(|port| *port == self.server_port) {
                ports.swap_remove(place);
            }
            if ports.is_empty() {
                open.remove(&self.session);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_open_while_somebody_holds_it() {
        let transactions = Transactions::default();
        let session = |login: &str, port| Session {
            client: ClientAddress::parse("192.0.2.7"),
            port,
            login: login.into(),
        };
        let first = transactions.open(session("shop", 1), 587);
        let second = transactions.open(session("shop", 1), 587);
        assert!(transactions.is_open(|| session("shop", 1), 587));
        assert!(!transactions.is_open(|| session("shop", 2), 587));
        assert!(!transactions.is_open(|| session("crm", 1), 587));
        assert!(!transactions.is_open(|| session("shop", 1), 465));
        assert!(transactions.is_open(|| session("shop", 1), 0));
        drop(first);
        assert!(transactions.is_open(|| session("shop", 1), 587));
        let third = transactions.open(session("shop", 1), 0);
        assert!(transactions.is_open(|| session("shop", 1), 465));
        drop(third);
        drop(second);
        assert!(!transactions.is_open(|| session("shop", 1), 587));
        assert!(transactions.lock().is_empty());
    }
}
