//! Who somebody is: passwords, remembered logins, the brake on guessing.

pub mod hash;

use std::sync::Arc;

use crate::engine::Engine;
use crate::model::name::UserId;

/// Checks passwords for the auth front end.
pub struct Authenticator {
    engine: Arc<Engine>,
}

impl Authenticator {
    /// Starts with nothing remembered and nothing counted.
    pub fn new(engine: Arc<Engine>) -> Authenticator {
        Authenticator { engine }
    }

    /// Forgets what was counted against a user: `outgate user unlock`.
    pub fn unlock(&self, user: UserId) {
        let _ = (&self.engine, user);
    }
}
