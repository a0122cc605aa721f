//! All SQL of the decision log, but for its tables. A test asks SQLite how it would run each statement.

/// Defines the statements. A `lookup` finds its rows through an index or at an end of a table; a `listing`
/// reads a small table whole.
macro_rules! statements {
    ($($name:ident: $reach:ident = $sql:expr;)+) => {
        $(pub const $name: &str = $sql;)+
        #[cfg(test)]
        const ALL: &[(&str, &str, &str)] = &[$((stringify!($name), stringify!($reach), $sql)),+];
    };
}

/// The columns that [`super::page`] reads.
macro_rules! line {
    () => {
        "SELECT decision.number, token, ahead, front_end, stage, verdict, reason, audit, \
         who.id, who.name, account.name, login, client, mail_from, header_from, recipients, \
         queue_id, micros, reply FROM decision \
         JOIN kind ON kind.number = decision.kind \
         LEFT JOIN who ON who.number = decision.who \
         LEFT JOIN account ON account.number = decision.who >> 24 "
    };
}

statements! {
    // Appending.
    APPEND: lookup = "INSERT OR IGNORE INTO decision (number, token, ahead, segment, kind, who, login, \
        client, mail_from, header_from, recipients, queue_id, micros, reply) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";
    NEWEST: lookup = "SELECT max(number) FROM decision";
    LAST_SEGMENT: lookup = "SELECT number, lines FROM segment ORDER BY number DESC LIMIT 1";
    PUT_SEGMENT: lookup = "INSERT INTO segment (number, first, last, lines) VALUES (?1, ?2, ?3, ?4) \
        ON CONFLICT DO UPDATE SET first = min(first, excluded.first), \
        last = max(last, excluded.last), lines = lines + excluded.lines";
    PRESENT: lookup = "SELECT kind FROM present WHERE segment = ?1";
    PUT_PRESENT: lookup = "INSERT OR IGNORE INTO present (segment, kind) VALUES (?1, ?2)";
    KIND: lookup = "SELECT number FROM kind WHERE front_end = ?1 AND stage = ?2 AND verdict = ?3 \
        AND reason = ?4 AND audit = ?5";
    ADD_KIND: lookup = "INSERT INTO kind (front_end, stage, verdict, reason, audit) \
        VALUES (?1, ?2, ?3, ?4, ?5)";
    ACCOUNTS_NAMED: lookup = "SELECT number FROM account WHERE name = ?1 ORDER BY number DESC";
    ADD_ACCOUNT: lookup = "INSERT INTO account (name) VALUES (?1)";
    WHO: lookup = "SELECT number FROM who WHERE id = ?1 AND name = ?2 AND number >= ?3 AND number < ?4";
    LAST_WHO: lookup = "SELECT max(number) FROM who WHERE number >= ?1 AND number < ?2";
    ADD_WHO: lookup = "INSERT INTO who (number, id, name) VALUES (?1, ?2, ?3)";

    // Trimming.
    TRIM: lookup = "DELETE FROM decision WHERE number < ?1 AND number <= coalesce( \
        (SELECT number FROM decision ORDER BY number LIMIT 1 OFFSET ?2), ?1)";
    OLDEST: lookup = "SELECT min(number) FROM decision";
    TRIM_PRESENT: lookup = "DELETE FROM present WHERE segment IN \
        (SELECT number FROM segment WHERE last < ?1 AND number < ?2)";
    TRIM_SEGMENTS: lookup = "DELETE FROM segment WHERE last < ?1 AND number < ?2";

    // Finding.
    KINDS: listing = "SELECT number, verdict, reason, audit FROM kind";
    SEGMENTS: listing = "SELECT number, first, last FROM segment ORDER BY number DESC";
    WHO_OF_ID: lookup = "SELECT number FROM who WHERE id = ?1";
    WHO_NAMED: lookup = "SELECT number FROM who WHERE name = ?1";
    NUMBERS: lookup = "SELECT number FROM decision WHERE number > ?1 AND number < ?2 \
        ORDER BY number DESC LIMIT ?3";
    NUMBERS_IN: sorting = "SELECT decision.number FROM present \
        CROSS JOIN decision INDEXED BY decision_by \
        ON decision.segment = present.segment AND decision.kind = present.kind \
        WHERE present.segment >= ?1 AND present.segment <= ?2 \
        AND present.kind IN (SELECT value FROM json_each(?3)) AND who >= ?4 AND who < ?5 \
        AND decision.number > ?6 AND decision.number < ?7 \
        ORDER BY decision.number DESC LIMIT ?8";
    LINE: lookup = concat!(line!(), "WHERE decision.number = ?1");
    STRANGER: lookup = "SELECT login FROM decision WHERE number = ?1 AND who < 16777216";
    FIND: lookup = concat!(line!(), "WHERE decision.number >= ?1 AND decision.number < ?2 \
        AND token = ?3 ORDER BY decision.number LIMIT 1");
    VERSION: lookup = "PRAGMA data_version";
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::sqlite::database::{Access, set_up};
    use crate::store::sqlite::schema::{LOG, migrate};
    use crate::store::sqlite::statements::tests::plan;

    /// What a statement costs must not depend on how many lines there are.
    #[test]
    fn lines_are_found_without_reading_others() {
        let mut connection = Connection::open_in_memory().unwrap();
        set_up(&connection, Access::Write).unwrap();
        migrate(&mut connection, &LOG).unwrap();
        for (name, reach, sql) in ALL {
            let plan = plan(&connection, sql);
            let text = plan.join("\n");
            // The first or last line, or the first so many.
            let ends = ["LAST_SEGMENT", "TRIM"].contains(name);
            // The kinds that a filter names are a list of ours.
            let scan = |step: &String| step.starts_with("SCAN") && !step.contains("json_each");
            let scans = plan.iter().any(scan);
            assert_eq!(scans, *reach == "listing" || ends, "{name}: {text}");
            let sorts = text.contains("ORDER BY");
            assert_eq!(sorts, *reach == "sorting", "{name}: {text}");
            if *name == "NUMBERS_IN" {
                for used in [
                    "SEARCH present USING PRIMARY KEY (segment>? AND segment<?)",
                    "COVERING INDEX decision_by (segment=? AND kind=? AND who>? AND who<?)",
                ] {
                    assert!(text.contains(used), "{text}");
                }
            }
        }
    }
}
