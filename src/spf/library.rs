//! The answers that are known, and the records that have been read from them: each is read once
//! for one question, however many egress addresses are tried. It judges nothing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use crate::model::dns::{Answer, DnsName, Kind, Known, Query, Records};

use super::end::Halt;
use super::publication;
use super::record::Record;

/// Where the walk looks things up.
pub(super) struct Library<'a> {
    known: &'a Known,
    read: RefCell<HashMap<DnsName, Rc<Record>>>,
}

impl<'a> Library<'a> {
    /// One in which nothing has been read.
    pub(super) fn new(known: &'a Known) -> Library<'a> {
        Library {
            known,
            read: RefCell::default(),
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
    pub(super) fn text(&self, name: &DnsName) -> Result<Option<&'a [u8]>, Halt> {
        match self.ask(name, Kind::Txt)? {
            Some(Records::Txt(strings)) => Ok(publication::select(strings)?),
            Some(Records::Mx(_) | Records::A(_) | Records::Aaaa(_)) | None => Ok(None),
        }
    }

    /// The record at a name, whose text is this.
    pub(super) fn record(&self, name: &DnsName, text: &[u8]) -> Result<Rc<Record>, Halt> {
        if let Some(record) = self.read.borrow().get(name) {
            return Ok(Rc::clone(record));
        }
        let record = Rc::new(publication::read(text)?);
        self.read
            .borrow_mut()
            .insert(name.clone(), Rc::clone(&record));
        Ok(record)
    }
}
