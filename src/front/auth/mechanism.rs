//! SASL PLAIN (RFC 4616) and LOGIN: what a client's responses say. Pure.
//!
//! A response that cannot be read ends that one login; nothing of it is told to anybody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::model::name::Login;
use crate::model::password::Secret;

/// The prompts of LOGIN, `Username:` and `Password:`. Some clients wait for exactly these.
const USERNAME: &str = "VXNlcm5hbWU6";
const PASSWORD: &str = "UGFzc3dvcmQ6";

/// Name and password, as the client says.
pub struct Presented {
    /// Bytes that are not UTF-8 are replaced: nobody has such a name.
    pub login: String,
    /// Any bytes, at least one.
    pub password: Secret,
}

/// A login under way: what the next response will be.
pub enum Conversation {
    /// All of PLAIN.
    Plain,
    /// The name of LOGIN.
    LoginName,
    /// The password of LOGIN.
    LoginPassword(String),
}

/// What follows from a response.
pub enum Turn {
    /// The next response is asked for with this challenge, in base64.
    Ask(&'static str, Conversation),
    /// All has been said.
    Complete(Presented),
    /// It cannot go on; why is for the log.
    Broken(&'static str),
}

impl Conversation {
    /// Begins with a mechanism as the client typed it.
    pub fn begin(mechanism: &[u8], response: Option<&[u8]>) -> Turn {
        let (conversation, challenge) = if mechanism.eq_ignore_ascii_case(b"PLAIN") {
            (Conversation::Plain, "")
        } else if mechanism.eq_ignore_ascii_case(b"LOGIN") {
            (Conversation::LoginName, USERNAME)
        } else {
            return Turn::Broken("the mechanism is neither PLAIN nor LOGIN");
        };
        match response {
            Some(response) => conversation.answer(response),
            None => Turn::Ask(challenge, conversation),
        }
    }

    /// Goes on with a response in base64.
    pub fn answer(self, response: &[u8]) -> Turn {
        // RFC 4954 section 4: a single `=` is the empty response.
        let encoded = if response == b"=" { b"" } else { response };
        let Ok(decoded) = STANDARD.decode(encoded) else {
            return Turn::Broken("the response is not base64");
        };
        let decoded = Secret::new(decoded);
        match self {
            Conversation::Plain => plain(decoded.expose()),
            Conversation::LoginName => Turn::Ask(
                PASSWORD,
                Conversation::LoginPassword(text(decoded.expose())),
            ),
            Conversation::LoginPassword(login) => presented(login, decoded.expose()),
        }
    }
}

/// `[authzid] NUL authcid NUL passwd`
fn plain(message: &[u8]) -> Turn {
    let mut parts = message.split(|byte| *byte == 0);
    let (Some(authzid), Some(authcid), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Turn::Broken("the PLAIN response has not exactly two NUL");
    };
    let login = text(authcid);
    if !authzid.is_empty() && !same_login(&text(authzid), &login) {
        return Turn::Broken("the authorization identity is somebody else's");
    }
    presented(login, password)
}

fn presented(login: String, password: &[u8]) -> Turn {
    if login.is_empty() || password.is_empty() {
        return Turn::Broken("the name or the password is empty");
    }
    Turn::Complete(Presented {
        login,
        password: Secret::new(password.to_vec()),
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn same_login(one: &str, other: &str) -> bool {
    one == other
        || matches!((Login::parse(one), Login::parse(other)), (Ok(one), Ok(other)) if one == other)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn plain_of(message: &[u8]) -> Turn {
        Conversation::begin(b"PLAIN", Some(STANDARD.encode(message).as_bytes()))
    }

    fn said(turn: Turn) -> Option<(String, Vec<u8>)> {
        match turn {
            Turn::Complete(presented) => {
                Some((presented.login, presented.password.expose().to_vec()))
            }
            Turn::Ask(..) | Turn::Broken(_) => None,
        }
    }

    #[test]
    fn plain_with_its_authorization_identity() {
        for message in ["\0shop\0secret", "shop\0shop\0secret", "Shop\0shop\0secret"] {
            let expected = Some(("shop".to_owned(), b"secret".to_vec()));
            assert_eq!(said(plain_of(message.as_bytes())), expected, "{message:?}");
        }
        for message in [
            "",
            "\0",
            "\0\0",
            "\0\0secret",
            "\0shop\0",
            "shop\0secret",
            "\0shop\0secret\0",
            "\0shop\0sec\0ret",
            "other\0shop\0secret",
            "\0\0shop\0secret",
            " shop\0shop\0secret",
        ] {
            assert!(said(plain_of(message.as_bytes())).is_none(), "{message:?}");
        }
        let (login, password) = said(plain_of(b"\0sh\xffop\0sec\xffret")).unwrap();
        assert_eq!(login, "sh\u{fffd}op");
        assert_eq!(password, b"sec\xffret");
    }

    #[test]
    fn login_asks_twice_or_takes_the_name_at_once() {
        let Turn::Ask(USERNAME, asked) = Conversation::begin(b"lOgIn", None) else {
            panic!("no question");
        };
        for first in [
            asked.answer(b"c2hvcA=="),
            Conversation::begin(b"LOGIN", Some(b"c2hvcA==")),
        ] {
            let Turn::Ask(PASSWORD, asked) = first else {
                panic!("no question");
            };
            let expected = Some(("shop".to_owned(), b"secret".to_vec()));
            assert_eq!(said(asked.answer(b"c2VjcmV0")), expected);
        }
        for (name, password) in [
            ("=", "c2VjcmV0"),
            ("", "c2VjcmV0"),
            ("c2hvcA==", "="),
            ("c2hvcA==", ""),
        ] {
            let Turn::Ask(_, asked) = Conversation::begin(b"LOGIN", Some(name.as_bytes())) else {
                panic!("no question");
            };
            assert!(said(asked.answer(password.as_bytes())).is_none());
        }
    }

    #[test]
    fn what_is_not_base64_or_no_mechanism_of_ours_ends_it() {
        for response in [
            &b"*"[..],
            b"A",
            b"AA=",
            b"AHNob3AAc2VjcmV0\r",
            b"AHNob3A\tAc2VjcmV0",
            b"====",
            b"\xff",
            b"AHN ob3A",
        ] {
            assert!(matches!(
                Conversation::begin(b"PLAIN", Some(response)),
                Turn::Broken(_)
            ));
        }
        for mechanism in [
            &b""[..],
            b"CRAM-MD5",
            b"XOAUTH2",
            b"PLAIN ",
            b"EXTERNAL",
            b"ANONYMOUS",
            b"\xff",
        ] {
            assert!(matches!(
                Conversation::begin(mechanism, None),
                Turn::Broken(_)
            ));
        }
        assert!(matches!(
            Conversation::begin(b"plain", None),
            Turn::Ask("", Conversation::Plain)
        ));
    }

    proptest! {
        #[test]
        fn any_response_is_taken_somehow(response in prop::collection::vec(any::<u8>(), 0..80), raw in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Conversation::Plain.answer(&response);
            let _ = Conversation::LoginName.answer(&response);
            let _ = plain_of(&raw);
        }

        #[test]
        fn plain_says_what_was_said(login in "[^\0]{1,40}", password in prop::collection::vec(1_u8.., 1..60)) {
            let mut message = format!("\0{login}\0").into_bytes();
            message.extend_from_slice(&password);
            prop_assert_eq!(said(plain_of(&message)), Some((login, password)));
        }
    }
}
