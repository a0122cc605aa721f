//! indymilter never sees DATA, however the frames of Postfix are cut and taken.

use outgate::front::milter::frames::{CHUNK, Frames};
use tokio::io::ReadBuf;

/// Input: where the stream is cut, and what Postfix writes.
pub fn check(input: &[u8]) {
    let (whole, before, behind) = super::cut(input);
    let translated = translate(&[whole], CHUNK);
    // For a head of five bytes at most the twelve of an unknown command and a recipient.
    assert!(translated.len() <= whole.len() / 5 * 12 + whole.len());
    assert_eq!(translate(&[before, behind], 3), translated);
    // What is translated has nothing left to be translated: no DATA, no macros for it.
    assert_eq!(translate(&[&translated], CHUNK), translated);
}

/// What comes out if it goes in like this and is taken so many bytes at a time.
fn translate(pieces: &[&[u8]], room: usize) -> Vec<u8> {
    let (mut frames, mut out) = (Frames::default(), Vec::new());
    for piece in pieces.iter().flat_map(|piece| piece.chunks(CHUNK)) {
        frames.feed(piece);
        while !frames.is_empty() {
            let mut space = vec![0; room];
            let mut space = ReadBuf::new(&mut space);
            frames.take(&mut space);
            out.extend_from_slice(space.filled());
        }
    }
    out
}
