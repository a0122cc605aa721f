//! Password hashes as they are stored: argon2id (RFC 9106) in the PHC string format.
//!
//! For the authenticator, which calls it on its own threads, and for commands that set or import
//! passwords. A hash costs tens of milliseconds and tens of MiB: never call this on a thread that
//! serves connections.

use argon2::password_hash::phc::{Output, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use subtle::ConstantTimeEq;
use thiserror::Error;

use crate::config::HashCost;
use crate::model::password::Password;

/// Why a hash cannot be made or used. Says nothing of the hash itself.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HashError {
    /// Not a PHC string with salt and hash.
    #[error("the password hash is not a PHC string like $argon2id$v=19$m=19456,t=2,p=1$SALT$HASH")]
    Malformed,
    /// Another scheme.
    #[error("the password hash is not argon2id: set a new password for the user instead")]
    Scheme,
    /// It asks for absurd memory or time.
    #[error(
        "the password hash asks for more than m={},t={},p={}: set a new password for the user instead",
        HashCost::MAX.memory_kib, HashCost::MAX.iterations, HashCost::MAX.parallelism
    )]
    TooCostly,
    /// No memory, or no randomness.
    #[error("the password cannot be hashed: {0}")]
    Failed(String),
}

/// Hashes a password with a fresh salt of 16 bytes.
pub fn hash(password: &Password, cost: HashCost) -> Result<String, HashError> {
    hash_bytes(password.expose().as_bytes(), cost)
}

/// Like [`hash`], for a password that a user has already, whatever the rules are today.
pub(super) fn hash_bytes(password: &[u8], cost: HashCost) -> Result<String, HashError> {
    let failed = |error: &dyn std::fmt::Display| HashError::Failed(error.to_string());
    let params = Params::new(cost.memory_kib, cost.iterations, cost.parallelism, None)
        .map_err(|error| failed(&error))?;
    let mut salt = [0_u8; 16];
    getrandom::fill(&mut salt).map_err(|error| failed(&error))?;
    let salt = Salt::new(&salt).map_err(|error| failed(&error))?;
    let output = compute(password, &salt, Version::V0x13, &params, OUTPUT)?;
    let output = Output::new(&output).map_err(|error| failed(&error))?;
    Ok(phc(cost, &salt, &output))
}

/// Whether this is the password. An error is trouble with the hash, not a wrong password.
pub fn verify(phc: &str, password: &[u8]) -> Result<bool, HashError> {
    let (hash, params) = read(phc)?;
    let version = hash.version.and_then(|v| Version::try_from(v).ok());
    let (Some(version), Some(salt), Some(expected)) = (version, &hash.salt, &hash.hash) else {
        return Err(HashError::Malformed);
    };
    let output = compute(password, salt, version, &params, expected.len())?;
    Ok(output.ct_eq(expected.as_bytes()).into())
}

/// Bytes of a new hash (RFC 9106 section 4 recommends 16 to 32).
const OUTPUT: usize = 32;

/// The memory of one hash is asked for in one piece of at least so many bytes. The C library keeps
/// pieces of up to 32 MiB for later use when they are freed, in each thread for itself; larger ones
/// go back to the system at once. What is not touched of a piece costs nothing.
const GIVEN_BACK: usize = 33 << 20;

fn compute(
    password: &[u8],
    salt: &Salt,
    version: Version,
    params: &Params,
    length: usize,
) -> Result<Vec<u8>, HashError> {
    let failed = |error: &dyn std::fmt::Display| HashError::Failed(error.to_string());
    let count = params.block_count();
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(count.max(GIVEN_BACK / Block::SIZE))
        .map_err(|error| failed(&error))?;
    memory.resize(count, Block::new());
    let mut output = vec![0; length];
    Argon2::new(Algorithm::Argon2id, version, params.clone())
        .hash_password_into_with_memory(password, salt, &mut output, &mut memory)
        .map_err(|error| failed(&error))?;
    Ok(output)
}

fn phc(cost: HashCost, salt: &Salt, output: &Output) -> String {
    format!(
        "$argon2id$v=19$m={},t={},p={}${salt}${output}",
        cost.memory_kib, cost.iterations, cost.parallelism
    )
}

/// Whether the hash was made with other parameters than new ones are.
pub fn needs_rehash(phc: &str, cost: HashCost) -> bool {
    read(phc).is_ok_and(|(hash, params)| {
        let present = (
            params.m_cost(),
            params.t_cost(),
            params.p_cost(),
            hash.version,
        );
        let wanted = (
            cost.memory_kib,
            cost.iterations,
            cost.parallelism,
            Some(Version::V0x13.into()),
        );
        present != wanted
    })
}

/// Whether a hash from elsewhere may be stored: argon2id, whole, and not absurdly costly.
pub fn check_stored(phc: &str) -> Result<(), HashError> {
    read(phc).map(drop)
}

