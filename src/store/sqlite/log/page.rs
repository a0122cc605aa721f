//! Finding lines of the decision log: pages of those that fit a filter, and the line of an id.
//!
//! A filter becomes kinds of lines and users. Segments that can hold such lines are asked for the numbers of the
//! newest ones, newest segments first and through the index alone; the lines themselves are read at the end.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::names;
use super::{MAX_CROWD, statements as sql};
use crate::model::decision_id::DecisionId;
use crate::store::StoreError;
use crate::store::log::{Addresses, Batch, Entry, Filter, LogReader, Whose};
use crate::store::sqlite::database::Database;
use crate::store::sqlite::file::Identity;
use crate::store::sqlite::questions::{key, one};
use crate::store::sqlite::{rows, schema};

/// Reads a file that others write.
pub struct SqliteLogReader {
    path: PathBuf,
    open: Option<(Database, Connection, Identity)>,
    /// How often it was opened: to what is there now nothing that was read before applies.
    openings: u64,
}

impl SqliteLogReader {
    /// Nothing is touched yet.
    pub fn new(path: &Path) -> SqliteLogReader {
        SqliteLogReader {
            path: path.to_owned(),
            open: None,
            openings: 0,
        }
    }

    /// Looks something up; `None`: there is no log.
    fn look_up<T>(
        &mut self,
        question: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, StoreError> {
        if let Some((_, _, identity)) = &self.open
            && identity.check().is_err()
        {
            self.open = None;
        }
        if self.open.is_none() {
            let database = Database::holding(&self.path, &schema::LOG);
            let Some((connection, identity)) = database.look()? else {
                return Ok(None);
            };
            self.openings += 1;
            self.open = Some((database, connection, identity));
        }
        let Some((database, connection, _)) = &self.open else {
            return Ok(None);
        };
        // One view for all statements.
        let view = connection.unchecked_transaction();
        let answer = view.and_then(|view| question(&view));
        answer.map(Some).map_err(|error| database.trouble(&error))
    }
}

impl LogReader for SqliteLogReader {
    fn page(&mut self, filter: &Filter, limit: usize) -> Result<Batch, StoreError> {
        let page = self.look_up(|tables| lines(tables, &numbers(tables, filter, limit)?))?;
        Ok(page.unwrap_or_default())
    }

    fn numbers(&mut self, filter: &Filter, limit: usize) -> Result<Vec<i64>, StoreError> {
        let numbers = self.look_up(|tables| numbers(tables, filter, limit))?;
        Ok(numbers.unwrap_or_default())
    }

    fn lines(&mut self, numbers: &[i64]) -> Result<Batch, StoreError> {
        let lines = self.look_up(|tables| lines(tables, numbers))?;
        Ok(lines.unwrap_or_default())
    }

    fn find(&mut self, id: DecisionId) -> Result<Batch, StoreError> {
        let found = self.look_up(|tables| {
            let mut batch = Batch::default();
            let columns = params![id.number, id.number.saturating_add(MAX_CROWD), id.token];
            one(tables, sql::FIND, columns, |row| push(&mut batch, row))?;
            Ok(batch)
        })?;
        Ok(found.unwrap_or_default())
    }

