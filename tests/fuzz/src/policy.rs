//! A policy request is read the same however the stream is cut, and its answer is one line.

use bytes::BytesMut;
use outgate::front::policy::envelope::Envelope;
use outgate::front::policy::wire::{Action, Attribute, MAX_BYTES, PolicyCodec, Request};
use outgate::model::reply::Reply;
use tokio_util::codec::{Decoder, Encoder};

/// Input: where the stream is cut, and the stream.
pub fn check(input: &[u8]) {
    let (whole, before, behind) = super::cut(input);
    let (requests, end) = read(&[whole]);
    let values: Vec<_> = requests.iter().map(values).collect();
    let (again, same_end) = read(&[before, behind]);
    assert_eq!(again.iter().map(self::values).collect::<Vec<_>>(), values);
    assert_eq!(same_end, end);
    let length: usize = values.iter().flatten().flatten().map(Vec::len).sum();
    assert!(length <= whole.len());
    for request in &requests {
        asks(request);
    }
    answers(whole);
}

fn asks(request: &Request) {
    for attribute in Attribute::ALL {
        let value = request.value(attribute).unwrap_or_default();
        assert!(value.len() < MAX_BYTES && !value.contains(&b'\n'));
    }
    if let Ok(Some(envelope)) = Envelope::read(request) {
        // A question without a login is nobody's, and is not put to the core.
        assert!(!envelope.login.is_empty());
        assert_eq!(envelope.question(true).sender, Some(&envelope.sender));
        let state = request.value(Attribute::State).unwrap();
        assert!(matches!(state, b"MAIL" | b"RCPT" | b"DATA"));
    }
}

fn answers(text: &[u8]) {
    let reply = Reply {
        code: 550,
        enhanced: "5.7.1",
        text: String::from_utf8_lossy(text).into_owned(),
    };
    let mut output = BytesMut::new();
    PolicyCodec::default()
        .encode(&Action::Reply(reply), &mut output)
        .unwrap();
    let line = output.strip_prefix(b"action=550 5.7.1 ").unwrap();
    let line = line.strip_suffix(b"\n\n").unwrap();
    assert!(line.iter().all(|b| (b' '..=b'~').contains(b)));
}

/// The requests in a stream that comes in pieces, and how it ended.
fn read(pieces: &[&[u8]]) -> (Vec<Request>, Option<String>) {
    let (mut codec, mut input) = (PolicyCodec::default(), BytesMut::new());
    let mut requests = Vec::new();
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(error) => return (requests, Some(error.to_string())),
            }
        }
    }
    (requests, None)
}

fn values(request: &Request) -> Vec<Option<Vec<u8>>> {
    let value = |attribute| request.value(attribute).map(<[u8]>::to_vec);
    Attribute::ALL.map(value).to_vec()
}
