//! What was charged: exact, durable and once. Belongs to the writer's thread.
//!
//! A charge is judged here, inside the transaction that appends its rows: so there is nothing to
//! reserve and nothing to give back. The live counters (`live`) are what the tables hold, kept in
//! memory; before a group of charges is judged, they catch up with whatever other connections have
//! committed, while the lock on writing is held, so that nobody can commit in between:
//!
//! * a reset or a removal, by any process, makes the rows of a subject void up to the newest. It
//!   comes either before a charge or after it. What was known of the subject is forgotten; no row
//!   behind the void ones is missed by that, as none is written by whoever has not caught up;
//! * rows that another process appended are added, those that it folded make everything be read anew.
//!
//! What a group changes stays on its own `sheet` until it is committed. After an error of which it is
//! not certain that nothing was written, nothing is believed, and all is read from the file again.

mod count;
mod fold;
mod live;
mod load;
mod rows;
mod shards;
mod sheet;
pub mod view;

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use rusqlite::{Connection, Statement, params};

pub use self::count::Count;
pub use self::fold::{Folding, Upkeep};
pub use self::live::{Live, Recalled};
pub use self::rows::base;
use self::rows::{kind, seconds};
pub use self::sheet::Sheet;
use super::statements as sql;
use crate::model::quota::{Counter, Subject};
use crate::model::user::User;
use crate::store::{Charge, Charged, Held};

/// The ledger, as one connection after the other writes it.
pub struct Ledger {
    live: Arc<Live>,
    /// Up to which row nothing of a subject counts.
    void: HashMap<Subject, i64>,
    /// The oldest row, and the newest; without rows, `first` is beyond `last`.
    first: i64,
    last: i64,
    /// SQLite's mark of what others have committed; `None`: look at everything.
    version: Option<i64>,
}

impl Ledger {
    /// Nothing is known yet.
    pub fn new(live: Arc<Live>) -> Ledger {
        Ledger {
            live,
            void: HashMap::new(),
            first: 1,
            last: 0,
            version: None,
        }
    }

    /// Whether anything is known.
    pub fn is_loaded(&self) -> bool {
        self.live.is_loaded()
    }

    /// Nothing that is known is believed any more.
    pub fn distrust(&self) {
        self.live.distrust();
    }

    /// From now on another connection is used.
    pub fn reconnected(&mut self) {
        self.version = None;
    }

    /// Judges charges one after the other, and appends what they cost. In a transaction, after
    /// [`Ledger::catch_up`].
    pub fn charge<'a>(
        &self,
        connection: &Connection,
        charges: impl Iterator<Item = &'a Charge> + Clone,
    ) -> rusqlite::Result<(Vec<Charged>, Sheet)> {
        let mut sheet = Sheet::of_charges(&self.live, charges.clone());
        let mut append = connection.prepare_cached(sql::APPEND)?;
        let charged = charges.map(|charge| match judge(connection, &mut sheet, charge)? {
            Judged::Fits(raised) => {
                self.append(&mut append, &mut sheet, charge, raised)?;
                Ok(Charged::Done)
            }
            Judged::Settled(charged) => Ok(charged),
        });
        let charged = charged.collect::<rusqlite::Result<_>>()?;
        Ok((charged, sheet))
    }

    fn append(
        &self,
        statement: &mut Statement<'_>,
        sheet: &mut Sheet,
        charge: &Charge,
        raised: Vec<(&Counter, Count)>,
    ) -> rusqlite::Result<()> {
        let mut message = Some(charge.key.0);
        for ((counter, sum), due) in raised.into_iter().zip(&charge.dues) {
            let number = sheet.raise(self.last, counter, sum);
            statement.execute(params![
                number,
                counter.subject,
                kind(counter),
                sum.starts,
                amount(due.amount),
                charge.at.as_microsecond(),
                message.take(),
            ])?;
        }
        sheet.note(charge.key);
        Ok(())
    }

    /// The group of this sheet is committed.
    pub fn publish(&mut self, sheet: Sheet) {
        self.last += sheet.rows();
        sheet.publish(&self.live);
    }

    /// What counters hold. After [`Ledger::catch_up`].
    pub fn used(
        &self,
        connection: &Connection,
        counters: &[(Counter, Timestamp)],
    ) -> rusqlite::Result<Vec<Held>> {
        let mut sheet = Sheet::of_counters(&self.live, counters.iter().map(|(counter, _)| counter));
        let mut used = Vec::with_capacity(counters.len());
        for (counter, starts) in counters {
            let entry = sheet.entry(connection, counter)?;
            used.push(self::rows::held(entry.count.at(seconds(*starts))));
        }
        sheet.publish(&self.live);
        Ok(used)
    }
}

/// Has memory learn what the tables say about the counters of a user's own quotas. `epoch`: from before the
/// tables were looked at.
pub fn foresee(
    live: &Live,
    epoch: u64,
    connection: &Connection,
    user: &User,
) -> rusqlite::Result<()> {
    let counters = user.quotas.iter().map(|quota| Counter {
        subject: Subject::User(user.id),
        window: quota.window,
        unit: quota.unit,
    });
    let folded = counters
        .map(|counter| Ok((counter.clone(), base(connection, &counter)?)))
        .collect::<rusqlite::Result<Vec<_>>>()?;
    live.learn(folded, epoch, &[]);
    Ok(())
}

/// What there is to say about a charge.
enum Judged<'a> {
    /// What its counters come to.
    Fits(Vec<(&'a Counter, Count)>),
    /// Nothing is to be added.
    Settled(Charged),
}

/// Judges a charge before its first row is written: all of them, or none.
fn judge<'a>(
    connection: &Connection,
    sheet: &mut Sheet,
    charge: &'a Charge,
) -> rusqlite::Result<Judged<'a>> {
    if charge.dues.is_empty() {
        return Ok(Judged::Settled(Charged::Done));
    }
    if sheet.is_charged(&charge.key) {
        return Ok(Judged::Settled(Charged::Already));
    }
    let mut raised: Vec<(&Counter, Count)> = Vec::with_capacity(charge.dues.len());
    for (index, due) in charge.dues.iter().enumerate() {
        let before = raised
            .iter()
            .rev()
            .find(|(counter, _)| *counter == &due.counter);
        let before = match before {
            Some((_, count)) => *count,
            None => sheet.entry(connection, &due.counter)?.count,
        };
        let now = before.at(seconds(due.starts));
        let sum = now.and(Count {
            starts: now.starts,
            used: amount(due.amount).into(),
        });
        if due.limit > 0 && sum.used > due.limit {
            return Ok(Judged::Settled(Charged::Over {
                due: index,
                used: now.used,
            }));
        }
        raised.push((&due.counter, sum));
    }
    Ok(Judged::Fits(raised))
}

/// What a due adds, as it is stored: so little that no number of rows exceeds what SQL can add up.
fn amount(amount: u64) -> u32 {
    u32::try_from(amount).unwrap_or(u32::MAX)
}
