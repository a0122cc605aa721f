//! Names: of users, accounts and logins, and the ids that stay when names change.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;
use uuid::Uuid;

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// Not of the form that user and account names have.
    #[error("{0:?} is not a name: 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit")]
    Name(String),
    /// Not of the form that logins have.
    #[error("{0:?} is not a login: 1 to 255 printable characters without spaces")]
    Login(String),
}

/// The name of a user or an account: `[a-z0-9][a-z0-9._-]*`, 1 to 64 characters, lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Name(Arc<str>);

impl Name {
    /// Lower-cases and checks.
    pub fn parse(text: &str) -> Result<Name, NameError> {
        let lower = text.to_ascii_lowercase();
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let good = (1..=64).contains(&lower.len())
            && lower.bytes().next().is_some_and(plain)
            && lower
                .bytes()
                .all(|b| plain(b) || matches!(b, b'.' | b'_' | b'-'));
        if good {
            Ok(Name(lower.into()))
        } else {
            Err(NameError::Name(text.to_owned()))
        }
    }

    /// The name as stored.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as a login: a user can always log in by its name.
    pub fn to_login(&self) -> Login {
        Login(self.0.clone())
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Name, NameError> {
        Name::parse(text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A SASL name as it arrives, folded for comparison: 1 to 255 printable characters without
/// space, lower case. It equals a user's name or one of the extra logins registered for it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Login(Arc<str>);

impl Login {
    /// Lower-cases (all of Unicode, not only ASCII) and checks.
    pub fn parse(text: &str) -> Result<Login, NameError> {
        let refused = || NameError::Login(text.to_owned());
        if text.is_empty() || text.len() > 4 * 255 {
            return Err(refused());
        }
        let folded: Arc<str> = if Login::is_folded(text) {
            Arc::from(text)
        } else {
            Arc::from(text.to_lowercase())
        };
        let printable = |c: char| !c.is_control() && !c.is_whitespace() && !is_invisible(c);
        if folded.chars().count() <= 255 && folded.chars().all(printable) {
            Ok(Login(folded))
        } else {
            Err(refused())
        }
    }

    /// The login as compared.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the text is a login that needs no folding: lower-case ASCII, as nearly all are.
    pub fn is_folded(text: &str) -> bool {
        text.bytes()
            .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
    }
}

impl Borrow<str> for Login {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// The id that a text is, in any spelling of a UUID. A lockdown record names users by name or by id;
/// so that nobody is taken for another one, no name may look like an id.
pub fn as_id(text: &str) -> Option<UserId> {
    Uuid::try_parse(text).ok().map(UserId)
}

/// Characters that change how a line is shown without being seen: directional controls, joiners,
/// separators, the byte order mark; and the one that stands for bytes that are no text at all.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}' | '\u{fffd}')
}

impl FromStr for Login {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Login, NameError> {
        Login::parse(text)
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a user is known by for ever: it survives renaming, and a name given anew has another one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct UserId(pub Uuid);

impl UserId {
    /// A new id. Version 7 (RFC 9562): ids made one after the other lie beside each other in an index.
    pub fn new() -> UserId {
        UserId(Uuid::now_v7())
    }
}

impl Default for UserId {
    fn default() -> UserId {
        UserId::new()
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_cased_and_checked() {
        assert_eq!(Name::parse("Shop-1.a_b").unwrap().as_str(), "shop-1.a_b");
        assert!(Name::parse(&"a".repeat(64)).is_ok());
        for text in [
            "",
            "-a",
            ".a",
            "_a",
            "a b",
            "a@b",
            "ä",
            "a\n",
            &"a".repeat(65),
        ] {
            assert!(Name::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_id_is_known_in_every_spelling() {
        let id = UserId::new();
        let text = id.to_string();
        for spelling in [
            text.clone(),
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            format!("urn:uuid:{text}"),
        ] {
            assert_eq!(as_id(&spelling), Some(id), "{spelling}");
        }
        for name in ["shop", "018f0c5e", "", &text[1..]] {
            assert_eq!(as_id(name), None, "{name}");
        }
    }

    #[test]
    fn logins_are_folded_and_printable() {
        assert_eq!(
            Login::parse("Jane@Example.COM").unwrap().as_str(),
            "jane@example.com"
        );
        assert_eq!(Login::parse("ЮЗЕР").unwrap().as_str(), "юзер");
        assert!(Login::parse(&"a".repeat(255)).is_ok());
        for text in [
            "",
            "a b",
            "a\tb",
            "a\u{1}b",
            "a\u{202e}b",
            "a\u{a0}b",
            "a\u{fffd}b",
            &"a".repeat(256),
        ] {
            assert!(Login::parse(text).is_err(), "{text:?}");
        }
    }
}
