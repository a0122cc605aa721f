//! The answers that are known, and the records that have been read from them: each is read once
//! for one question, however often it is asked again and however many egress addresses are tried.
//! It keeps to how much may be read, and judges nothing else.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::model::dns::{Answer, DnsName, Kind, Known, Query, Records};

use super::end::Halt;
use super::publication;
use super::record::Record;
use super::tree::FaultKind;

/// How many bytes of records may be read for one question, each record counted once: eight of the
/// longest. The trees that large sites publish are below 16 KiB.
const MAX_READ: usize = 64 * 1024;
/// How many may be walked, each time that a record is come by counted: for 16 egress networks,
/// which are 32 addresses, half of what may be read.
const MAX_WALKED: usize = 1024 * 1024;

/// Records that have been read, for whoever asks the same question again with more answers. A
/// record is known by its text as it came from DNS, so that nothing on the shelf is ever stale.
#[derive(Debug, Default)]
pub struct Shelf(RefCell<HashMap<DnsName, Kept>>);

/// A text and what it says.
type Kept = (Arc<[u8]>, Arc<Record>);

impl Shelf {
    fn find(&self, name: &DnsName, text: &Arc<[u8]>) -> Option<Arc<Record>> {
        let records = self.0.borrow();
        let (read, record) = records.get(name)?;
        Arc::ptr_eq(read, text).then(|| Arc::clone(record))
    }
}

/// Where the walk looks things up.
pub(super) struct Library<'a> {
    known: &'a Known,
    shelf: &'a Shelf,
    seen: RefCell<HashSet<DnsName>>,
    read: Cell<usize>,
    walked: Cell<usize>,
}

impl<'a> Library<'a> {
    /// One in which nothing has been counted.
    pub(super) fn new(known: &'a Known, shelf: &'a Shelf) -> Library<'a> {
        Library {
            known,
            shelf,
            seen: RefCell::default(),
            read: Cell::new(0),
            walked: Cell::new(0),
        }
    }

    /// The answers themselves.
    pub(super) fn known(&self) -> &'a Known {
        self.known
    }

    /// The records of a kind at a name; `None` if there are none.
    pub(super) fn ask(&self, name: &DnsName, kind: Kind) -> Result<Option<&'a Records>, Halt> {
        let query = Query {
            name: name.clone(),
            kind,
        };
        match self.known.get(&query)? {
            Answer::Records(records) => Ok(Some(records)),
            Answer::NoData | Answer::NoName => Ok(None),
            Answer::Trouble(trouble) => Err(Halt::Unavailable(query, *trouble)),
        }
    }

    /// The text of the SPF record at a name.
    pub(super) fn text(&self, name: &DnsName) -> Result<Option<&'a Arc<[u8]>>, Halt> {
        match self.ask(name, Kind::Txt)? {
            Some(Records::Txt(strings)) => Ok(publication::select(strings)?),
            Some(Records::Mx(_) | Records::A(_) | Records::Aaaa(_)) | None => Ok(None),
        }
    }

    /// The record at a name, whose text is this.
    pub(super) fn record(&self, name: &DnsName, text: &Arc<[u8]>) -> Result<Arc<Record>, Halt> {
        self.count(name, text.len())?;
        if let Some(record) = self.shelf.find(name, text) {
            return Ok(record);
        }
        let record = Arc::new(publication::read(text)?);
        let kept = (Arc::clone(text), Arc::clone(&record));
        self.shelf.0.borrow_mut().insert(name.clone(), kept);
        Ok(record)
    }

    fn count(&self, name: &DnsName, length: usize) -> Result<(), Halt> {
        self.walked.set(self.walked.get() + length);
        if self.seen.borrow_mut().insert(name.clone()) {
            self.read.set(self.read.get() + length);
        }
        match self.read.get() > MAX_READ || self.walked.get() > MAX_WALKED {
            true => Err(FaultKind::TooMuch.into()),
            false => Ok(()),
        }
    }
}
