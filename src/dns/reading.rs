//! What the answer of a name server says, and whether it is one.
//!
//! Pure. An answer counts only if it repeats the question (RFC 5452 9.1), and only with records that
//! belong to the name asked for or lie behind its CNAMEs, all in the answer section. Records under
//! an error code are none: whoever sent them says in the same message that it does not know.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::{DnsResponse, Query, ResponseCode};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use rustix::io::Errno;

use super::wire::record_type;
use crate::model::dns::{Answer, DnsName, Exchangers, Kind, Records, Trouble};

/// How many records of a kind, and strings in text records, an answer may have. One with more is
/// [`Trouble::Lame`]: whatever stands in it, nobody may send because of it. An SPF record of the
/// greatest length that a message can carry has 257 strings.
const MOST_PARTS: usize = 500;
/// How many CNAMEs an answer may lie behind, in one message or several.
pub const MOST_ALIASES: usize = 16;

/// What an answer says.
#[derive(Debug)]
pub enum Reading {
    /// That is it.
    Answer {
        /// Records, or that there are none.
        answer: Answer,
        /// In seconds: the shortest that was met on the way. `None` if nothing says it.
        ttl: Option<u32>,
    },
    /// The name is another name for `target`, of which the server has told nothing.
    Alias {
        /// Where to ask on.
        target: Name,
        /// The shortest TTL of the CNAMEs, in seconds.
        ttl: u32,
        /// How many CNAMEs lead there.
        steps: usize,
    },
}

/// Reads what came of a question.
pub fn read(
    asked: &Name,
    kind: Kind,
    heard: Result<DnsResponse, NetError>,
) -> Result<Reading, Trouble> {
    match heard {
        Ok(response) => {
            let [question] = response.queries.as_slice() else {
                return Err(Trouble::Lame);
            };
            repeats(question, asked, kind)?;
            read_response(asked, kind, &response)
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(denial))) => {
            repeats(&denial.query, asked, kind)?;
            let referral = denial.soa.is_none() && denial.ns.is_some();
            let answer = deny(denial.response_code, referral)?;
            let ttl = denial.negative_ttl;
            Ok(Reading::Answer { answer, ttl })
        }
        Err(error) => Err(trouble(&error)),
    }
}

/// Whether a server does not understand the extension that announces how long an answer may be; it
/// is asked again without (RFC 6891 7).
pub fn is_about_edns(heard: &Result<DnsResponse, NetError>) -> bool {
    matches!(
        heard,
        Err(NetError::Dns(DnsError::ResponseCode(
            ResponseCode::FormErr | ResponseCode::NotImp
        )))
    )
}

fn repeats(question: &Query, asked: &Name, kind: Kind) -> Result<(), Trouble> {
    if question.name() == asked && question.query_type() == record_type(kind) {
        Ok(())
    } else {
        Err(Trouble::Lame)
    }
}

fn read_response(asked: &Name, kind: Kind, response: &DnsResponse) -> Result<Reading, Trouble> {
    let code = response.response_code;
    // The code speaks of the last name of a chain (RFC 6604 3), so CNAMEs may stand here.
    let denied = code == ResponseCode::NXDomain;
    if !denied && code != ResponseCode::NoError {
        return Err(coded(code));
    }
    let mut name = asked;
    let mut ttl = u32::MAX;
    let mut steps = 0;
    loop {
        let found: Vec<&Record> = of(response, name, record_type(kind)).collect();
        if !found.is_empty() {
            if denied {
                return Err(Trouble::Lame);
            }
            let ttl = found.iter().fold(ttl, |ttl, record| ttl.min(record.ttl));
            let answer = records(kind, &found)?;
            return Ok(Reading::Answer {
                answer,
                ttl: Some(ttl),
            });
        }
        let Some((target, alias_ttl)) = alias(response, name) else {
            break;
        };
        steps += 1;
        if steps > MOST_ALIASES {
            return Err(Trouble::Lame);
        }
        ttl = ttl.min(alias_ttl);
        name = target;
    }
    let soa = response.negative_ttl();
    // A denial belongs to the last name of the chain (RFC 2308 2.1).
    if denied || soa.is_some() {
        let answer = deny(response.response_code, false)?;
        let ttl = soa.map(|soa| soa.min(ttl));
        return Ok(Reading::Answer { answer, ttl });
    }
    if steps > 0 {
        let target = name.clone();
        return Ok(Reading::Alias { target, ttl, steps });
    }
    // Records, but for other names or of other kinds.
    Err(Trouble::Lame)
}

