//! Lines of the Dovecot auth protocol: read and written. Pure; bounded by whoever cuts the lines.
//!
//! Fields are separated by TAB, a line ends with LF. Postfix escapes nothing and unescapes nothing,
//! so what is written here has no TAB or control character in it. Of a client's bytes nothing is
//! written but the request id, as the number it was read as.

use crate::model::name::Name;
use crate::model::network::ClientAddress;

/// The longest line, its end not counted (the limit of the protocol's description). Postfix sends
/// at most 12,288 bytes of a client's response.
pub const MAX_LINE: usize = 16_384;
/// The longest text for a client.
const MAX_REASON: usize = 200;

/// What a client of the socket says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line<'a> {
    /// Its version of the protocol; only the major number has to be ours.
    Version(Option<u32>),
    /// Somebody wants to log in.
    Auth(Request<'a>),
    /// The answer to a challenge, in base64.
    Continue(u64, &'a [u8]),
    /// The login is given up.
    Cancel(u64),
    /// Of no concern: `CPID`, and whatever later versions may add.
    Other,
    /// A request without a readable id: it cannot be answered.
    Nameless,
}

/// An `AUTH` line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    /// Repeated in the answer.
    pub id: u64,
    /// As the SMTP client typed it.
    pub mechanism: &'a [u8],
    /// The SMTP client; unknown if it is missing, unreadable or given twice.
    pub client: ClientAddress,
    /// Whether TLS protects the session.
    pub secured: bool,
    /// The initial response in base64, if there is one.
    pub response: Option<&'a [u8]>,
}

