//! The id of a decision: names it in the reply, in the log and for `explain`.
//!
//! It says when, so that the log finds its line without an index of ids, and nobody guesses another
//! one's: 128 random bits. How ids are given is the journal's business.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use thiserror::Error;

/// Bytes of the number: microseconds since 1970 fit until the year 4253.
const NUMBER: usize = 7;
/// Bytes of the whole id.
const BYTES: usize = NUMBER + 16;
/// Letters of the id as text.
const LETTERS: usize = 31;

/// URL-safe as text; begins with a letter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DecisionId {
    /// Microseconds since 1970, or a few more where several decisions would have the same.
    pub number: i64,
    /// Random.
    pub token: [u8; 16],
}

/// Not the form of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("an id has {LETTERS} of A-Z a-z 0-9 - _")]
pub struct NotAnId;

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; BYTES];
        bytes[..NUMBER].copy_from_slice(&self.number.to_be_bytes()[8 - NUMBER..]);
        bytes[NUMBER..].copy_from_slice(&self.token);
        let mut letters = [0; LETTERS];
        let written = URL_SAFE_NO_PAD
            .encode_slice(bytes, &mut letters)
            .map_err(|_| fmt::Error)?;
        f.write_str(std::str::from_utf8(&letters[..written]).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for DecisionId {
    type Err = NotAnId;

    fn from_str(text: &str) -> Result<DecisionId, NotAnId> {
        let mut bytes = [0; BYTES];
        let read = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes);
        if read != Ok(BYTES) {
            return Err(NotAnId);
        }
        let mut number = [0; 8];
        number[8 - NUMBER..].copy_from_slice(&bytes[..NUMBER]);
        let mut token = [0; 16];
        token.copy_from_slice(&bytes[NUMBER..]);
        Ok(DecisionId {
            number: i64::from_be_bytes(number),
            token,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_it_is_written() {
        for number in [0, 1_795_000_000_123_456, (1 << 56) - 1] {
            let id = DecisionId {
                number,
                token: *b"\xff\x00abcdefghijklm\xfe",
            };
            let text = id.to_string();
            assert_eq!(text.len(), LETTERS);
            assert_eq!(text.parse(), Ok(id));
        }
    }

    #[test]
    fn what_is_no_id_is_told_apart() {
        let id = DecisionId {
            number: 7,
            token: [7; 16],
        };
        let text = id.to_string();
        for text in [
            "",
            "x",
            &text[1..],
            &format!("{text}A"),
            &text.replace('A', "/"),
            &format!("{}_", &text[..LETTERS - 1]),
            &"ü".repeat(15),
        ] {
            assert_eq!(text.parse::<DecisionId>(), Err(NotAnId), "{text:?}");
        }
    }
}
