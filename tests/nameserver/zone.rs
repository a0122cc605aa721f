//! What the test name server says: records, and names that misbehave.
//!
//! Built in words (`Zone::new().txt("example.com", "v=spf1 -all").servfail("broken.test")`) or read
//! from a file (`Zone::parse`), whose lines `serve.rs` describes.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, TXT};
use hickory_resolver::proto::rr::{Name, RData};

/// All names.
#[derive(Clone, Debug)]
pub struct Zone {
    names: BTreeMap<String, Entry>,
    /// Of records, in seconds.
    pub ttl: u32,
    /// Of denials, in seconds; `None`: they come without an SOA.
    pub denial_ttl: Option<u32>,
    /// Whether a CNAME is told alone, and what it leads to only when asked.
    pub lone_cnames: bool,
}

/// One name.
#[derive(Clone, Debug, Default)]
pub struct Entry {
    /// What it has.
    pub records: Vec<RData>,
    /// How it misbehaves.
    pub manner: Option<Manner>,
    /// How long it takes.
    pub delay: Duration,
}

/// How a name misbehaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Manner {
    /// SERVFAIL.
    ServFail,
    /// REFUSED.
    Refuse,
    /// No answer; a TCP connection is closed.
    Drop,
    /// Nothing but TC over UDP, the whole over TCP.
    Truncate,
    /// Nothing but TC.
    TruncateAlways,
    /// The right question, and records of another name.
    WrongName,
    /// Another question than the one asked.
    WrongQuestion,
    /// Nothing but TC over UDP, and another question than the one asked over TCP.
    WrongQuestionOverTcp,
    /// First a forged answer with another id, then the right one.
    WrongId,
    /// The right id, and then bytes that are no message.
    Garbage,
    /// A name whose compression points at itself.
    CompressionLoop,
    /// No answer and no denial, but the names of other servers.
    Referral,
    /// FORMERR as long as the question comes with EDNS.
    NoEdns,
    /// Records in the additional section only.
    Elsewhere,
    /// Records, under this response code.
    Code(u8),
}

impl Default for Zone {
    fn default() -> Zone {
        Zone::new()
    }
}

impl Zone {
    /// Denies everything.
    pub fn new() -> Zone {
        Zone {
            names: BTreeMap::new(),
            ttl: 300,
            denial_ttl: Some(30),
            lone_cnames: false,
        }
    }

    /// How long records count.
    pub fn ttl(mut self, seconds: u32) -> Zone {
        self.ttl = seconds;
        self
    }

    /// How long denials count.
    pub fn denial_ttl(mut self, seconds: u32) -> Zone {
        self.denial_ttl = Some(seconds);
        self
    }

    /// Denials without SOA.
    pub fn no_soa(mut self) -> Zone {
        self.denial_ttl = None;
        self
    }

    /// CNAMEs are told without what they lead to.
    pub fn lone_cnames(mut self) -> Zone {
        self.lone_cnames = true;
        self
    }

    /// A text record, cut into strings of 255 bytes if it is longer.
    pub fn txt(self, name: &str, text: &str) -> Zone {
        let strings: Vec<&[u8]> = match text.as_bytes() {
            b"" => vec![b""],
            bytes => bytes.chunks(255).collect(),
        };
        self.record(name, RData::TXT(TXT::from_bytes(strings)))
    }

    /// A text record of these strings.
    pub fn strings(self, name: &str, strings: &[&str]) -> Zone {
        let strings = strings.iter().map(|s| s.as_bytes()).collect();
        self.record(name, RData::TXT(TXT::from_bytes(strings)))
    }

    /// An IPv4 address.
    pub fn a(self, name: &str, address: &str) -> Zone {
        let address: Ipv4Addr = address.parse().unwrap();
        self.record(name, RData::A(A(address)))
    }

    /// An IPv6 address.
    pub fn aaaa(self, name: &str, address: &str) -> Zone {
        let address: Ipv6Addr = address.parse().unwrap();
        self.record(name, RData::AAAA(AAAA(address)))
    }

    /// A mail exchanger.
    pub fn mx(self, name: &str, preference: u16, host: &str) -> Zone {
        self.record(name, RData::MX(MX::new(preference, wire_name(host))))
    }

    /// Another name for `target`.
    pub fn cname(self, name: &str, target: &str) -> Zone {
        self.record(name, RData::CNAME(CNAME(wire_name(target))))
    }

    /// A name without records: other kinds than it has are denied as "no data".
    pub fn empty(mut self, name: &str) -> Zone {
        self.entry(name);
        self
    }

    /// A name that misbehaves.
    pub fn manner(mut self, name: &str, manner: Manner) -> Zone {
        self.entry(name).manner = Some(manner);
        self
    }

    /// A name that answers SERVFAIL.
    pub fn servfail(self, name: &str) -> Zone {
        self.manner(name, Manner::ServFail)
    }

    /// A name that answers REFUSED.
    pub fn refuse(self, name: &str) -> Zone {
        self.manner(name, Manner::Refuse)
    }

    /// A name that does not answer.
    pub fn drop(self, name: &str) -> Zone {
        self.manner(name, Manner::Drop)
    }

    /// A name that answers late.
    pub fn delay(mut self, name: &str, by: Duration) -> Zone {
        self.entry(name).delay = by;
        self
    }

    /// A name whose answer is whole over TCP only.
    pub fn truncate(self, name: &str) -> Zone {
        self.manner(name, Manner::Truncate)
    }