    fn version(&mut self) -> Result<u64, StoreError> {
        let version = self.look_up(|tables| {
            tables
                .prepare_cached(sql::VERSION)?
                .query_row([], |row| rows::count(row, 0))
        })?;
        // SQLite's is a number of 32 bits.
        Ok((self.openings << 32) + version.unwrap_or_default())
    }
}

/// The numbers of the newest lines that fit, oldest first.
fn numbers(tables: &Connection, filter: &Filter, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let span = Span::of(filter);
    let wanted = Wanted::of(tables, filter)?;
    let find = |span: Span, limit: usize| match &wanted {
        None => newest(tables, span, limit),
        Some(wanted) => wanted.newest(tables, span, limit),
    };
    let mut numbers = match &filter.user {
        None => find(span, limit)?,
        Some(whose) => own(tables, whose, span, limit, find)?,
    };
    numbers.reverse();
    Ok(numbers)
}

fn lines(tables: &Connection, numbers: &[i64]) -> rusqlite::Result<Batch> {
    let mut batch = Batch::default();
    let mut line = tables.prepare_cached(sql::LINE)?;
    for number in numbers {
        let found = line.query_row([number], |row| push(&mut batch, row));
        found.optional()?;
    }
    Ok(batch)
}

/// Lines that are looked at together where the first ones were not enough, at the least.
const LOOKED_AT: usize = 1000;

/// What [`numbers`] finds, without the lines of other logins that have the same digest. Whoever floods the log with
/// such logins must not push a user's lines off the page: so it is gone back until the page is full.
fn own(
    tables: &Connection,
    whose: &Whose,
    mut span: Span,
    limit: usize,
    find: impl Fn(Span, usize) -> rusqlite::Result<Vec<i64>>,
) -> rusqlite::Result<Vec<i64>> {
    let mut at_once = limit;
    let mut own = Vec::new();
    let mut stranger = tables.prepare_cached(sql::STRANGER)?;
    loop {
        let numbers = find(span, at_once)?;
        for number in &numbers {
            let login = stranger.query_row([number], |row| row.get::<_, Option<String>>(0));
            let login = login.optional()?.flatten();
            if login.is_none_or(|login| login.to_lowercase() == whose.text) {
                own.push(*number);
            }
        }
        match numbers.last() {
            Some(oldest) if numbers.len() == at_once && own.len() < limit => span.before = *oldest,
            Some(_) | None => {
                own.truncate(limit);
                return Ok(own);
            }
        }
        at_once = limit.max(LOOKED_AT);
    }
}

/// Numbers of lines: later than the first and earlier than the second.
#[derive(Clone, Copy)]
struct Span {
    after: i64,
    before: i64,
}

impl Span {
    fn of(filter: &Filter) -> Span {
        let since = filter
            .since
            .map_or(i64::MIN, |time| time.as_microsecond() - 1);
        Span {
            after: since.max(filter.after.unwrap_or(i64::MIN)),
            before: filter
                .until
                .map_or(i64::MAX, jiff::Timestamp::as_microsecond),
        }
    }
}

/// The newest lines of all.
fn newest(tables: &Connection, span: Span, limit: usize) -> rusqlite::Result<Vec<i64>> {
    let columns = params![span.after, span.before, bounded(limit)];
    let mut statement = tables.prepare_cached(sql::NUMBERS)?;
    statement.query_map(columns, |row| row.get(0))?.collect()
}

/// What the lines of a page have in common.
struct Wanted {
    kinds: Vec<i64>,
    /// Numbers of users: from the first up to, not including, the second.
    users: Vec<(i64, i64)>,
}

/// Segments that are asked at once at the most. All their lines may fit, and are looked at then.
const AT_ONCE: usize = 16;

/// Some lines one behind the other; the least and the greatest of their numbers.
#[derive(Clone, Copy)]
struct Segment {
    number: i64,
    first: i64,
    last: i64,
}

impl Wanted {
    /// `None`: every line fits.
    fn of(tables: &Connection, filter: &Filter) -> rusqlite::Result<Option<Wanted>> {
        let any_kind = !filter.refused && !filter.audit && filter.reasons.is_none();
        if any_kind && filter.user.is_none() && filter.account.is_none() {
            return Ok(None);
        }
        Ok(Some(Wanted {
            kinds: kinds(tables, filter)?,
            users: users(tables, filter)?,
        }))
    }

    /// The numbers of the newest lines, newest first.
    fn newest(&self, tables: &Connection, span: Span, limit: usize) -> rusqlite::Result<Vec<i64>> {
        if self.kinds.is_empty() || self.users.is_empty() {
            return Ok(Vec::new());
        }
        let mut found: Vec<i64> = Vec::new();
        let mut segments = segments(tables)?.into_iter();
        // Mostly the newest ones will do.
        let mut at_once = 1;
        loop {
            // With a page full, only what is newer than its oldest line is of interest.
            let after = match found.last() {
                Some(oldest) if found.len() >= limit => span.after.max(*oldest),
                Some(_) | None => span.after,
            };
            let asked = |segment: &Segment| segment.last > after && segment.first < span.before;
            let asked: Vec<_> = segments.by_ref().filter(asked).take(at_once).collect();
            let (Some(newest), Some(oldest)) = (asked.first(), asked.last()) else {
                return Ok(found);
            };
            let span = Span { after, ..span };
            self.newest_in(
                tables,
                (oldest.number, newest.number),
                span,
                limit,
                &mut found,
            )?;
            found.sort_unstable_by(|a, b| b.cmp(a));
            found.truncate(limit);
            at_once = (2 * at_once).min(AT_ONCE);
        }
    }

