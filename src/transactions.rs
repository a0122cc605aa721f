//! Which SMTP sessions have a message under way that the milter will see to its end.
//!
//! Where policy and milter are wired together, the milter charges: it has the last word. Policy
//! finds the session here by what both see of it: client address, client port and login.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::network::ClientAddress;

/// The sessions. Cheap to share.
#[derive(Clone, Default)]
pub struct Transactions(Arc<Mutex<HashMap<Session, usize>>>);

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
    transactions: Transactions,
}

impl Transactions {
    /// A milter has a message of this session.
    pub fn open(&self, session: Session) -> Open {
        *self.lock().entry(session.clone()).or_default() += 1;
        Open {
            session,
            transactions: self.clone(),
        }
    }

    /// Whether a milter has a message of this session. Sessions whose port nobody knows cannot be
    /// told apart, so none of them is.
    pub fn is_open(&self, session: impl FnOnce() -> Session) -> bool {
        let open = self.lock();
        if open.is_empty() {
            return false;
        }
        let session = session();
        session.port != 0 && open.contains_key(&session)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Session, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut open = self.transactions.lock();
        if let Some(count) = open.get_mut(&self.session) {
            *count -= 1;
            if *count == 0 {
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
        let first = transactions.open(session("shop", 1));
        let second = transactions.open(session("shop", 1));
        assert!(transactions.is_open(|| session("shop", 1)));
        assert!(!transactions.is_open(|| session("shop", 2)));
        assert!(!transactions.is_open(|| session("crm", 1)));
        drop(first);
        assert!(transactions.is_open(|| session("shop", 1)));
        drop(second);
        assert!(!transactions.is_open(|| session("shop", 1)));
        assert!(transactions.lock().is_empty());
    }
}
