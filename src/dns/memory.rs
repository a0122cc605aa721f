//! Answers that need not be asked again yet, bounded in bytes; and how long each kind counts.
//!
//! For `flight`. Knows no name server.

use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;

use super::Looked;
use crate::model::dns::{Answer, Query, Records};

/// How many bytes are remembered at the most: some 60,000 answers of a usual size.
const CAPACITY: u64 = 32 << 20;
/// How many entries the tables are made for at first; they grow.
const USUAL_ENTRIES: usize = 16_384;
/// What an entry costs beside its text: the tables, the pointers, the counts of references.
const ENTRY: usize = 256;
/// What a record costs beside its text.
const RECORD: usize = 48;

/// How long records count: at least this, although their TTL is shorter. Postfix asks several times
/// a message, and a TTL of zero must not make each of them a look-up.
const RECORDS_MIN: Duration = Duration::from_secs(60);
/// And at most this, although their TTL is longer: who changes a record is believed within an hour.
const RECORDS_MAX: Duration = Duration::from_secs(3600);
/// That there is no record counts as long as the SOA says (RFC 2308 5), within these bounds: shorter
/// than records, because people publish one and try again.
const DENIAL_MIN: Duration = Duration::from_secs(5);
/// See [`DENIAL_MIN`].
const DENIAL_MAX: Duration = Duration::from_secs(300);
/// For a denial without SOA, which says nothing about its time.
const DENIAL_USUAL: Duration = Duration::from_secs(60);
/// How long a failure counts: recovery is noticed within seconds, and a dead name server is asked
/// once in that time and not once a session.
pub const TROUBLE: Duration = Duration::from_secs(5);

/// How long an answer counts whose records, or whose denial, say `ttl`.
pub fn lifetime(answer: &Answer, ttl: Option<Duration>) -> Duration {
    match answer {
        Answer::Records(_) => ttl.unwrap_or(RECORDS_MIN).clamp(RECORDS_MIN, RECORDS_MAX),
        Answer::NoData | Answer::NoName => {
            ttl.unwrap_or(DENIAL_USUAL).clamp(DENIAL_MIN, DENIAL_MAX)
        }
        Answer::Trouble(_) => TROUBLE,
    }
}

/// The longest time that anything counts.
pub const LONGEST: Duration = RECORDS_MAX;

/// An answer and its size, which is counted once.
#[derive(Clone)]
struct Kept {
    looked: Looked,
    bytes: u64,
}

/// Weighs entries by their bytes.
#[derive(Clone)]
struct Bytes;

impl Weighter<Query, Kept> for Bytes {
    fn weight(&self, _query: &Query, kept: &Kept) -> u64 {
        kept.bytes
    }
}

/// The answers.
pub struct Memory(Cache<Query, Kept, Bytes>);

impl Memory {
    /// Nothing yet.
    pub fn new() -> Memory {
        Memory(Cache::with_weighter(USUAL_ENTRIES, CAPACITY, Bytes))
    }

    /// The answer to a question, if it still counts.
    pub fn get(&self, query: &Query, now: Instant) -> Option<Looked> {
        self.0
            .get(query)
            .map(|kept| kept.looked)
            .filter(|looked| now < looked.until)
    }

    /// Remembers an answer in the place of an earlier one.
    pub fn keep(&self, query: Query, looked: Looked) {
        let bytes = size(&query, &looked.answer) as u64;
        self.0.insert(query, Kept { looked, bytes });
    }

    /// How many answers there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Their size.
    pub fn bytes(&self) -> u64 {
        self.0.weight()
    }

    /// The size that they never exceed.
    pub fn capacity(&self) -> u64 {
        self.0.capacity()
    }
}

fn size(query: &Query, answer: &Answer) -> usize {
    let records = match answer {
        Answer::Records(Records::Txt(texts)) => texts.iter().map(|t| RECORD + t.len()).sum(),
        Answer::Records(Records::Mx(exchangers)) => exchangers
            .hosts()
            .iter()
            .map(|(_, host)| RECORD + host.as_str().len())
            .sum(),
        Answer::Records(Records::A(addresses)) => RECORD * addresses.len(),
        Answer::Records(Records::Aaaa(addresses)) => RECORD * addresses.len(),
        Answer::NoData | Answer::NoName | Answer::Trouble(_) => 0,
    };
    ENTRY + query.name.as_str().len() + records
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;
    use crate::model::dns::{DnsName, Trouble};

    #[test]
    fn lifetimes_are_clamped() {
        let records = Answer::Records(Records::A(vec![Ipv4Addr::LOCALHOST]));
        let trouble = Answer::Trouble(Trouble::ServFail);
        for (answer, ttl, want) in [
            (&records, Some(0), 60),
            (&records, Some(300), 300),
            (&records, Some(u32::MAX), 3600),
            (&Answer::NoName, None, 60),
            (&Answer::NoName, Some(0), 5),
            (&Answer::NoData, Some(30), 30),
            (&Answer::NoData, Some(86_400), 300),
            (&trouble, Some(3600), 5),
        ] {
            let ttl = ttl.map(|s| Duration::from_secs(u64::from(s)));
            let got = lifetime(answer, ttl);
            assert_eq!(got, Duration::from_secs(want), "{answer:?} {ttl:?}");
        }
    }

    #[test]
    fn the_memory_is_bounded_in_bytes() {
        let memory = Memory::new();
        let now = Clock::system().instant();
        let until = now + LONGEST;
        let keep = |number: usize, answer: Answer| {
            let query = Query::txt(DnsName::parse(&format!("n{number}.test")).unwrap());
            let answer = Arc::new(answer);
            memory.keep(query.clone(), Looked { answer, until });
            assert!(memory.bytes() <= memory.capacity());
            memory.get(&query, now).is_some()
        };
        for number in 0..2000 {
            let text: Arc<[u8]> = Arc::from(vec![b'x'; 60_000]);
            keep(number, Answer::Records(Records::Txt(vec![text])));
        }
        assert!(memory.len() < 600, "{}", memory.len());
        let mut kept = 0;
        for number in 0..300_000 {
            kept += usize::from(keep(number, Answer::NoName));
        }
        assert!(kept > 290_000, "what is new is remembered: {kept}");
        assert!(memory.len() < 130_000, "{}", memory.len());
    }
}
