//! Passwords in a form that can be kept and compared: a keyed hash under a key that this process
//! made and nobody knows.
//!
//! For the authenticator: right passwords are remembered, and wrong ones are counted, by their
//! fingerprint. It costs a fraction of a microsecond.

use std::hash::{BuildHasher, RandomState};

use blake2::Blake2bMac;
use blake2::digest::consts::U16;
use blake2::digest::{KeyInit, Mac};

use crate::model::name::UserId;

/// Whose password it would be.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Whose<'a> {
    /// A user's, in this version of its credential: after a change of password, status or IP list
    /// the same password has another fingerprint.
    User(UserId, u64),
    /// Nobody's: a login that is not known, folded for comparison.
    Nobody(&'a str),
}

/// One password of one user, as far as this process can tell. Not reversible without the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl Fingerprint {
    /// Half of it, where a mistake in 2^64 does not matter.
    pub fn short(self) -> u64 {
        let mut half = [0; 8];
        half.copy_from_slice(&self.0[..8]);
        u64::from_le_bytes(half)
    }
}

/// Takes fingerprints.
pub struct Fingerprinter {
    keyed: Blake2bMac<U16>,
}

impl Fingerprinter {
    /// With a fresh key.
    pub fn new() -> Fingerprinter {
        let mut key = [0_u8; 64];
        if getrandom::fill(&mut key).is_err() {
            // The standard library has its own way to random numbers, as good as the host allows.
            for (part, bytes) in key.chunks_mut(8).enumerate() {
                bytes.copy_from_slice(&RandomState::new().hash_one(part).to_le_bytes());
            }
        }
        Fingerprinter {
            keyed: Blake2bMac::new(&key.into()),
        }
    }

    /// The fingerprint of a password.
    pub fn take(&self, whose: Whose<'_>, password: &[u8]) -> Fingerprint {
        let mut mac = self.keyed.clone();
        match whose {
            Whose::User(id, version) => {
                mac.update(&[1]);
                mac.update(id.0.as_bytes());
                mac.update(&version.to_le_bytes());
            }
            Whose::Nobody(login) => {
                // The length keeps login and password apart.
                mac.update(&[0]);
                mac.update(&login.len().to_le_bytes());
                mac.update(login.as_bytes());
            }
        }
        mac.update(password);
        Fingerprint(mac.finalize().into_bytes().into())
    }
}

impl Default for Fingerprinter {
    fn default() -> Fingerprinter {
        Fingerprinter::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_depends_on_everything_and_on_the_key() {
        let printer = Fingerprinter::new();
        let (one, two) = (UserId::new(), UserId::new());
        let base = printer.take(Whose::User(one, 1), b"secret");
        assert!(base == printer.take(Whose::User(one, 1), b"secret"));
        for other in [
            printer.take(Whose::User(one, 2), b"secret"),
            printer.take(Whose::User(two, 1), b"secret"),
            printer.take(Whose::User(one, 1), b"secre"),
            printer.take(Whose::Nobody("shop"), b"secret"),
            Fingerprinter::new().take(Whose::User(one, 1), b"secret"),
        ] {
            assert!(base != other);
        }
        assert!(printer.take(Whose::Nobody("ab"), b"c") != printer.take(Whose::Nobody("a"), b"bc"));
    }
}
