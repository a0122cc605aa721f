//! A zone in memory, written as lines, and the loop that asks it what a pure function wants to
//! know.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use outgate::model::dns::{
    Answer, DnsName, Exchangers, Kind, Known, Query, Records, Trouble, Unknown,
};
use outgate::spf::{Assessment, Identity, Requirement, Shelf, assess};

/// What there is at a name.
#[derive(Clone, Default)]
pub struct Node {
    pub txt: Vec<Vec<u8>>,
    pub mx: Vec<(u16, DnsName)>,
    pub null_mx: bool,
    pub a: Vec<std::net::Ipv4Addr>,
    pub aaaa: Vec<std::net::Ipv6Addr>,
    pub cname: Option<DnsName>,
    /// By kind.
    pub trouble: BTreeMap<Kind, Trouble>,
    /// For every kind that has no records.
    pub otherwise: Option<Trouble>,
}

/// With texts that a person can read.
impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for txt in &self.txt {
            write!(f, "TXT {:?} ", String::from_utf8_lossy(txt))?;
        }
        write!(f, "MX {:?} A {:?} AAAA {:?} ", self.mx, self.a, self.aaaa)?;
        write!(
            f,
            "{:?} {:?} {:?}",
            self.cname, self.trouble, self.otherwise
        )
    }
}

/// Names and what there is.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    pub nodes: BTreeMap<DnsName, Node>,
}

impl Zone {
    /// Takes a line `NAME KIND DATA…`. A name that nobody can ask about is left out.
    pub fn add(&mut self, words: &[String]) {
        let [name, kind, data @ ..] = words else {
            panic!("no record: {words:?}");
        };
        let Ok(name) = DnsName::parse(name) else {
            return;
        };
        let node = self.nodes.entry(name).or_default();
        if let [word] = data
            && let Some(trouble) = trouble(word)
        {
            match kind.as_str() {
                "*" => node.otherwise = Some(trouble),
                kind => {
                    node.trouble.insert(self::kind(kind), trouble);
                }
            }
            return;
        }
        match kind.as_str() {
            "TXT" => node.txt.push(bytes(&data.concat())),
            "MX" if data[1] == "." => node.null_mx = true,
            "MX" => node.mx.extend(
                DnsName::parse(&data[1])
                    .ok()
                    .map(|host| (data[0].parse().unwrap(), host)),
            ),
            "A" => node.a.push(data[0].parse().unwrap()),
            "AAAA" => node.aaaa.push(data[0].parse().unwrap()),
            "CNAME" => node.cname = Some(DnsName::parse(&data[0]).unwrap()),
            kind => panic!("no kind: {kind}"),
        }
    }

    /// Adds a text record.
    pub fn txt(&mut self, name: &str, text: &str) {
        let node = self.nodes.entry(DnsName::parse(name).unwrap()).or_default();
        node.txt.push(text.as_bytes().to_vec());
    }

    /// What a name server would say.
    pub fn answer(&self, query: &Query) -> Answer {
        let mut name = &query.name;
        for _ in 0..8 {
            match self.nodes.get(name).and_then(|node| node.cname.as_ref()) {
                Some(target) => name = target,
                None => break,
            }
        }
        let Some(node) = self.nodes.get(name) else {
            let below = format!(".{name}");
            let parent = self.nodes.keys().any(|n| n.as_str().ends_with(&below));
            return if parent {
                Answer::NoData
            } else {
                Answer::NoName
            };
        };
        if let Some(trouble) = node.trouble.get(&query.kind) {
            return Answer::Trouble(*trouble);
        }
        let records = match query.kind {
            Kind::Txt if !node.txt.is_empty() => {
                Records::Txt(node.txt.iter().map(|t| Arc::from(t.as_slice())).collect())
            }
            Kind::Mx if node.null_mx => Records::Mx(Exchangers::None),
            Kind::Mx if !node.mx.is_empty() => Records::Mx(Exchangers::Hosts(node.mx.clone())),
            Kind::A if !node.a.is_empty() => Records::A(node.a.clone()),
            Kind::Aaaa if !node.aaaa.is_empty() => Records::Aaaa(node.aaaa.clone()),
            Kind::Txt | Kind::Mx | Kind::A | Kind::Aaaa => {
                return node.otherwise.map_or(Answer::NoData, Answer::Trouble);
            }
        };
        Answer::Records(records)
    }

    /// Assesses a requirement, with one shelf for all calls and with a new one for each: both say the
    /// same. Hands back what was asked too.
    pub fn assess(
        &self,
        requirement: &Requirement,
        identity: &Identity<'_>,
    ) -> (Assessment, BTreeSet<Query>) {
        let shelf = Shelf::default();
        let said = self.gather(|known| assess(requirement, identity, known, &shelf));
        let plain = self.gather(|known| assess(requirement, identity, known, &Shelf::default()));
        assert_eq!(said, plain, "what is said depends on the shelf");
        said
    }

    /// Calls a pure function until it says something, and hands back what it asked.
    pub fn gather<T>(&self, judge: impl Fn(&Known) -> Result<T, Unknown>) -> (T, BTreeSet<Query>) {
        let mut known = Known::default();
        let mut asked = BTreeSet::new();
        loop {
            match judge(&known) {
                Ok(said) => return (said, asked),
                Err(Unknown(queries)) => {
                    assert!(!queries.is_empty(), "asks nothing");
                    for query in queries {
                        assert!(asked.insert(query.clone()), "asks {query} twice");
                        known.insert(query.clone(), Arc::new(self.answer(&query)));
                    }
                }
            }
        }
    }
}

fn kind(word: &str) -> Kind {
    match word {
        "TXT" => Kind::Txt,
        "MX" => Kind::Mx,
        "A" => Kind::A,
        "AAAA" => Kind::Aaaa,
        word => panic!("no kind: {word}"),
    }
}

fn trouble(word: &str) -> Option<Trouble> {
    match word {
        "SERVFAIL" => Some(Trouble::ServFail),
        "TIMEOUT" => Some(Trouble::TimedOut),
        "REFUSED" => Some(Trouble::Refused),
        "LAME" => Some(Trouble::Lame),
        _ => None,
    }
}

/// One line as words; what stands between quotes is one word, with `\xNN` for a byte.
pub fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    assert!(!quoted, "a quote is open: {line}");
    words.extend(word);
    words
}

fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        out.extend_from_slice(before.as_bytes());
        out.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    out.extend_from_slice(rest.as_bytes());
    out
}