fn of<'a>(
    response: &'a DnsResponse,
    name: &'a Name,
    kind: RecordType,
) -> impl Iterator<Item = &'a Record> {
    response
        .answers
        .iter()
        .filter(move |record| record.record_type() == kind && record.name == *name)
}

fn alias<'a>(response: &'a DnsResponse, name: &'a Name) -> Option<(&'a Name, u32)> {
    of(response, name, RecordType::CNAME).find_map(|record| {
        let RData::CNAME(target) = &record.data else {
            return None;
        };
        Some((&target.0, record.ttl))
    })
}

/// The records as our own nouns.
fn records(kind: Kind, found: &[&Record]) -> Result<Answer, Trouble> {
    if found.len() > MOST_PARTS {
        return Err(Trouble::Lame);
    }
    let data = found.iter().map(|record| &record.data);
    let records = match kind {
        Kind::Txt => Records::Txt(texts(data)?),
        Kind::Mx => Records::Mx(exchangers(data)),
        Kind::A => Records::A(data.filter_map(ipv4).collect()),
        Kind::Aaaa => Records::Aaaa(data.filter_map(ipv6).collect()),
    };
    let empty = match &records {
        Records::Txt(texts) => texts.is_empty(),
        Records::Mx(Exchangers::Hosts(hosts)) => hosts.is_empty(),
        Records::Mx(Exchangers::None) => false,
        Records::A(addresses) => addresses.is_empty(),
        Records::Aaaa(addresses) => addresses.is_empty(),
    };
    Ok(if empty {
        Answer::NoData
    } else {
        Answer::Records(records)
    })
}

fn texts<'a>(data: impl Iterator<Item = &'a RData>) -> Result<Vec<Arc<[u8]>>, Trouble> {
    let mut texts = Vec::new();
    let mut strings = 0;
    for data in data {
        let RData::TXT(text) = data else { continue };
        strings += text.txt_data.len();
        texts.push(Arc::from(text.txt_data.concat()));
    }
    if strings > MOST_PARTS {
        return Err(Trouble::Lame);
    }
    Ok(texts)
}

/// Exchangers whose host is no name that could be asked about are left out. "." says that the domain
/// takes no mail (RFC 7505), unless there is another exchanger: then it is left out too.
fn exchangers<'a>(data: impl Iterator<Item = &'a RData>) -> Exchangers {
    let mut hosts = Vec::new();
    let mut null = false;
    for data in data {
        let RData::MX(exchanger) = data else { continue };
        null |= exchanger.exchange.is_root();
        let host = DnsName::parse(&exchanger.exchange.to_ascii());
        hosts.extend(host.map(|host| (exchanger.preference, host)));
    }
    if hosts.is_empty() && null {
        Exchangers::None
    } else {
        Exchangers::Hosts(hosts)
    }
}

fn ipv4(data: &RData) -> Option<Ipv4Addr> {
    let RData::A(address) = data else {
        return None;
    };
    Some(address.0)
}

fn ipv6(data: &RData) -> Option<Ipv6Addr> {
    let RData::AAAA(address) = data else {
        return None;
    };
    Some(address.0)
}

/// What a denial denies. A referral to other servers is none: who was asked does not know.
fn deny(code: ResponseCode, referral: bool) -> Result<Answer, Trouble> {
    if code == ResponseCode::NXDomain {
        Ok(Answer::NoName)
    } else if code == ResponseCode::NoError && !referral {
        Ok(Answer::NoData)
    } else {
        Err(Trouble::Lame)
    }
}

fn trouble(error: &NetError) -> Trouble {
    #[expect(clippy::wildcard_enum_match_arm, reason = "a list of the library's")]
    match error {
        NetError::Timeout | NetError::NoConnections => Trouble::TimedOut,
        NetError::Busy => Trouble::Crowded,
        NetError::Io(error) => unreachable_server(error),
        NetError::Dns(DnsError::ResponseCode(code)) => coded(*code),
        // Bytes that are no answer, truncation over TCP too.
        _ => Trouble::Lame,
    }
}

/// What a code says that is neither "here it is" nor "there is no such name".
fn coded(code: ResponseCode) -> Trouble {
    if code == ResponseCode::ServFail {
        Trouble::ServFail
    } else if code == ResponseCode::Refused || code == ResponseCode::NotAuth {
        Trouble::Refused
    } else {
        Trouble::Lame
    }
}

/// Whether it is we who cannot ask, or the server who is not there.
fn unreachable_server(error: &io::Error) -> Trouble {
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::MFILE | Errno::NFILE | Errno::NOBUFS) => Trouble::Crowded,
        Some(_) | None => Trouble::TimedOut,
    }
}
