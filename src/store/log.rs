//! The decision log as a store keeps it: lines that are appended, found again and trimmed.
//!
//! It is apart from [`Store`](super::Store): no decision waits for it or depends on it. All calls block; they
//! belong on a thread of their own. The words of a line are texts here: what they mean is not the store's
//! business.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;

use super::StoreError;
use super::sqlite::log::{SqliteLogReader, SqliteLogWriter};
use crate::config::value::StoreUrl;
use crate::model::decision_id::DecisionId;
use crate::model::name::{Name, UserId};

/// The file of the log, beside the database.
pub const FILE: &str = "log.db";

/// Whoever appends to the log of the configured store. Opens it with the first call.
pub fn writer(url: &StoreUrl) -> Box<dyn LogWriter> {
    Box::new(SqliteLogWriter::new(&url.beside(FILE)))
}

/// Whoever reads the log of the configured store. Where there is none, it is empty.
pub fn reader(url: &StoreUrl) -> Box<dyn LogReader> {
    reader_of(&url.beside(FILE))
}

/// Whoever reads this log.
pub fn reader_of(file: &Path) -> Box<dyn LogReader> {
    Box::new(SqliteLogReader::new(file))
}

/// Appends and trims. After an error the next call begins anew: a file that was removed is made
/// again, one that was replaced is taken as it is.
pub trait LogWriter: Send {
    /// Keeps all of a batch, or nothing of it.
    fn append(&mut self, batch: &Batch) -> Result<(), StoreError>;

    /// Forgets lines from before then, oldest first, at most so many. How many it were: fewer than
    /// `most` means that nothing is left to do.
    fn trim(&mut self, before: Timestamp, most: u32) -> Result<u32, StoreError>;

    /// The number of the newest line.
    fn newest(&mut self) -> Result<Option<i64>, StoreError>;
}

/// Finds lines.
pub trait LogReader: Send {
    /// The newest lines that fit, at most so many; oldest first.
    fn page(&mut self, filter: &Filter, limit: usize) -> Result<Batch, StoreError>;

    /// The numbers of what [`LogReader::page`] finds, for those who want more lines than memory should hold.
    fn numbers(&mut self, filter: &Filter, limit: usize) -> Result<Vec<i64>, StoreError>;

    /// The lines of these numbers, without those that were trimmed since.
    fn lines(&mut self, numbers: &[i64]) -> Result<Batch, StoreError>;

    /// The line of this decision: a batch of one, or an empty one.
    fn find(&mut self, id: DecisionId) -> Result<Batch, StoreError>;

    /// Something that changes when somebody appends.
    fn version(&mut self) -> Result<u64, StoreError>;
}

/// Which lines. What is `None` or false leaves nothing out.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Of this user.
    pub user: Option<Whose>,
    /// Of this account.
    pub account: Option<Name>,
    /// Only what was not allowed, or would not have been.
    pub refused: bool,
    /// Only what was decided in audit mode.
    pub audit: bool,
    /// Of one of these reasons.
    pub reasons: Option<Vec<&'static str>>,
    /// Not before then.
    pub since: Option<Timestamp>,
    /// Before then.
    pub until: Option<Timestamp>,
    /// Only later ones than the line of this number.
    pub after: Option<i64>,
}

/// A user, in every way in which its lines can name it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Whose {
    /// As given, lower case: a name that it has or had, or a login that nobody has.
    pub text: String,
    /// Whom that means today.
    pub id: Option<UserId>,
}

/// A line.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// The decision's.
    pub id: DecisionId,
    /// When it was decided.
    pub at: Timestamp,
    /// Where it was asked.
    pub front_end: &'a str,
    /// At what point of SMTP.
    pub stage: &'a str,
    /// What was answered, or would have been.
    pub verdict: &'a str,
    /// Why.
    pub reason: &'a str,
    /// What the client heard, or would have; empty for what was allowed.
    pub reply: &'a str,
    /// Whose message; `None` where no user is known.
    pub user: Option<&'a str>,
    /// Its id.
    pub user_id: Option<UserId>,
    /// Its account.
    pub account: Option<&'a str>,
    /// As it arrived.
    pub login: &'a str,
    /// The client's address, or `unknown`.
    pub client: &'a str,
    /// `None` before MAIL, empty for the null sender.
    pub mail_from: Option<&'a str>,
    /// The addresses of the header From.
    pub header_from: Addresses<'a>,
    /// Accepted so far.
    pub recipients: u32,
    /// Empty where there is none.
    pub queue_id: &'a str,
    /// Recorded, not carried out.
    pub audit: bool,
    /// From question to answer, in microseconds.
    pub micros: u32,
}

/// A list of addresses.
#[derive(Clone, Copy)]
pub enum Addresses<'a> {
    /// One after the other.
    Each(&'a [String]),
    /// With a line end between two of them; an empty text is an empty list.
    Lines(&'a str),
}

impl<'a> Addresses<'a> {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = &'a str> {
        let (each, lines) = match self {
            Addresses::Each(each) => (each, ""),
            Addresses::Lines(lines) => (&[][..], lines),
        };
        each.iter().map(String::as_str).chain(lines.lines())
    }
}

impl fmt::Debug for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Lines in memory: their texts lie in one piece, so that to add one allocates nothing.
#[derive(Default)]
pub struct Batch {
    rows: Vec<Row>,
    texts: String,
}

/// The texts of a line, in the order in which they lie behind each other.
const TEXTS: usize = 12;

