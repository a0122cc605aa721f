//! `--password-stdin` and generated passwords.

use std::io::{self, BufRead};

use crate::auth::hash::hash;
use crate::cli::failure::Failure;
use crate::cli::host::Host;
use crate::model::password::{Password, Secret};

/// More than any password needs: what follows is not read.
const LONGEST_LINE: u64 = 8 * 1024;

/// A password for a user, and what is stored of it.
pub struct NewPassword {
    /// To be shown once; `None` where the operator knows it already.
    pub generated: Option<Password>,
    /// PHC string.
    pub hash: String,
}

impl NewPassword {
    /// Reads one, or makes one up.
    pub fn get(from_standard_input: bool, host: &Host) -> Result<NewPassword, Failure> {
        let refused = |error: &dyn std::error::Error| {
            Failure::refused(
                error.to_string(),
                "leave --password-stdin out to have one generated",
            )
        };
        let cost = host.config.auth.hash;
        let password = if from_standard_input {
            let secret = from_stdin()?;
            let text = std::str::from_utf8(secret.expose()).map_err(|_| {
                Failure::refused("the password is not UTF-8", "write it in a UTF-8 locale")
            })?;
            Password::parse(text).map_err(|error| refused(&error))?
        } else {
            Password::generate().map_err(|error| Failure::temporary(error.to_string(), ""))?
        };
        let hash = hash(&password, cost)
            .map_err(|error| Failure::temporary(error.to_string(), "see [auth] hash"))?;
        Ok(NewPassword {
            generated: (!from_standard_input).then_some(password),
            hash,
        })
    }
}

/// The first line of standard input. Its end (LF or CRLF) is not part of the password.
pub fn from_stdin() -> Result<Secret, Failure> {
    first_line(io::stdin().lock()).map_err(|error| {
        Failure::refused(
            format!("cannot read a password from standard input: {error}"),
            "write it as one line: printf '%s\\n' \"$PASSWORD\" | outgate user passwd NAME --password-stdin",
        )
    })
}

fn first_line(input: impl BufRead) -> Result<Secret, String> {
    let mut line = Vec::with_capacity(1024);
    input
        .take(LONGEST_LINE)
        .read_until(b'\n', &mut line)
        .map_err(|error| error.to_string())?;
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
    if line.is_empty() {
        return Err("it is empty".to_owned());
    }
    Ok(Secret::new(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_end_is_not_part_of_the_password() {
        for (input, password) in [
            (&b"secret word"[..], &b"secret word"[..]),
            (b"secret word\n", b"secret word"),
            (b"secret word\r\n", b"secret word"),
            (b"secret word\nmore\n", b"secret word"),
            (b" spaces stay \n", b" spaces stay "),
            (b"cr\rinside\n", b"cr\rinside"),
        ] {
            assert!(first_line(input).is_ok_and(|secret| secret.expose() == password));
        }
        for input in [&b""[..], b"\n", b"\r\n", b"\nsecret word\n"] {
            assert!(first_line(input).is_err());
        }
    }
}