/// A hash that costs as much to compare as a new one and that no password has: checked where there
/// is no such user, so that the answer takes as long.
pub(super) fn decoy(cost: HashCost) -> String {
    let mut random = [0x5a_u8; 16 + OUTPUT];
    // Without randomness the decoy is a constant. Still nobody logs in with it: see its caller.
    let _ = getrandom::fill(&mut random);
    let (salt, output) = random.split_at(16);
    match (Salt::new(salt), Output::new(output)) {
        (Ok(salt), Ok(output)) => phc(cost, &salt, &output),
        (Err(_), _) | (_, Err(_)) => String::new(),
    }
}

fn read(phc: &str) -> Result<(PasswordHash, Params), HashError> {
    // A scheme of its own is better named than its syntax blamed.
    if !phc.starts_with("$argon2id$") {
        let other = phc.starts_with(['$', '{', '_']);
        return Err(if other {
            HashError::Scheme
        } else {
            HashError::Malformed
        });
    }
    let hash = PasswordHash::new(phc).map_err(|_| HashError::Malformed)?;
    // Without `v=` it would be version 1.0 (RFC 9106 is 1.3), which libraries read differently.
    let known = hash.version.is_some_and(|v| Version::try_from(v).is_ok());
    if !known || hash.salt.is_none() || hash.hash.is_none() {
        return Err(HashError::Malformed);
    }
    let params = Params::try_from(&hash).map_err(|_| HashError::Malformed)?;
    let sound = params.m_cost() <= HashCost::MAX.memory_kib
        && params.t_cost() <= HashCost::MAX.iterations
        && params.p_cost() <= HashCost::MAX.parallelism;
    if sound {
        Ok((hash, params))
    } else {
        Err(HashError::TooCostly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost {
        memory_kib: 64,
        iterations: 1,
        parallelism: 1,
    };
    /// Made by the reference implementation: `echo -n password | argon2 somesalt -id -t 2 -k 65536 -p 4`.
    const REFERENCE: &str =
        "$argon2id$v=19$m=65536,t=2,p=4$c29tZXNhbHQ$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo";

    #[test]
    fn a_hash_knows_its_password() {
        let password = Password::parse("correct horse").unwrap();
        let phc = hash(&password, CHEAP).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert_eq!(verify(&phc, b"correct horse"), Ok(true));
        for wrong in [
            &b"correct horsf"[..],
            b"",
            b"correct horse\0",
            b"Correct horse",
        ] {
            assert_eq!(verify(&phc, wrong), Ok(false));
        }
        assert_ne!(hash(&password, CHEAP).unwrap(), phc, "salted");
        assert!(!needs_rehash(&phc, CHEAP));
        assert!(needs_rehash(&phc, HashCost::default()));
    }

    #[test]
    fn hashes_of_the_reference_implementation_verify() {
        assert_eq!(verify(REFERENCE, b"password"), Ok(true));
        assert_eq!(verify(REFERENCE, b"passwore"), Ok(false));
    }

    #[test]
    fn what_may_be_stored_is_bounded() {
        let with = |head: &str| {
            format!("{head}$c29tZXNhbHRzb21lc2FsdA$GpZ3sK/oH9p7VIiV56G/64Zo/8GaUw434IimaPqxwCo")
        };
        for good in [
            "$argon2id$v=19$m=262144,t=10,p=16",
            "$argon2id$v=16$m=64,t=1,p=1",
        ] {
            assert_eq!(check_stored(&with(good)), Ok(()), "{good}");
        }
        for (bad, why) in [
            ("$argon2id$v=19$m=4194304,t=2,p=1", HashError::TooCostly),
            ("$argon2id$v=19$m=64,t=4294967295,p=1", HashError::TooCostly),
            ("$argon2id$v=19$m=4096,t=2,p=17", HashError::TooCostly),
            ("$argon2id$m=64,t=1,p=1", HashError::Malformed),
            ("$argon2id$v=19$m=99999999999,t=1,p=1", HashError::Malformed),
            ("$argon2id$v=19$m=4,t=1,p=1", HashError::Malformed),
            ("$argon2id$v=19$t=1,x=1,p=1", HashError::Malformed),
            ("$argon2i$v=19$m=64,t=1,p=1", HashError::Scheme),
            ("{SHA512-CRYPT}$6$x", HashError::Scheme),
            ("$2b$12$x", HashError::Scheme),
        ] {
            assert_eq!(check_stored(&with(bad)), Err(why.clone()), "{bad}");
            assert_eq!(verify(&with(bad), b"x"), Err(why), "{bad}");
        }
        for bad in [
            "",
            "secret",
            "$argon2id$",
            "$argon2id$v=19$m=64,t=1,p=1$c29tZXNhbHQ",
        ] {
            assert_eq!(check_stored(bad), Err(HashError::Malformed), "{bad}");
        }
    }

    #[test]
    fn a_decoy_costs_the_same_and_opens_nothing() {
        let decoy = decoy(CHEAP);
        assert_eq!(check_stored(&decoy), Ok(()));
        assert!(!needs_rehash(&decoy, CHEAP));
        assert_eq!(verify(&decoy, b"anything"), Ok(false));
    }
}