impl<'a> Line<'a> {
    /// Reads a line, without its end.
    pub fn parse(line: &'a [u8]) -> Line<'a> {
        let (command, rest) = cut(line);
        match command {
            b"VERSION" => Line::Version(rest.map(cut).and_then(|(major, _)| number(major))),
            b"AUTH" => rest
                .and_then(Request::parse)
                .map_or(Line::Nameless, Line::Auth),
            b"CONT" => {
                let (id, response) = rest.map_or((&b""[..], None), cut);
                number(id).map_or(Line::Nameless, |id| {
                    Line::Continue(id, response.unwrap_or_default())
                })
            }
            b"CANCEL" => rest.and_then(number).map_or(Line::Nameless, Line::Cancel),
            _ => Line::Other,
        }
    }
}

impl<'a> Request<'a> {
    fn parse(fields: &'a [u8]) -> Option<Request<'a>> {
        let (id, rest) = cut(fields);
        let (mechanism, mut rest) = rest.map_or((&b""[..], None), cut);
        let mut request = Request {
            id: number(id)?,
            mechanism,
            client: ClientAddress::Unknown,
            secured: false,
            response: None,
        };
        let mut addresses = 0;
        while let Some(fields) = rest {
            // The response is the last field; a TAB in it belongs to it.
            if let Some(response) = fields.strip_prefix(b"resp=") {
                request.response = Some(response);
                break;
            }
            let (field, more) = cut(fields);
            rest = more;
            if let Some(address) = field.strip_prefix(b"rip=") {
                addresses += 1;
                request.client = std::str::from_utf8(address)
                    .map_or(ClientAddress::Unknown, ClientAddress::parse);
            } else if matches!(field, b"secured" | b"secured=tls") {
                request.secured = true;
            }
        }
        if addresses > 1 {
            request.client = ClientAddress::Unknown;
        }
        Some(request)
    }
}

/// The bytes before the first TAB, and those behind it.
fn cut(bytes: &[u8]) -> (&[u8], Option<&[u8]>) {
    match bytes.iter().position(|byte| *byte == b'\t') {
        Some(tab) => (&bytes[..tab], Some(&bytes[tab + 1..])),
        None => (bytes, None),
    }
}

/// Decimal digits and nothing else.
fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// What outgate says as soon as somebody connects. Postfix wants the mechanisms before `SPID`, or
/// it takes the socket for another one and dies.
pub fn handshake(out: &mut Vec<u8>, process: u32, connection: u64, cookie: u128) {
    put(
        out,
        format_args!(
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\n\
             SPID\t{process}\nCUID\t{connection}\nCOOKIE\t{cookie:032x}\nDONE\n"
        ),
    );
}

/// The client is this user, whatever it called itself.
pub fn accept(out: &mut Vec<u8>, id: u64, user: &Name) {
    put(out, format_args!("OK\t{id}\tuser={user}\n"));
}

/// Asks for another response. An empty challenge keeps its TAB, without which Postfix fails.
pub fn challenge(out: &mut Vec<u8>, id: u64, base64: &str) {
    put(out, format_args!("CONT\t{id}\t{base64}\n"));
}

/// The client is not let in. Without a text, Postfix shows what happens to be in its buffer.
pub fn refuse(out: &mut Vec<u8>, id: u64, user: Option<&Name>, text: &str) {
    put(out, format_args!("FAIL\t{id}"));
    if let Some(user) = user {
        put(out, format_args!("\tuser={user}"));
    }
    out.extend_from_slice(b"\treason=");
    let printable = |byte: u8| {
        if matches!(byte, b' '..=b'~') {
            byte
        } else {
            b'?'
        }
    };
    out.extend(text.bytes().take(MAX_REASON).map(printable));
    out.push(b'\n');
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector does not fail.
    let _ = std::io::Write::write_fmt(out, text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(line: &str) -> Request<'_> {
        let Line::Auth(request) = Line::parse(line.as_bytes()) else {
            panic!("{line:?} is no request");
        };
        request
    }

    #[test]
    fn reads_what_postfix_sends() {
        let request = request(
            "AUTH\t1\tplain\tservice=smtp\tnologin\tlip=192.0.2.1\trip=198.51.100.7\tsecured\tresp=AGEAYg==",
        );
        assert_eq!(request.id, 1);
        assert_eq!(request.mechanism, b"plain");
        assert_eq!(request.client.to_string(), "198.51.100.7");
        assert!(request.secured);
        assert_eq!(request.response, Some(&b"AGEAYg=="[..]));
        assert_eq!(Line::parse(b"VERSION\t1\t0"), Line::Version(Some(1)));
        assert_eq!(Line::parse(b"CPID\t27567"), Line::Other);
        assert_eq!(Line::parse(b"CONT\t7\tYQ=="), Line::Continue(7, b"YQ=="));
        assert_eq!(Line::parse(b"CONT\t7\t"), Line::Continue(7, b""));
        assert_eq!(Line::parse(b"CANCEL\t7"), Line::Cancel(7));
    }

    #[test]
    fn an_address_that_is_not_plainly_given_is_unknown() {
        for fields in [
            "",
            "\trip=",
            "\trip",
            "\trip=unknown",
            "\trip=192.0.2.1\trip=192.0.2.1",
            "\trip=192.0.2.1\trip=192.0.2.2",
            "\trip=192.0.2.1\trip=",
            "\trip=192.0.2.1 ",
            "\trip=192.0.2.01",
            "\tlip=192.0.2.1",
            "\tresp=eA==\trip=192.0.2.1",
        ] {
            let line = format!("AUTH\t1\tPLAIN{fields}");
            assert_eq!(request(&line).client, ClientAddress::Unknown, "{fields:?}");
        }
        let line = Line::parse(b"AUTH\t1\tPLAIN\trip=192.0.2.\xff");
        assert!(matches!(line, Line::Auth(r) if r.client == ClientAddress::Unknown));
    }

    #[test]
    fn tls_is_believed_only_where_it_is_said() {
        for (fields, secured) in [
            ("\tsecured", true),
            ("\tsecured=tls", true),
            ("", false),
            ("\tSECURED", false),
            ("\tsecured=no", false),
            ("\tsecured=", false),
            ("\tunsecured", false),
            ("\tresp=eA==\tsecured", false),
        ] {
            let line = format!("AUTH\t1\tPLAIN{fields}");
            assert_eq!(request(&line).secured, secured, "{fields:?}");
        }
    }

    #[test]
    fn a_request_without_a_number_cannot_be_answered() {
        for line in [
            "AUTH",
            "AUTH\t",
            "AUTH\tx\tPLAIN",
            "AUTH\t-1\tPLAIN",
            "AUTH\t+1\tPLAIN",
            "AUTH\t 1\tPLAIN",
            "AUTH\t99999999999999999999\tPLAIN",
            "CONT",
            "CONT\t",
            "CONT\tx\tYQ==",
            "CANCEL",
            "CANCEL\tx",
            "AUTH\t1\0\tPLAIN",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Nameless, "{line:?}");
        }
        for line in [
            "",
            "\t",
            "auth\t1\tPLAIN",
            "AUTH 1 PLAIN",
            "\0",
            "QUIT",
            "CPID",
        ] {
            assert_eq!(Line::parse(line.as_bytes()), Line::Other, "{line:?}");
        }
        assert_eq!(request("AUTH\t1").mechanism, b"");
        assert_eq!(request("AUTH\t007\tPLAIN").id, 7);
    }