/// No text is kept beyond so many bytes: clients write some of them.
const MAX_TEXT: usize = 4096;

/// What is no text, and where the texts are.
#[derive(Clone, Copy)]
struct Row {
    id: DecisionId,
    at: Timestamp,
    user_id: Option<UserId>,
    recipients: u32,
    micros: u32,
    audit: bool,
    has_user: bool,
    has_account: bool,
    has_sender: bool,
    begin: usize,
    ends: [u32; TEXTS],
}

impl Batch {
    /// Adds a line.
    pub fn push(&mut self, entry: &Entry<'_>) {
        let begin = self.texts.len();
        let mut ends = [0; TEXTS];
        let texts = [
            entry.front_end,
            entry.stage,
            entry.verdict,
            entry.reason,
            entry.user.unwrap_or_default(),
            entry.account.unwrap_or_default(),
            entry.login,
            entry.client,
            entry.mail_from.unwrap_or_default(),
            "",
            entry.queue_id,
            entry.reply,
        ];
        for (place, text) in texts.into_iter().enumerate() {
            if place == HEADER_FROM {
                self.add_addresses(entry.header_from);
            } else {
                self.texts
                    .push_str(&text[..text.floor_char_boundary(MAX_TEXT)]);
            }
            // Twelve texts of some KiB each.
            ends[place] = u32::try_from(self.texts.len() - begin).unwrap_or(u32::MAX);
        }
        self.rows.push(Row {
            id: entry.id,
            at: entry.at,
            user_id: entry.user_id,
            recipients: entry.recipients,
            micros: entry.micros,
            audit: entry.audit,
            has_user: entry.user.is_some(),
            has_account: entry.account.is_some(),
            has_sender: entry.mail_from.is_some(),
            begin,
            ends,
        });
    }

    fn add_addresses(&mut self, addresses: Addresses<'_>) {
        let begin = self.texts.len();
        for address in addresses.iter() {
            // A list that is cut ends with a whole address.
            if self.texts.len() - begin + address.len() >= MAX_TEXT {
                return;
            }
            if self.texts.len() > begin {
                self.texts.push('\n');
            }
            let plain = |c: char| if c == '\n' { ' ' } else { c };
            self.texts.extend(address.chars().map(plain));
        }
    }

    /// How many lines.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The memory that its lines take, in bytes.
    pub fn bytes(&self) -> usize {
        self.texts.len() + self.rows.len() * size_of::<Row>()
    }

    /// Forgets the lines and keeps the room.
    pub fn clear(&mut self) {
        self.rows.clear();
        self.texts.clear();
    }

    /// The lines, in the order in which they were added.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Entry<'_>> {
        self.rows.iter().map(|row| self.entry(row))
    }

    fn entry<'a>(&'a self, row: &Row) -> Entry<'a> {
        let texts = &self.texts[row.begin..];
        let text = |place: usize| {
            let begin = place.checked_sub(1).map_or(0, |before| row.ends[before]);
            &texts[begin as usize..row.ends[place] as usize]
        };
        Entry {
            id: row.id,
            at: row.at,
            front_end: text(0),
            stage: text(1),
            verdict: text(2),
            reason: text(3),
            user: row.has_user.then(|| text(4)),
            account: row.has_account.then(|| text(5)),
            login: text(6),
            client: text(7),
            mail_from: row.has_sender.then(|| text(8)),
            header_from: Addresses::Lines(text(HEADER_FROM)),
            queue_id: text(10),
            reply: text(11),
            user_id: row.user_id,
            recipients: row.recipients,
            micros: row.micros,
            audit: row.audit,
        }
    }
}

/// The place of the header From among the texts.
const HEADER_FROM: usize = 9;

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(reply: &'a str, addresses: &'a [String]) -> Entry<'a> {
        Entry {
            id: DecisionId {
                number: 1,
                token: [1; 16],
            },
            at: Timestamp::UNIX_EPOCH,
            front_end: "milter",
            stage: "eom",
            verdict: "refuse",
            reason: "plan",
            reply,
            user: Some("shop"),
            user_id: None,
            account: None,
            login: "",
            client: "192.0.2.1",
            mail_from: Some(""),
            header_from: Addresses::Each(addresses),
            recipients: 3,
            queue_id: "4X",
            audit: true,
            micros: 5,
        }
    }

    #[test]
    fn lines_come_out_as_they_went_in() {
        let addresses = ["a@example.com".to_owned(), "b\n@example.com".to_owned()];
        let mut batch = Batch::default();
        batch.push(&entry("first", &[]));
        batch.push(&entry("second", &addresses));
        let lines: Vec<_> = batch.iter().map(|entry| format!("{entry:?}")).collect();
        let clean = ["a@example.com".to_owned(), "b @example.com".to_owned()];
        assert_eq!(lines[0], format!("{:?}", entry("first", &[])));
        assert_eq!(lines[1], format!("{:?}", entry("second", &clean)));
    }

    #[test]
    fn texts_are_bounded() {
        let long = "ü".repeat(MAX_TEXT);
        let many = vec!["a@example.com".to_owned(); 1000];
        let mut batch = Batch::default();
        batch.push(&entry(&long, &many));
        let line = batch.iter().next().unwrap();
        assert_eq!(line.reply.len(), MAX_TEXT);
        assert!(line.header_from.iter().all(|a| a == "a@example.com"));
        assert!(batch.bytes() < 3 * MAX_TEXT);
    }
}
