//! The figures of a daemon at one moment: numbers, and no words of anybody outside. What has labels
//! has them from closed lists.

use crate::answers::Decided;
use crate::journal::FrontEnd;
use crate::metrics::{Distribution, Hits};
use crate::store::figures;

/// Everything that `/metrics` shows.
pub struct Reading {
    /// The process and its program.
    pub process: Process,
    /// Whether everything works.
    pub ready: bool,
    /// How many decisions there were of each kind.
    pub decisions: Vec<(Decided, u64)>,
    /// From question to answer, in nanoseconds.
    pub answers: Vec<(FrontEnd, Distribution)>,
    /// Accepted messages after which a quota was nearly used up.
    pub near_limit: u64,
    /// Those of each kind of listener.
    pub connections: Vec<Connections>,
    /// What is remembered.
    pub memories: Vec<Memory>,
    /// Passwords and hashes.
    pub hashing: Hashing,
    /// `None`: a store that does not count.
    pub store: Option<figures::Reading>,
    /// Name servers.
    pub dns: Dns,
    /// Log lines that were not written, by where to.
    pub lost_lines: Vec<(&'static str, u64)>,
}

/// The process and its program.
pub struct Process {
    /// Seconds since 1970.
    pub started_at: f64,
    /// Files that are open.
    pub open_files: Option<u64>,
    /// How many may be; `None`: no limit.
    pub open_files_limit: Option<u64>,
    /// Memory in use, in bytes.
    pub resident: Option<u64>,
    /// Faults in outgate itself.
    pub panics: u64,
}

/// The connections of one kind of listener.
pub struct Connections {
    /// Its name in `[listen]`.
    pub front_end: &'static str,
    /// How many are open.
    pub open: u64,
    /// How many there may be; `None`: as many as there are files for.
    pub limit: Option<u64>,
}

/// Something that is remembered so that it need not be found out again.
pub struct Memory {
    /// What.
    pub name: &'static str,
    /// How many.
    pub entries: u64,
    /// Look-ups that memory answered.
    pub hits: u64,
    /// Look-ups that it did not.
    pub misses: u64,
}

impl Memory {
    /// Takes the figures of one.
    pub fn new(name: &'static str, entries: u64, hits: &Hits) -> Memory {
        Memory {
            name,
            entries,
            hits: hits.hits.get(),
            misses: hits.misses.get(),
        }
    }
}

/// Password hashes.
pub struct Hashing {
    /// Computed so far.
    pub done: u64,
    /// Waiting for a thread.
    pub waiting: u64,
    /// Being computed.
    pub running: u64,
}

/// Name servers.
pub struct Dns {
    /// Look-ups, by what they came to.
    pub outcomes: [(&'static str, u64); 8],
    /// Look-ups that somebody waits for.
    pub in_flight: u64,
}
