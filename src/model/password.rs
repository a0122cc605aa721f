//! Passwords: those that are given to users, and what clients claim to be one.
//!
//! Neither type can be printed by accident, and both are overwritten when they are dropped.

use std::hint::black_box;

use thiserror::Error;

/// Fewest characters of a password.
pub const MIN_CHARACTERS: usize = 8;
/// Most characters of a password.
pub const MAX_CHARACTERS: usize = 128;
/// Most bytes of a password (UTF-8).
pub const MAX_BYTES: usize = 512;

/// What a generated password is made of: no sign that a shell, a URL or a configuration file
/// would take for its own.
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// 28 signs out of 62: 166 bits.
const GENERATED: usize = 28;

/// Why a password is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PasswordError {
    /// Too few characters.
    #[error("the password is too short: at least {MIN_CHARACTERS} characters")]
    Short,
    /// Too many characters or bytes.
    #[error("the password is too long: at most {MAX_CHARACTERS} characters and {MAX_BYTES} bytes")]
    Long,
    /// NUL ends the password in SASL PLAIN (RFC 4616), CR and LF end a line.
    #[error("the password has a NUL, carriage return or line feed in it")]
    Control,
    /// The system gave no randomness.
    #[error("no password can be made: the system gives no random numbers")]
    Randomness,
}

/// A password that a user may have.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Checks the rules for new passwords.
    pub fn parse(text: &str) -> Result<Password, PasswordError> {
        let characters = text.chars().count();
        if text.contains(['\0', '\r', '\n']) {
            Err(PasswordError::Control)
        } else if characters < MIN_CHARACTERS {
            Err(PasswordError::Short)
        } else if characters > MAX_CHARACTERS || text.len() > MAX_BYTES {
            Err(PasswordError::Long)
        } else {
            Ok(Password(text.to_owned()))
        }
    }

    /// A new password that nobody guesses.
    pub fn generate() -> Result<Password, PasswordError> {
        let mut password = Password(String::with_capacity(GENERATED));
        let mut random = [0_u8; 64];
        while password.0.len() < GENERATED {
            getrandom::fill(&mut random).map_err(|_| PasswordError::Randomness)?;
            // The two values beyond the alphabet are passed over: no sign is favoured.
            let fair = random
                .iter()
                .filter_map(|byte| ALPHABET.get(usize::from(byte & 63)));
            let missing = GENERATED - password.0.len();
            password
                .0
                .extend(fair.take(missing).map(|byte| char::from(*byte)));
        }
        wipe(&mut random);
        Ok(password)
    }

    /// The password itself, to hash it or to show it once.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Password {
    fn drop(&mut self) {
        wipe(&mut std::mem::take(&mut self.0).into_bytes());
    }
}

/// What a client claims to be its password: any bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    pub fn new(bytes: Vec<u8>) -> Secret {
        Secret(bytes)
    }

    /// The bytes themselves, to compare them.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites. The compiler must take it that somebody looks, so that it does not leave it out.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    black_box(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_is_counted_in_characters_and_bounded_in_bytes() {
        for good in [
            "12345678",
            &"x".repeat(128),
            &"ü".repeat(8),
            &"😀".repeat(128),
        ] {
            assert!(Password::parse(good).is_ok(), "{good:?}");
        }
        for (bad, why) in [
            ("", PasswordError::Short),
            ("1234567", PasswordError::Short),
            ("üüüüüüü", PasswordError::Short),
            (&"x".repeat(129), PasswordError::Long),
            (&"😀".repeat(129), PasswordError::Long),
            ("1234567\0", PasswordError::Control),
            ("12345678\r", PasswordError::Control),
            ("12345678\n", PasswordError::Control),
        ] {
            assert_eq!(Password::parse(bad).err(), Some(why), "{bad:?}");
        }
    }

    #[test]
    fn generated_passwords_obey_the_rules_and_differ() {
        let one = Password::generate().unwrap();
        let two = Password::generate().unwrap();
        assert!(Password::parse(one.expose()).is_ok());
        assert!(one.expose().len() >= 24);
        assert!(one.expose().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one.expose(), two.expose());
    }
}
