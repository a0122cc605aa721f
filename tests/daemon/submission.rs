//! Messages handed in as Postfix does, by policy and by milter, over connections that may break.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;

use crate::site::{LONG, Site};

pub fn connect(site: &Site, door: &str) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(site.socket(door))?;
    stream.set_read_timeout(Some(LONG))?;
    stream.set_write_timeout(Some(LONG))?;
    Ok(stream)
}

/// A connection of an smtpd process to the policy server.
pub struct Policy(BufReader<UnixStream>);

impl Policy {
    pub fn connect(site: &Site) -> io::Result<Policy> {
        Ok(Policy(BufReader::new(connect(site, "policy")?)))
    }

    /// What is said to DATA of the message with this instance, which this user hands in.
    pub fn data(&mut self, login: &str, instance: &str) -> io::Result<String> {
        self.ask("DATA", login, instance, "4AAA", 1)
    }

    /// The same at RCPT.
    pub fn rcpt(&mut self, login: &str, instance: &str) -> io::Result<String> {
        self.ask("RCPT", login, instance, "", 0)
    }

    fn ask(
        &mut self,
        stage: &str,
        login: &str,
        instance: &str,
        queue_id: &str,
        recipients: u32,
    ) -> io::Result<String> {
        let request = format!(
            "request=smtpd_access_policy\nprotocol_state={stage}\nprotocol_name=ESMTP\n\
             client_address=192.0.2.7\nclient_port=41000\nsender=news@example.com\n\
             recipient_count={recipients}\nqueue_id={queue_id}\ninstance={instance}\n\
             sasl_method=PLAIN\nsasl_username={login}\n\n"
        );
        self.put(&request)
    }

    /// One request, and the action that answers it.
    pub fn put(&mut self, request: &str) -> io::Result<String> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut answer = String::new();
        while !answer.ends_with("\n\n") {
            if self.0.read_line(&mut answer)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(answer.trim_end().replacen("action=", "", 1))
    }
}

/// An SMTP session as a milter sees it.
pub struct Milter(UnixStream);

impl Milter {
    pub fn connect(site: &Site) -> io::Result<Milter> {
        let mut milter = Milter(connect(site, "milter")?);
        let offer = [6_u32, 0x1ff, 0x1f_ffff].map(u32::to_be_bytes).concat();
        milter.send(b'O', &offer)?;
        let (command, _) = milter.receive()?;
        assert_eq!(command, b'O');
        Ok(milter)
    }

    /// A message of this user up to its last header.
    pub fn begin(&mut self, login: &str) -> io::Result<()> {
        let macros = format!(
            "M{{auth_type}}\0PLAIN\0{{auth_authen}}\0{login}\0{{mail_addr}}\0news@example.com\0\
             {{client_addr}}\x00192.0.2.7\0{{client_port}}\x0040000\0{{daemon_name}}\0ORIGINATING\0"
        );
        self.send(b'D', macros.as_bytes())?;
        for (command, data) in [
            (b'M', &b"<news@example.com>\0"[..]),
            (b'R', b"<friend@elsewhere.example>\0"),
            (b'T', b""),
        ] {
            self.send(command, data)?;
            assert_eq!(self.receive()?.0, b'c', "{}", char::from(command));
        }
        self.send(b'L', b"From\0news@example.com\0")
    }

    /// Its end: nothing if it is accepted, else the reply.
    pub fn end(&mut self) -> io::Result<Option<String>> {
        self.send(b'N', b"")?;
        self.send(b'E', b"")?;
        let said = match self.receive()? {
            (b'c', _) => None,
            (b'y', text) => Some(String::from_utf8(text).unwrap()),
            (other, _) => panic!("answered by {}", char::from(other)),
        };
        // Postfix ends every message so, accepted or not.
        self.send(b'A', b"")?;
        Ok(said)
    }

    /// One packet.
    pub fn send(&mut self, command: u8, data: &[u8]) -> io::Result<()> {
        let length = u32::try_from(data.len() + 1).unwrap();
        let frame = [&length.to_be_bytes(), &[command][..], data].concat();
        self.0.write_all(&frame)
    }

    /// The next packet.
    pub fn receive(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let mut answer = vec![0; usize::try_from(u32::from_be_bytes(length)).unwrap()];
        self.0.read_exact(&mut answer)?;
        Ok((answer[0], answer[1..].to_vec()))
    }
}