    fn newest_in(
        &self,
        tables: &Connection,
        (oldest, newest): (i64, i64),
        span: Span,
        limit: usize,
        found: &mut Vec<i64>,
    ) -> rusqlite::Result<()> {
        let mut numbers = tables.prepare_cached(sql::NUMBERS_IN)?;
        let kinds = rows::json(&self.kinds)?;
        for (first, end) in &self.users {
            let (after, before, limit) = (span.after, span.before, bounded(limit));
            let columns = params![oldest, newest, kinds, first, end, after, before, limit];
            for number in numbers.query_map(columns, |row| row.get(0))? {
                found.push(number?);
            }
        }
        Ok(())
    }
}

/// All of them, newest first.
fn segments(tables: &Connection) -> rusqlite::Result<Vec<Segment>> {
    let mut statement = tables.prepare_cached(sql::SEGMENTS)?;
    let segments = statement.query_map([], |row| {
        Ok(Segment {
            number: row.get(0)?,
            first: row.get(1)?,
            last: row.get(2)?,
        })
    })?;
    segments.collect()
}

/// The kinds that fit.
fn kinds(tables: &Connection, filter: &Filter) -> rusqlite::Result<Vec<i64>> {
    let mut kinds = Vec::new();
    let mut all = tables.prepare_cached(sql::KINDS)?;
    let mut all = all.query([])?;
    while let Some(row) = all.next()? {
        let allowed = row.get_ref(1)?.as_str()? == "allow";
        let reason = row.get_ref(2)?.as_str()?;
        let audit: bool = row.get(3)?;
        let of_reason = |reasons: &Vec<&str>| reasons.contains(&reason);
        let fits = filter.reasons.as_ref().is_none_or(of_reason)
            && !(filter.refused && allowed)
            && (audit || !filter.audit);
        if fits {
            kinds.push(row.get(0)?);
        }
    }
    Ok(kinds)
}

/// The users that fit, as ranges of numbers.
fn users(tables: &Connection, filter: &Filter) -> rusqlite::Result<Vec<(i64, i64)>> {
    let accounts: Option<Vec<(i64, i64)>> = match &filter.account {
        None => None,
        Some(name) => {
            let numbers = names::accounts(tables, name.as_str())?;
            Some(numbers.into_iter().map(names::users_of).collect())
        }
    };
    let Some(whose) = &filter.user else {
        return Ok(accounts.unwrap_or_else(|| vec![(0, i64::MAX)]));
    };
    let mut numbers = Vec::new();
    let named = tables
        .prepare_cached(sql::WHO_NAMED)?
        .query_map([&whose.text], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    numbers.extend(named);
    if let Some(id) = &whose.id {
        let mut of_id = tables.prepare_cached(sql::WHO_OF_ID)?;
        for number in of_id.query_map([key(id)], |row| row.get(0))? {
            numbers.push(number?);
        }
    }
    match accounts {
        Some(ranges) => numbers.retain(|number| {
            let within = |(first, end): &(i64, i64)| (first..end).contains(&number);
            ranges.iter().any(within)
        }),
        None => numbers.push(names::digest(&whose.text)),
    }
    numbers.sort_unstable();
    numbers.dedup();
    Ok(numbers
        .into_iter()
        .map(|number| (number, number + 1))
        .collect())
}

fn bounded(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Reads a line.
fn push(batch: &mut Batch, row: &Row<'_>) -> rusqlite::Result<()> {
    let text = |column: usize| -> rusqlite::Result<&str> { Ok(row.get_ref(column)?.as_str()?) };
    let maybe = |column: usize| -> rusqlite::Result<Option<&str>> {
        Ok(row.get_ref(column)?.as_str_or_null()?)
    };
    let number: i64 = row.get(0)?;
    let ahead: i64 = row.get(2)?;
    let at = number.saturating_sub(ahead);
    let user = maybe(9)?;
    let mail_from = maybe(13)?;
    batch.push(&Entry {
        id: DecisionId {
            number,
            token: row.get(1)?,
        },
        at: jiff::Timestamp::from_microsecond(at).map_err(|error| rows::damaged(0, error))?,
        front_end: text(3)?,
        stage: text(4)?,
        verdict: text(5)?,
        reason: text(6)?,
        audit: row.get(7)?,
        user_id: match user {
            Some(_) => Some(rows::id(row, 8)?),
            None => None,
        },
        user,
        account: maybe(10)?,
        login: maybe(11)?.or(user).unwrap_or_default(),
        client: text(12)?,
        mail_from,
        header_from: Addresses::Lines(match maybe(14)? {
            None => "",
            Some("") => mail_from.unwrap_or_default(),
            Some(lines) => lines,
        }),
        recipients: row.get(15)?,
        queue_id: text(16)?,
        micros: row.get(17)?,
        reply: text(18)?,
    });
    Ok(())
}