    #[test]
    fn writes_what_postfix_reads() {
        let name = Name::parse("Shop").unwrap();
        let mut out = Vec::new();
        handshake(&mut out, 32388, 1, 0xff);
        accept(&mut out, 1, &name);
        challenge(&mut out, 2, "");
        challenge(&mut out, 3, "UGFzc3dvcmQ6");
        refuse(&mut out, 4, Some(&name), "IP not authorized");
        refuse(&mut out, 5, None, "a\tb\nc\0d\u{e9}");
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nMECH\tLOGIN\tplaintext\nSPID\t32388\nCUID\t1\n\
             COOKIE\t000000000000000000000000000000ff\nDONE\n\
             OK\t1\tuser=shop\nCONT\t2\t\nCONT\t3\tUGFzc3dvcmQ6\n\
             FAIL\t4\tuser=shop\treason=IP not authorized\nFAIL\t5\treason=a?b?c?d??\n"
        );
    }

    proptest! {
        #[test]
        fn any_line_is_read_as_something(line in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Line::parse(&line);
        }

        #[test]
        fn hostile_fields_are_read_as_something(fields in prop::collection::vec("(rip=|secured|resp=|[0-9]+|[a-z.:=]*|\\PC*)", 0..8)) {
            let line = format!("AUTH\t{}", fields.join("\t"));
            let _ = Line::parse(line.as_bytes());
        }

        #[test]
        fn a_request_is_read_as_it_was_written(
            id in any::<u64>(), address in any::<std::net::Ipv6Addr>(), secured in any::<bool>(),
            response in prop::option::of("[A-Za-z0-9+/=\t]{0,60}"),
        ) {
            let mut line = format!("AUTH\t{id}\tLOGIN\tnologin\trip={address}");
            if secured {
                line.push_str("\tsecured");
            }
            if let Some(response) = &response {
                line.push_str(&format!("\tresp={response}"));
            }
            prop_assert_eq!(
                Line::parse(line.as_bytes()),
                Line::Auth(Request {
                    id,
                    mechanism: b"LOGIN",
                    client: ClientAddress::parse(&address.to_string()),
                    secured,
                    response: response.as_deref().map(str::as_bytes),
                })
            );
        }

        #[test]
        fn an_answer_is_one_line_of_printable_fields(id in any::<u64>(), text in any::<String>()) {
            let mut out = Vec::new();
            refuse(&mut out, id, None, &text);
            prop_assert_eq!(out.iter().filter(|b| **b == b'\n').count(), 1);
            prop_assert_eq!(out.iter().filter(|b| **b == b'\t').count(), 2);
            prop_assert!(out.len() <= MAX_REASON + 40);
            prop_assert!(out.iter().all(|b| matches!(b, b'\t' | b'\n' | b' '..=b'~')));
        }
    }
}
