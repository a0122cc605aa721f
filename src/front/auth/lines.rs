//! Lines out of a stream, in bounded memory.

use std::io;
use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};

/// Room for what Postfix usually sends at once.
const ROOM: usize = 1024;

/// What has been read and not yet taken.
pub struct Lines {
    bytes: Vec<u8>,
    /// Where the next line begins.
    start: usize,
    /// From where on its end has to be looked for.
    unseen: usize,
    longest: usize,
}

impl Lines {
    /// Lines of at most so many bytes.
    pub fn new(longest: usize) -> Lines {
        Lines {
            bytes: Vec::with_capacity(ROOM),
            start: 0,
            unseen: 0,
            longest,
        }
    }

    /// The next line, without its LF. `None`: the stream has ended, with whatever was not
    /// a whole line. An error: a line is too long, or the stream broke.
    pub async fn next<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
    ) -> io::Result<Option<&[u8]>> {
        loop {
            if let Some(line) = self.whole() {
                if line.len() > self.longest {
                    return Err(too_long());
                }
                return Ok(self.bytes.get(line));
            }
            self.make_room()?;
            if stream.read_buf(&mut self.bytes).await? == 0 {
                return Ok(None);
            }
        }
    }

    fn whole(&mut self) -> Option<Range<usize>> {
        let unseen = self.bytes.get(self.unseen..)?;
        match unseen.iter().position(|byte| *byte == b'\n') {
            Some(length) => {
                let line = self.start..self.unseen + length;
                self.start = line.end + 1;
                self.unseen = self.start;
                Some(line)
            }
            None => {
                self.unseen = self.bytes.len();
                None
            }
        }
    }

    fn make_room(&mut self) -> io::Result<()> {
        // What was taken may hold passwords.
        self.bytes[..self.start].fill(0);
        self.bytes.drain(..self.start);
        self.unseen -= self.start;
        self.start = 0;
        if self.bytes.len() > self.longest {
            return Err(too_long());
        }
        if self.bytes.is_empty() {
            // After a long line, the memory of an idle connection is small again.
            self.bytes.shrink_to(ROOM);
        }
        self.bytes.reserve(ROOM.min(self.longest));
        Ok(())
    }
}

fn too_long() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line is too long")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::io::AsyncWriteExt;

    use super::*;

    async fn read(chunks: &[&[u8]], longest: usize) -> (Vec<Vec<u8>>, bool) {
        let (mut near, mut far) = tokio::io::duplex(1 << 16);
        let mut lines = Lines::new(longest);
        let mut taken = Vec::new();
        let write = async {
            for chunk in chunks {
                // Err: the reader has had enough.
                let _ = near.write_all(chunk).await;
                tokio::task::yield_now().await;
            }
            drop(near);
        };
        let read = async {
            loop {
                match lines.next(&mut far).await {
                    Ok(Some(line)) => taken.push(line.to_vec()),
                    Ok(None) => return true,
                    Err(_) => return false,
                }
            }
        };
        let ((), well) = tokio::join!(write, read);
        assert!(lines.bytes.capacity() <= 2 * longest.max(ROOM) + ROOM);
        (taken, well)
    }

    #[tokio::test]
    async fn lines_are_bounded() {
        let just = [b'x'; 100];
        let (lines, well) = read(&[&just, b"\nrest"], 100).await;
        assert_eq!((lines.len(), well), (1, true));
        let (lines, well) = read(&[b"one\n", &just, b"x\n"], 100).await;
        assert_eq!((lines.len(), well), (1, false));
        let endless = [b'x'; 1000];
        let (lines, well) = read(&[&endless[..]; 50], 100).await;
        assert_eq!((lines.len(), well), (0, false));
    }

    proptest! {
        #[test]
        fn how_the_bytes_come_does_not_matter(text in "[a-z\n]{0,300}", cuts in prop::collection::vec(1_usize..40, 0..30)) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let mut rest = text.as_bytes();
            let mut chunks = Vec::new();
            for cut in cuts {
                let (chunk, more) = rest.split_at(cut.min(rest.len()));
                chunks.push(chunk);
                rest = more;
            }
            chunks.push(rest);
            let (lines, well) = runtime.block_on(read(&chunks, 1000));
            let mut expected: Vec<&[u8]> = text.as_bytes().split(|b| *b == b'\n').collect();
            expected.pop();
            prop_assert!(well);
            prop_assert_eq!(lines, expected);
        }
    }
}
