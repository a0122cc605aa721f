//! What was visited on a walk over SPF records, as data for people: `explain`, `domain check`.
//!
//! Texts of records are somebody else's: they are kept escaped and cut. It judges nothing.

use std::fmt;

use crate::model::dns::{DnsName, Query, Trouble};
use crate::model::reply::escape;

use super::record::SyntaxError;

/// How much of a text is kept, in bytes.
const MAX_TEXT: usize = 512;

/// How many terms of one record are kept; what decides is kept beyond.
const MAX_STEPS: usize = 64;

/// One record that was looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Visit {
    /// Where.
    pub name: DnsName,
    /// Its text, escaped and cut; `None` if there is none, or more than one, or if it is not known.
    pub record: Option<String>,
    /// Its terms in the order in which they are looked at, `redirect` last.
    pub steps: Vec<Step>,
    /// How many terms are not among the steps, because there are too many to show.
    pub omitted: usize,
    /// What is wrong with the record as a whole.
    pub fault: Option<Fault>,
    /// Why it is not known what stands there.
    pub trouble: Option<Trouble>,
}

/// One term of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The term as it is understood, cut.
    pub term: String,
    /// What came of it.
    pub outcome: Outcome,
    /// The record that it led to.
    pub inside: Option<Box<Visit>>,
}

/// What came of a term.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It matches the client address.
    Match,
    /// It does not.
    NoMatch,
    /// It was looked up, and there is nothing.
    Void,
    /// It was looked up; the addresses do not matter for this question.
    LookedUp,
    /// It is, or leads to, the include of the relay.
    Hit,
    /// It was not looked up, and why.
    NotFollowed(&'static str),
    /// The walk had ended before.
    NotReached,
    /// It ends the walk: something is wrong with it or behind it.
    Fault(FaultKind),
    /// It ends the walk: DNS does not answer.
    Unavailable(Query, Trouble),
}

/// What is wrong, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The name of the record.
    pub record: DnsName,
    /// The term, cut; `None` if it is the record as a whole.
    pub term: Option<String>,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What can be wrong with SPF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FaultKind {
    /// More than one SPF record at a name (RFC 7208 4.5).
    Several(usize),
    /// The record is longer than [`super::record::MAX_RECORD`].
    TooLong(usize),
    /// The record does not follow the grammar.
    Syntax(SyntaxError),
    /// An `include` or `redirect` leads to a name without an SPF record.
    NothingThere(DnsName),
    /// An `include` or `redirect` leads to what is no name.
    NoName,
    /// The records that have to be read are longer together than anybody needs.
    TooMuch,
    /// More than ten terms that cost a look-up.
    Lookups,
    /// More than two look-ups that found nothing.
    Voids,
    /// More than ten mail exchangers.
    Exchangers(usize),
    /// The only mechanism is `-all`: the domain never sends mail.
    NeverSends,
}

impl Fault {
    /// How many bytes it takes beside itself.
    pub(super) fn size(&self) -> usize {
        let term = self.term.as_ref().map_or(0, String::len);
        self.record.as_str().len() + term + self.kind.size()
    }
}

impl FaultKind {
    fn size(&self) -> usize {
        match self {
            FaultKind::Syntax(SyntaxError::Unknown(term) | SyntaxError::Value(term)) => term.len(),
            FaultKind::NothingThere(name) => name.as_str().len(),
            FaultKind::Syntax(
                SyntaxError::Version | SyntaxError::Character | SyntaxError::Twice(_),
            )
            | FaultKind::Several(_)
            | FaultKind::TooLong(_)
            | FaultKind::NoName
            | FaultKind::TooMuch
            | FaultKind::Lookups
            | FaultKind::Voids
            | FaultKind::Exchangers(_)
            | FaultKind::NeverSends => 0,
        }
    }
}

impl Visit {
    /// A record that has still to be read.
    pub(super) fn new(name: &DnsName) -> Visit {
        Visit {
            name: name.clone(),
            record: None,
            steps: Vec::new(),
            omitted: 0,
            fault: None,
            trouble: None,
        }
    }

    /// Keeps what came of a term, unless there are many and it decides nothing.
    pub(super) fn push(
        &mut self,
        term: &dyn fmt::Display,
        outcome: Outcome,
        inside: Option<Box<Visit>>,
    ) {
        if self.steps.len() < MAX_STEPS || outcome.decides() {
            self.steps.push(Step {
                term: shown(&term.to_string()),
                outcome,
                inside,
            });
        } else {
            self.omitted += 1;
        }
    }

    /// The way from the domain to what decided, as one line:
    /// `example.com -> include:_spf.provider.example -> include:spf.relay.example`.
    pub fn chain(&self) -> String {
        let mut line = self.name.to_string();
        let mut visit = self;
        while let Some(step) = visit.steps.iter().find(|step| step.outcome.decides()) {
            line.push_str(" -> ");
            line.push_str(&step.term);
            match &step.inside {
                Some(inside) => visit = inside,
                None => break,
            }
        }
        line
    }