    /// A name whose answer is never whole.
    pub fn truncate_always(self, name: &str) -> Zone {
        self.manner(name, Manner::TruncateAlways)
    }

    /// A name that is answered with the records of another one.
    pub fn wrong_name(self, name: &str) -> Zone {
        self.manner(name, Manner::WrongName)
    }

    /// A name whose answer comes behind a forged one with another id.
    pub fn wrong_id(self, name: &str) -> Zone {
        self.manner(name, Manner::WrongId)
    }

    /// A name that is answered with bytes that are no message.
    pub fn garbage(self, name: &str) -> Zone {
        self.manner(name, Manner::Garbage)
    }

    /// What a name has; `None` if neither it nor a name below it exists. A name that does not exist
    /// has what `*.` one of its parents has, at any depth (simpler than RFC 4592: the nearest such
    /// parent counts, whatever lies between).
    pub fn look_up(&self, name: &str) -> Option<Entry> {
        if let Some(entry) = self.names.get(name) {
            return Some(entry.clone());
        }
        let below = format!(".{name}");
        if self.names.keys().any(|other| other.ends_with(&below)) {
            return Some(Entry::default());
        }
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            if let Some(entry) = self.names.get(&format!("*.{parent}")) {
                return Some(entry.clone());
            }
            rest = parent;
        }
        None
    }

    /// Reads a zone file. An error names the line.
    pub fn parse(text: &str) -> Result<Zone, String> {
        let mut zone = Zone::new();
        for (number, line) in text.lines().enumerate() {
            zone = zone
                .parse_line(line)
                .map_err(|error| format!("line {}: {error}: {line}", number + 1))?;
        }
        Ok(zone)
    }

    fn parse_line(self, line: &str) -> Result<Zone, String> {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            return Ok(self);
        }
        let (name, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let rest = rest.trim();
        let (kind, data) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let data = data.trim();
        let number = |text: &str| text.parse::<u32>().map_err(|e| e.to_string());
        Ok(match (name, kind.to_ascii_uppercase().as_str()) {
            ("$TTL", _) => self.ttl(number(rest)?),
            ("$DENIAL-TTL", _) => self.denial_ttl(number(rest)?),
            ("$NO-SOA", _) => self.no_soa(),
            (_, "TXT") => {
                let strings = quoted(data)?;
                let mut cut = Vec::new();
                for string in &strings {
                    cut.extend(string.as_bytes().chunks(255));
                }
                self.record(name, RData::TXT(TXT::from_bytes(cut)))
            }
            (_, "A") => {
                let address = data.parse::<Ipv4Addr>().map_err(|e| e.to_string())?;
                self.record(name, RData::A(A(address)))
            }
            (_, "AAAA") => {
                let address = data.parse::<Ipv6Addr>().map_err(|e| e.to_string())?;
                self.record(name, RData::AAAA(AAAA(address)))
            }
            (_, "MX") => {
                let (preference, host) = data
                    .split_once(char::is_whitespace)
                    .ok_or("MX wants a preference and a host")?;
                let preference = preference.parse::<u16>().map_err(|e| e.to_string())?;
                self.mx(name, preference, host.trim())
            }
            (_, "CNAME") => self.cname(name, data),
            (_, "EMPTY") => self.empty(name),
            (_, "SERVFAIL") => self.servfail(name),
            (_, "REFUSE") => self.refuse(name),
            (_, "DROP") => self.drop(name),
            (_, "TRUNCATE") => self.truncate(name),
            (_, "TRUNCATE-ALWAYS") => self.truncate_always(name),
            (_, "WRONG-NAME") => self.wrong_name(name),
            (_, "WRONG-ID") => self.wrong_id(name),
            (_, "GARBAGE") => self.garbage(name),
            (_, "CODE") => {
                let code = data.parse::<u8>().map_err(|e| e.to_string())?;
                self.manner(name, Manner::Code(code))
            }
            (_, "DELAY") => {
                let millis = data
                    .strip_suffix("ms")
                    .ok_or("DELAY wants a time as 200ms")?;
                self.delay(name, Duration::from_millis(u64::from(number(millis)?)))
            }
            (_, other) => return Err(format!("{other:?} is no type")),
        })
    }

    fn record(mut self, name: &str, data: RData) -> Zone {
        self.entry(name).records.push(data);
        self
    }

    fn entry(&mut self, name: &str) -> &mut Entry {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.names.entry(name).or_default()
    }
}

/// A name label by label, without the library's rules about labels; "." is the root.
pub fn wire_name(name: &str) -> Name {
    let name = name.trim_end_matches('.');
    if name.is_empty() {
        return Name::root();
    }
    Name::from_labels(name.split('.').map(str::as_bytes)).unwrap()
}

/// One or more strings in double quotes; a backslash takes the next character as it is.
fn quoted(text: &str) -> Result<Vec<String>, String> {
    let mut strings = Vec::new();
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter.is_whitespace() {
            continue;
        }
        if letter != '"' {
            return Err("a text stands in double quotes".to_owned());
        }
        let mut string = String::new();
        loop {
            match letters.next().ok_or("a text does not end")? {
                '"' => break,
                '\\' => string.push(letters.next().ok_or("a text does not end")?),
                other => string.push(other),
            }
        }
        strings.push(string);
    }
    if strings.is_empty() {
        return Err("TXT wants a text in double quotes".to_owned());
    }
    Ok(strings)
}
