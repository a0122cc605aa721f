//! One look-up for many askers.
//!
//! A question that somebody asks already is not asked again: everybody waits for the same answer,
//! each as long as it can. A look-up belongs to nobody: whoever goes away leaves it to the others,
//! and what it brings is remembered.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::figures::Figures;
use super::memory::{self, Memory};
use super::places::{Place, Places};
use super::wire::Wire;
use super::{DnsStatus, Looked};
use crate::clock::Clock;
use crate::model::dns::{Answer, Query, Trouble};
use crate::telemetry;

/// How far a look-up is.
enum Progress {
    /// It waits for a place.
    Waits,
    /// A name server has been asked.
    Asked,
    /// There is an answer.
    Done(Looked),
}

/// All look-ups, under way and remembered.
pub struct Flights {
    wire: Wire,
    memory: Memory,
    clock: Clock,
    runtime: runtime::Handle,
    open: Mutex<HashMap<Query, watch::Sender<Progress>>>,
    places: Places,
    /// What questions came to.
    pub figures: Arc<Figures>,
}

impl Flights {
    /// None yet.
    pub fn new(
        wire: Wire,
        clock: Clock,
        runtime: runtime::Handle,
        figures: Arc<Figures>,
    ) -> Flights {
        Flights {
            wire,
            memory: Memory::new(),
            clock,
            runtime,
            open: Mutex::default(),
            places: Places::new(),
            figures,
        }
    }

    /// The answer to a question, or at `deadline` that it is late.
    pub async fn ask(self: &Arc<Self>, query: &Query, deadline: Instant) -> Looked {
        let now = self.clock.instant();
        let remembered = self.memory.get(query, now);
        self.figures.hits.note(remembered.is_some());
        if let Some(looked) = remembered {
            return looked;
        }
        let mut progress = match self.join(query, now) {
            Ok(progress) => progress,
            Err(looked) => return looked,
        };
        let left = deadline.saturating_duration_since(now);
        let done = |progress: &Progress| matches!(progress, Progress::Done(_));
        // Late, or the look-up has ended without an answer because the daemon stops: either way
        // its state says what it came to.
        drop(timeout(left, progress.wait_for(done)).await);
        let trouble = match &*progress.borrow() {
            Progress::Done(looked) => return looked.clone(),
            Progress::Waits => Trouble::Crowded,
            Progress::Asked => Trouble::TimedOut,
        };
        Looked {
            answer: Arc::new(Answer::Trouble(trouble)),
            until: self.clock.instant() + memory::TROUBLE,
        }
    }

    /// Waits with the others for a look-up, or starts it. `Err` if it has just ended.
    fn join(
        self: &Arc<Self>,
        query: &Query,
        now: Instant,
    ) -> Result<watch::Receiver<Progress>, Looked> {
        let mut open = self.open();
        if let Some(progress) = open.get(query) {
            return Ok(progress.subscribe());
        }
        // A look-up is remembered before it is taken off the list.
        if let Some(looked) = self.memory.get(query, now) {
            return Err(looked);
        }
        let (progress, receiver) = watch::channel(Progress::Waits);
        open.insert(query.clone(), progress.clone());
        let flight = Flight {
            flights: self.clone(),
            query: query.clone(),
            progress,
        };
        // Not under the lock: on a runtime that ends the look-up is dropped at once, and takes
        // itself off the list.
        drop(open);
        self.runtime.spawn(flight.fly());
        Ok(receiver)
    }

    /// What is remembered and done at this moment.
    pub fn status(&self, servers: Vec<SocketAddr>) -> DnsStatus {
        DnsStatus {
            servers,
            entries: self.memory.len(),
            bytes: self.memory.bytes(),
            capacity: self.memory.capacity(),
            in_flight: self.open().len() as u64,
            answered: self.figures.answered(),
            failed: self.figures.failed(),
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Query, watch::Sender<Progress>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts, and says in the log what the operator should know.
    fn note(&self, query: &Query, answer: &Answer) {
        self.figures.note(answer);
        if let Answer::Trouble(trouble) = answer {
            telemetry::dns_trouble(&self.clock, query, *trouble);
        }
    }
}

/// One look-up under way. Off the list when it ends, however it ends.
struct Flight {
    flights: Arc<Flights>,
    query: Query,
    progress: watch::Sender<Progress>,
}

impl Flight {
    async fn fly(self) {
        let Some(_place) = self.place().await else {
            return;
        };
        self.progress.send_replace(Progress::Asked);
        let (answer, ttl) = self.flights.wire.ask(&self.query).await;
        self.flights.note(&self.query, &answer);
        let looked = Looked {
            until: self.flights.clock.instant() + memory::lifetime(&answer, ttl),
            answer: Arc::new(answer),
        };
        self.flights.memory.keep(self.query.clone(), looked.clone());
        self.progress.send_replace(Progress::Done(looked));
    }

    /// Waits for a place among those on their way. `None` once nobody wants the answer any more.
    async fn place(&self) -> Option<Place<'_>> {
        loop {
            tokio::select! {
                biased;
                () = self.progress.closed() => {
                    let mut open = self.flights.open();
                    // Whoever joins does so under this lock.
                    if self.progress.is_closed() {
                        open.remove(&self.query);
                        return None;
                    }
                }
                place = self.flights.places.take(&self.query.name) => return place,
            }
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut open = self.flights.open();
        let mine = |progress: &watch::Sender<Progress>| progress.same_channel(&self.progress);
        if open.get(&self.query).is_some_and(mine) {
            open.remove(&self.query);
        }
    }
}