    /// About how many bytes it takes in memory.
    pub(super) fn size(&self) -> usize {
        let steps = self.steps.iter().map(|step| {
            let inside = step.inside.as_ref().map_or(0, |inside| inside.size());
            size_of::<Step>() + step.term.len() + step.outcome.size() + inside
        });
        let text = self.record.as_ref().map_or(0, String::len);
        let fault = self.fault.as_ref().map_or(0, Fault::size);
        size_of::<Visit>() + self.name.as_str().len() + text + fault + steps.sum::<usize>()
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        let indent = depth * 2;
        match &self.record {
            Some(record) => writeln!(f, "{:indent$}{}: {record}", "", self.name)?,
            None => match (&self.fault, self.trouble) {
                (Some(_), _) => writeln!(f, "{:indent$}{}:", "", self.name)?,
                (None, Some(trouble)) => writeln!(f, "{:indent$}{}: {trouble}", "", self.name)?,
                (None, None) => writeln!(f, "{:indent$}{}: no SPF record", "", self.name)?,
            },
        }
        if let Some(fault) = &self.fault {
            writeln!(f, "{:indent$}  {}", "", fault.kind)?;
        }
        for step in &self.steps {
            // What is wrong further inside is said there, once.
            let wrong = matches!(step.outcome, Outcome::Fault(_) | Outcome::Unavailable(..));
            let inside = step.inside.as_ref();
            match wrong && inside.is_some_and(|inside| inside.decides()) {
                true => writeln!(f, "{:indent$}  {}", "", step.term)?,
                false => writeln!(f, "{:indent$}  {}: {}", "", step.term, step.outcome)?,
            }
            if let Some(inside) = &step.inside {
                inside.write(f, depth + 2)?;
            }
        }
        if self.omitted > 0 {
            writeln!(f, "{:indent$}  and {} more terms", "", self.omitted)?;
        }
        Ok(())
    }

    /// Whether the walk ended in this record, or behind it.
    fn decides(&self) -> bool {
        self.fault.is_some()
            || self.trouble.is_some()
            || self.steps.iter().any(|step| step.outcome.decides())
    }
}

/// Indented lines, each with its end.
impl fmt::Display for Visit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, 0)
    }
}

impl Outcome {
    /// Whether the walk ended here.
    pub fn decides(&self) -> bool {
        match self {
            Outcome::Match | Outcome::Hit | Outcome::Fault(_) | Outcome::Unavailable(..) => true,
            Outcome::NoMatch
            | Outcome::Void
            | Outcome::LookedUp
            | Outcome::NotFollowed(_)
            | Outcome::NotReached => false,
        }
    }

    /// How many bytes it takes beside itself.
    fn size(&self) -> usize {
        match self {
            Outcome::Fault(kind) => kind.size(),
            Outcome::Unavailable(query, _) => query.name.as_str().len(),
            Outcome::Match
            | Outcome::NoMatch
            | Outcome::Void
            | Outcome::LookedUp
            | Outcome::Hit
            | Outcome::NotFollowed(_)
            | Outcome::NotReached => 0,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Match => f.write_str("match"),
            Outcome::NoMatch => f.write_str("no match"),
            Outcome::Void => f.write_str("nothing there"),
            Outcome::LookedUp => f.write_str("in order"),
            Outcome::Hit => f.write_str("includes this relay"),
            Outcome::NotFollowed(why) => write!(f, "not followed: {why}"),
            Outcome::NotReached => f.write_str("not reached"),
            Outcome::Fault(kind) => kind.fmt(f),
            Outcome::Unavailable(query, trouble) => write!(f, "{query}: {trouble}"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.term {
            Some(term) => write!(f, "SPF record of {}, at {term}: {}", self.record, self.kind),
            None => write!(f, "SPF record of {}: {}", self.record, self.kind),
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FaultKind::Several(count) => write!(f, "{count} SPF records, only one may be there"),
            FaultKind::TooLong(length) => write!(f, "too long ({length} bytes)"),
            FaultKind::Syntax(error) => error.fmt(f),
            FaultKind::NothingThere(name) => write!(f, "{name} has no SPF record"),
            FaultKind::NoName => f.write_str("this leads to no valid name"),
            FaultKind::TooMuch => f.write_str("too much to read, all records together"),
            FaultKind::Lookups => f.write_str("more than 10 terms need look-ups"),
            FaultKind::Voids => f.write_str("more than 2 look-ups found nothing"),
            FaultKind::Exchangers(count) => {
                write!(f, "{count} mail exchangers, at most 10 are looked at")
            }
            FaultKind::NeverSends => f.write_str("says that the domain never sends mail"),
        }
    }
}

/// Somebody else's text, fit to be shown: escaped, and cut to [`MAX_TEXT`] bytes.
pub(super) fn shown(text: &str) -> String {
    // No escape is shorter than its character, so more than this is never needed.
    let mut end = text.len().min(MAX_TEXT);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut shown = escape(&text[..end]);
    if shown.len() > MAX_TEXT || end < text.len() {
        shown.truncate(shown.len().min(MAX_TEXT - 3));
        shown.push_str("...");
    }
    shown
}
