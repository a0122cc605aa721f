//! The frames of a session on their way from Postfix to indymilter, where DATA becomes a recipient
//! without a name. Nothing is judged here.
//!
//! To Postfix, a refusal at DATA is like one at RCPT: the message stays open, and the client may go
//! on with RCPT or DATA. indymilter ends the message then, as after a refusal at MAIL, and what its
//! states do not expect it passes over in silence: RCPT or DATA then, both behind a DATA that was
//! allowed here and refused by somebody else, and DATA behind a MAIL without RCPT. Postfix asks
//! about all of these (the last with what a refused `BDAT … LAST` left of another message) and would
//! wait for an answer in vain. After a refused RCPT, indymilter goes on as Postfix does, and a header
//! may follow RCPT as well as DATA.
//!
//! So DATA is handed on as a recipient without a name. A client cannot name one so: Postfix passes
//! on `<>` at least. In front of it goes an unknown SMTP command, which indymilter expects in all
//! states outside a message's content, and behind which it expects RCPT.

use tokio::io::ReadBuf;

const DATA: u8 = b'T';
const RCPT: u8 = b'R';
const MACROS: u8 = b'D';

/// An unknown command without text.
const UNKNOWN: &[u8] = b"\0\0\0\x02U\0";

/// A length, which counts the command, and the command.
const HEAD: usize = 5;

/// The most bytes that are read at once, which bounds what waits here.
pub const CHUNK: usize = 8192;

/// One direction of a connection, cut into frames.
#[derive(Default)]
pub struct Frames {
    /// As much of the next head as is there.
    head: Vec<u8>,
    /// How many bytes of the frame are still to come, behind its head.
    rest: usize,
    /// The first of them says for which command the macros are.
    stage_is_next: bool,
    /// Done and not yet taken.
    done: Vec<u8>,
}

impl Frames {
    /// Nothing is there to be taken.
    pub fn is_empty(&self) -> bool {
        self.done.is_empty()
    }

    /// Gives out as much as there is room for.
    pub fn take(&mut self, out: &mut ReadBuf<'_>) {
        let most = self.done.len().min(out.remaining());
        out.put_slice(&self.done[..most]);
        self.done.drain(..most);
    }

    /// Takes what was read: no more than [`CHUNK`], cut anywhere.
    pub fn feed(&mut self, mut read: &[u8]) {
        while !read.is_empty() {
            let wanted = match self.rest {
                0 => HEAD - self.head.len(),
                rest => rest,
            };
            let (now, later) = read.split_at(wanted.min(read.len()));
            if self.rest == 0 {
                self.begin(now);
            } else {
                self.go_on(now);
            }
            read = later;
        }
    }

    fn begin(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
        let Ok([a, b, c, d, command]) = <[u8; HEAD]>::try_from(self.head.as_slice()) else {
            return;
        };
        self.head.clear();
        let length = u32::from_be_bytes([a, b, c, d]);
        // There is a command also where the length says that there is not: indymilter reads one.
        let rest = length.saturating_sub(1);
        self.rest = usize::try_from(rest).unwrap_or(usize::MAX);
        self.stage_is_next = command == MACROS;
        if command == DATA {
            // A length that is too much for this is too much for indymilter anyway.
            let length = rest.saturating_add(2);
            self.done.extend_from_slice(UNKNOWN);
            self.done.extend_from_slice(&length.to_be_bytes());
            self.done.extend_from_slice(&[RCPT, 0]);
        } else {
            self.done.extend_from_slice(&length.to_be_bytes());
            self.done.push(command);
        }
    }

    fn go_on(&mut self, bytes: &[u8]) {
        let first = self.done.len();
        self.done.extend_from_slice(bytes);
        self.rest -= bytes.len();
        // indymilter forgets the macros of later commands at RCPT.
        if std::mem::take(&mut self.stage_is_next) && self.done[first] == DATA {
            self.done[first] = RCPT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out, if this goes in so many bytes at a time and is taken so many at a time.
    fn translated(bytes: &[u8], step: usize, room: usize) -> Vec<u8> {
        let (mut frames, mut out) = (Frames::default(), Vec::new());
        for part in bytes.chunks(step) {
            frames.feed(part);
            while !frames.is_empty() {
                let mut space = vec![0; room];
                let mut space = ReadBuf::new(&mut space);
                frames.take(&mut space);
                out.extend_from_slice(space.filled());
            }
        }
        out
    }

    #[test]
    fn data_and_its_macros_become_a_recipient_however_they_are_cut() {
        let from_postfix =
            b"\0\0\0\x05DMa\0b\0\0\0\x05M<a>\0\0\0\0\x05R<T>\0\0\0\0\x07DTi\x004F\0\0\0\0\x01T\
            \0\0\0\x05LT\0T\0\0\0\0\x01N\0\0\0\x06DEi\x001\0\0\0\0\x01E\0\0\0\x01A";
        let expected = b"\0\0\0\x05DMa\0b\0\0\0\x05M<a>\0\0\0\0\x05R<T>\0\0\0\0\x07DRi\x004F\0\0\0\0\x02U\0\0\0\0\x02R\0\
            \0\0\0\x05LT\0T\0\0\0\0\x01N\0\0\0\x06DEi\x001\0\0\0\0\x01E\0\0\0\x01A";
        for step in 1..=from_postfix.len() {
            for room in [1, 3, 64] {
                let out = translated(from_postfix, step, room);
                assert_eq!(
                    out.escape_ascii().to_string(),
                    expected.escape_ascii().to_string(),
                    "{step} {room}"
                );
            }
        }
    }

    #[test]
    fn what_is_no_frame_is_handed_on_and_not_kept() {
        for (hostile, expected) in [
            (
                &b"\0\0\0\0T\0\0\0\x01A"[..],
                &b"\0\0\0\x02U\0\0\0\0\x02R\0\0\0\0\x01A"[..],
            ),
            (
                b"\xff\xff\xff\xffTxyz",
                b"\0\0\0\x02U\0\xff\xff\xff\xffR\0xyz",
            ),
            (b"\xff\xff\xff\xffDTT", b"\xff\xff\xff\xffDRT"),
            (
                b"\0\0\0\x01D\0\0\0\x02TT",
                b"\0\0\0\x01D\0\0\0\x02U\0\0\0\0\x03R\0T",
            ),
            (b"\0\0\0\x01", b""),
        ] {
            assert_eq!(translated(hostile, 3, 64), expected, "{hostile:?}");
        }
        let mut frames = Frames::default();
        for _ in 0..1000 {
            frames.feed(&[0xff; CHUNK]);
            let mut space = vec![0; CHUNK];
            frames.take(&mut ReadBuf::new(&mut space));
        }
        assert!(frames.is_empty());
        assert!(frames.done.capacity() <= 2 * CHUNK);
    }
}
