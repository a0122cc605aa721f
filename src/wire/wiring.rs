//! The four ways to wire a Postfix, and the files in `postfix/` that say how.

use serde::{Deserialize, Serialize};

/// What is wired to what.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wiring {
    /// outgate checks passwords and is asked as a milter.
    AuthMilter,
    /// Passwords are checked as before; outgate is asked as a milter.
    Milter,
    /// outgate checks passwords and is asked as a policy server.
    AuthPolicy,
    /// Passwords are checked as before; outgate is asked as a policy server.
    Policy,
}

impl Wiring {
    /// All of them, the recommended one first.
    pub const ALL: [Wiring; 4] = [
        Wiring::AuthMilter,
        Wiring::Milter,
        Wiring::AuthPolicy,
        Wiring::Policy,
    ];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Wiring::AuthMilter => "auth-milter",
            Wiring::Milter => "milter",
            Wiring::AuthPolicy => "auth-policy",
            Wiring::Policy => "policy",
        }
    }

    /// Whether outgate checks passwords.
    pub fn checks_passwords(self) -> bool {
        matches!(self, Wiring::AuthMilter | Wiring::AuthPolicy)
    }

    /// Whether outgate is asked as a milter; otherwise as a policy server.
    pub fn is_milter(self) -> bool {
        matches!(self, Wiring::AuthMilter | Wiring::Milter)
    }

    /// The services of master.cf, with the addresses of the default configuration.
    pub fn services(self) -> &'static str {
        match self {
            Wiring::AuthMilter => include_str!("../../postfix/auth-milter.master.cf"),
            Wiring::Milter => include_str!("../../postfix/milter.master.cf"),
            Wiring::AuthPolicy => include_str!("../../postfix/auth-policy.master.cf"),
            Wiring::Policy => include_str!("../../postfix/policy.master.cf"),
        }
    }
}
