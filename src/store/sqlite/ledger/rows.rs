//! Counters as values of SQL, and the rows that tell what they hold.

use jiff::Timestamp;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, ToSql, params};

use super::count::Count;
use crate::model::quota::{Counter, MessageKey, Subject, Unit, Window};
use crate::store::Held;
use crate::store::sqlite::questions::{key, one};
use crate::store::sqlite::rows;
use crate::store::sqlite::statements as sql;

impl ToSql for Subject {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Subject::User(id) => ValueRef::Blob(key(id)),
            Subject::Account(name) => ValueRef::Text(name.as_str().as_bytes()),
        }))
    }
}

/// The kinds of counters. A kind is stored as its place in this list.
const KINDS: [(Window, Unit); 12] = [
    (Window::Minute, Unit::Messages),
    (Window::Minute, Unit::Recipients),
    (Window::Hour, Unit::Messages),
    (Window::Hour, Unit::Recipients),
    (Window::Day, Unit::Messages),
    (Window::Day, Unit::Recipients),
    (Window::Week, Unit::Messages),
    (Window::Week, Unit::Recipients),
    (Window::Month, Unit::Messages),
    (Window::Month, Unit::Recipients),
    (Window::Total, Unit::Messages),
    (Window::Total, Unit::Recipients),
];

/// How a counter's window and unit are stored.
pub fn kind(counter: &Counter) -> i64 {
    let window = match counter.window {
        Window::Minute => 0,
        Window::Hour => 1,
        Window::Day => 2,
        Window::Week => 3,
        Window::Month => 4,
        Window::Total => 5,
    };
    let unit = match counter.unit {
        Unit::Messages => 0,
        Unit::Recipients => 1,
    };
    2 * window + unit
}

/// All counters that a subject can have.
pub fn kinds(subject: &Subject) -> impl Iterator<Item = Counter> {
    KINDS.iter().map(|(window, unit)| Counter {
        subject: subject.clone(),
        window: *window,
        unit: *unit,
    })
}

/// A counter from two columns: subject, kind.
pub fn counter(row: &Row<'_>, column: usize) -> rusqlite::Result<Counter> {
    let kind = rows::count(row, column + 1)?;
    let known = usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind));
    let (window, unit) = known
        .ok_or_else(|| rows::damaged(column + 1, format!("there is no kind {kind} of counters")))?;
    Ok(Counter {
        subject: subject(row, column)?,
        window: *window,
        unit: *unit,
    })
}

/// A subject.
pub fn subject(row: &Row<'_>, column: usize) -> rusqlite::Result<Subject> {
    match row.get_ref(column)? {
        ValueRef::Text(_) => Ok(Subject::Account(rows::parsed(row, column)?)),
        ValueRef::Blob(_) | ValueRef::Null | ValueRef::Integer(_) | ValueRef::Real(_) => {
            Ok(Subject::User(rows::id(row, column)?))
        }
    }
}

/// A message, if this row says it.
pub fn message(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<MessageKey>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(MessageKey))
}

/// How the beginning of a window is stored.
pub fn seconds(starts: Timestamp) -> i64 {
    starts.as_second()
}

/// A count as whoever asked for it wants it. In a window that no calendar has, it is in none.
pub fn held(count: Count) -> Held {
    Held {
        starts: Timestamp::from_second(count.starts).unwrap_or(Timestamp::MIN),
        used: count.used,
    }
}

/// A count from two columns: starts, used.
pub fn count(row: &Row<'_>, column: usize) -> rusqlite::Result<Count> {
    Ok(Count {
        starts: row.get(column)?,
        used: rows::count(row, column + 1)?,
    })
}

/// What a counter holds of what has been folded.
pub fn base(connection: &Connection, counter: &Counter) -> rusqlite::Result<Count> {
    let key = params![counter.subject, kind(counter)];
    let base = one(connection, sql::COUNTER, key, |row| count(row, 0))?;
    Ok(base.unwrap_or(Count::NOTHING))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_its_place_in_the_list() {
        let subject = Subject::Account("acme".parse().unwrap());
        let numbers: Vec<i64> = kinds(&subject).map(|counter| kind(&counter)).collect();
        assert_eq!(numbers, (0..12).collect::<Vec<i64>>());
    }
}
