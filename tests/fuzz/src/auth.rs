//! Lines of the auth protocol are cut, read and answered within their form, and PLAIN and LOGIN say
//! what was said.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::FutureExt as _;
use outgate::front::auth::lines::Lines;
use outgate::front::auth::mechanism::{Conversation, Turn};
use outgate::front::auth::wire::{self, Line, MAX_LINE, Request};
use outgate::model::network::ClientAddress;
use tokio::io::AsyncReadExt as _;

/// Input: where the stream is cut, and the stream of a connection.
pub fn check(input: &[u8]) {
    let (whole, before, behind) = super::cut(input);
    let mut stream = before.chain(behind);
    let mut lines = Lines::new(MAX_LINE);
    let mut rest = whole;
    let mut pending = None;
    loop {
        // All bytes are there, so nothing waits.
        let line = match lines.next(&mut stream).now_or_never().unwrap() {
            Ok(Some(line)) => line,
            Ok(None) => return,
            Err(_) => {
                assert!(rest.iter().take(MAX_LINE + 1).all(|b| *b != b'\n'));
                return;
            }
        };
        assert!(line.len() <= MAX_LINE && !line.contains(&b'\n'));
        rest = rest.strip_prefix(line).unwrap();
        rest = rest.strip_prefix(b"\n").unwrap();
        pending = take(line, pending);
    }
}

/// What a connection does with a line; hands back the login that waits for a response.
fn take(line: &[u8], pending: Option<Conversation>) -> Option<Conversation> {
    match Line::parse(line) {
        Line::Auth(request) => {
            assert_eq!(Line::parse(&write(&request)), Line::Auth(request));
            say(request.id, line);
            follow(Conversation::begin(request.mechanism, request.response))
        }
        Line::Continue(id, response) => {
            say(id, line);
            follow(pending?.answer(response))
        }
        Line::Cancel(_) | Line::Nameless => None,
        Line::Version(_) | Line::Other => pending,
    }
}

fn follow(turn: Turn) -> Option<Conversation> {
    match turn {
        Turn::Ask(challenge, conversation) => {
            assert!(STANDARD.decode(challenge).is_ok());
            Some(conversation)
        }
        Turn::Complete(presented) => {
            let (login, password) = (&presented.login, presented.password.expose());
            assert!(!login.is_empty() && !password.is_empty());
            if !login.contains('\0') && !password.contains(&0) {
                let plain = [b"\0", login.as_bytes(), b"\0", password].concat();
                let response = STANDARD.encode(plain);
                let again = Conversation::begin(b"plain", Some(response.as_bytes()));
                assert!(matches!(again, Turn::Complete(again)
                    if again.login == *login && again.password.expose() == password));
            }
            None
        }
        Turn::Broken(_) => None,
    }
}

/// The same request in the order in which it is read most plainly.
fn write(request: &Request<'_>) -> Vec<u8> {
    let mut line = format!("AUTH\t{}\t", request.id).into_bytes();
    line.extend_from_slice(request.mechanism);
    if let ClientAddress::Known(address) = request.client {
        line.extend_from_slice(format!("\trip={address}").as_bytes());
    }
    if request.secured {
        line.extend_from_slice(b"\tsecured");
    }
    if let Some(response) = request.response {
        line.extend_from_slice(b"\tresp=");
        line.extend_from_slice(response);
    }
    line
}

/// A refusal is one line of printable fields, whatever its text.
fn say(id: u64, text: &[u8]) {
    let mut out = Vec::new();
    wire::refuse(&mut out, id, None, &String::from_utf8_lossy(text));
    let fields = format!("FAIL\t{id}\treason=");
    let reason = out.strip_prefix(fields.as_bytes()).unwrap();
    let reason = reason.strip_suffix(b"\n").unwrap();
    assert!(reason.iter().all(|b| (b' '..=b'~').contains(b)));
}
