//! All SQL, but for the tables themselves. A test asks SQLite how it would run each statement.

/// Defines the statements. A `lookup` must find its rows through an index, however many there are;
/// a `listing` shows all there is, in the order of an index; `unfolded` reads rows of the ledger one
/// after the other, of which there are a million at most.
macro_rules! statements {
    ($($name:ident: $reach:ident = $sql:expr;)+) => {
        $(pub const $name: &str = $sql;)+
        #[cfg(test)]
        const ALL: &[(&str, Reach, &str)] = &[$((stringify!($name), Reach::$reach, $sql)),+];
    };
}

/// How much a statement may read.
#[cfg(test)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[expect(non_camel_case_types, reason = "words of the macro above")]
enum Reach {
    lookup,
    listing,
    unfolded,
}

/// The columns that [`super::rows::user`] reads.
macro_rules! user {
    () => {
        "user.id, user.name, user.account, user.status, user.mode, user.grants, user.networks, \
         user.check_from, user.enforce, user.max_recipients, user.credential_version, \
         user.quotas, user.enforce_until"
    };
}

/// The columns that [`super::rows::record`] reads.
macro_rules! record {
    () => {
        concat!(
            user!(),
            ", user.logins, user.note, user.suspended_reason, user.created_at, \
             user.updated_at, user.last_used_at"
        )
    };
}

/// The columns that [`super::rows::claim`] reads.
macro_rules! claim {
    () => {
        "SELECT name, account, verified_by, with_subdomains, token, added_at FROM domain "
    };
}

/// The columns that [`super::ledger`] reads.
macro_rules! ledger {
    () => {
        "SELECT number, subject, kind, starts, amount, message FROM ledger "
    };
}

/// From a login to its user.
macro_rules! by_login {
    () => {
        " FROM login JOIN user ON user.number = login.user WHERE login.login = ?1"
    };
}

statements! {
    // Decisions.
    USER_OF_LOGIN: lookup = concat!("SELECT ", user!(), by_login!());
    OWNERSHIP: lookup = "SELECT name, account, with_subdomains FROM domain \
        WHERE name = ?1 AND verified_by IS NOT NULL";
    TERMS: lookup = "SELECT plan, quotas FROM account WHERE name = ?1";
    CREDENTIAL: lookup = "SELECT hash, credential_version FROM user \
        WHERE id = ?1 AND hash IS NOT NULL";
    KNOWN_NETWORK: lookup = "SELECT EXISTS (SELECT 1 FROM user \
        JOIN network ON network.user = user.number \
        WHERE user.id = ?1 AND network.network = ?2 AND network.last_at >= ?3)";

    // What decisions leave behind.
    TOUCH_USER: lookup = "UPDATE user SET last_used_at = max(coalesce(last_used_at, ?2), ?2) \
        WHERE id = ?1";
    TOUCH_NETWORK: lookup = "INSERT INTO network (user, network, last_at) \
        SELECT number, ?2, ?3 FROM user WHERE id = ?1 \
        ON CONFLICT DO UPDATE SET last_at = max(last_at, excluded.last_at)";
    FORGET_NETWORKS: lookup = "DELETE FROM network \
        WHERE user = (SELECT number FROM user WHERE id = ?1) AND last_at < ?2";
    REHASH: lookup = "UPDATE user SET hash = ?4 \
        WHERE id = ?1 AND credential_version = ?2 AND hash = ?3";

    // Uses.
    COUNTER: lookup = "SELECT starts, used FROM counter WHERE subject = ?1 AND kind = ?2";
    COUNTERS: lookup = "SELECT kind, starts, used FROM counter WHERE subject = ?1";
    FORGET_COUNTERS: lookup = "DELETE FROM counter WHERE subject = ?1";
    VOID: lookup = "INSERT OR REPLACE INTO void (subject, number) \
        SELECT ?1, (SELECT max(number) FROM ledger) \
        WHERE (SELECT max(number) FROM ledger) IS NOT NULL";
    UNFOLDED: unfolded = "SELECT kind, starts, amount FROM ledger \
        WHERE subject = ?1 AND number > ?2";
    LEDGER_AFTER: unfolded = concat!(ledger!(), "WHERE number > ?1 ORDER BY number");
    LEDGER_UPTO: lookup = concat!(ledger!(), "WHERE number <= ?1 ORDER BY number");
    ENDS: lookup = "SELECT coalesce((SELECT min(number) FROM ledger), 1), \
        coalesce((SELECT max(number) FROM ledger), 0)";
    VERSION: lookup = "PRAGMA data_version";
    VOIDS: lookup = "SELECT subject, number FROM void WHERE number >= ?1";
    VOID_OF: lookup = "SELECT number FROM void WHERE subject = ?1";
    APPEND: lookup = "INSERT INTO ledger (number, subject, kind, starts, amount, at, message) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    ADD_TO_COUNTER: lookup = "INSERT INTO counter (subject, kind, starts, used) \
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET used = CASE \
        WHEN excluded.starts > starts THEN excluded.used \
        WHEN excluded.starts < starts THEN used \
        ELSE min(used, 9223372036854775807 - excluded.used) + excluded.used END, \
        starts = max(starts, excluded.starts)";
    REMOVE_ROWS: lookup = "DELETE FROM ledger WHERE number <= ?1";
    REMOVE_VOIDS: lookup = "DELETE FROM void WHERE number <= ?1";
    RESET: lookup = "SELECT at, by FROM reset WHERE subject = ?1";
    PUT_RESET: lookup = "INSERT OR REPLACE INTO reset (subject, at, by) VALUES (?1, ?2, ?3)";
    REMOVE_RESET: lookup = "DELETE FROM reset WHERE subject = ?1";

    // Changes.
    NEWEST_CHANGE: lookup = "SELECT coalesce(max(number), 0) FROM change";
    OLDEST_CHANGE: lookup = "SELECT coalesce(min(number), 1) FROM change";
    CHANGES_AFTER: lookup = "SELECT kind, name FROM change WHERE number > ?1 \
        ORDER BY number LIMIT ?2";
    PUT_CHANGE: lookup = "INSERT INTO change (kind, name) VALUES (?1, ?2)";
    TRIM_CHANGES: lookup = "DELETE FROM change \
        WHERE number <= ?1 AND number < (SELECT min(number) FROM change) + ?2";

    // Accounts.
    ACCOUNTS: listing = "SELECT name, plan, quotas, created_at FROM account ORDER BY name";
    ACCOUNT: lookup = "SELECT name, plan, quotas, created_at FROM account WHERE name = ?1";
    ACCOUNT_SIZE: lookup = "SELECT (SELECT count(*) FROM user WHERE account = ?1), \
        (SELECT count(*) FROM domain WHERE account = ?1)";
    PUT_ACCOUNT: lookup = "INSERT INTO account (name, plan, quotas, created_at) \
        VALUES (?1, ?2, ?3, ?4) ON CONFLICT (name) DO UPDATE SET plan = excluded.plan, \
        quotas = excluded.quotas, created_at = excluded.created_at";
    REMOVE_ACCOUNT: lookup = "DELETE FROM account WHERE name = ?1";

    // Domains.
    DOMAINS: listing = concat!(claim!(), "ORDER BY name, account");
    DOMAINS_OF_ACCOUNT: lookup = concat!(claim!(), "WHERE account = ?1 ORDER BY name");
    CLAIMS: lookup = concat!(claim!(), "WHERE name = ?1 ORDER BY account");
    PUT_DOMAIN: lookup = "INSERT INTO domain \
        (name, account, verified_by, with_subdomains, token, added_at) \
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (name, account) DO UPDATE SET \
        verified_by = excluded.verified_by, with_subdomains = excluded.with_subdomains, \
        token = excluded.token, added_at = excluded.added_at";
    REMOVE_DOMAIN: lookup = "DELETE FROM domain WHERE name = ?1 AND account = ?2";

    // Users.
    USER_NAMED: lookup = concat!("SELECT ", record!(), by_login!(), " AND user.name = ?1");
    USER_WITH_ID: lookup = concat!("SELECT ", record!(), " FROM user WHERE id = ?1");
    LOGIN_OWNER: lookup = concat!("SELECT user.id", by_login!());
    LOGIN_NUMBER: lookup = "SELECT user FROM login WHERE login = ?1";
    USERS: listing = concat!("SELECT ", record!(), " FROM login \
        JOIN user ON user.number = login.user WHERE user.name = login.login \
        AND (?1 IS NULL OR coalesce(user.last_used_at, user.created_at) < ?1) \
        ORDER BY login.login");
    USERS_OF_ACCOUNT: lookup = concat!("SELECT ", record!(), " FROM user WHERE account = ?2 \
        AND (?1 IS NULL OR coalesce(last_used_at, created_at) < ?1) ORDER BY name");
    USERS_GRANTED: lookup = "SELECT DISTINCT user.id FROM granted \
        JOIN user ON user.number = granted.user \
        WHERE granted.account = ?1 AND granted.tree >= ?2 AND granted.tree < ?3";
    USER_NUMBER: lookup = "SELECT number FROM user WHERE id = ?1";
    ADD_USER: lookup = "INSERT INTO user (id, name, account, status, mode, grants, networks, \
        check_from, enforce, max_recipients, credential_version, logins, quotas, note, \
        suspended_reason, created_at, updated_at, last_used_at, hash, enforce_until) VALUES \
        (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20)";
    SET_USER: lookup = "UPDATE user SET name = ?2, account = ?3, status = ?4, mode = ?5, \
        grants = ?6, networks = ?7, check_from = ?8, enforce = ?9, max_recipients = ?10, \
        credential_version = ?11, logins = ?12, quotas = ?13, note = ?14, \
        suspended_reason = ?15, created_at = ?16, updated_at = ?17, last_used_at = ?18, \
        hash = coalesce(?19, hash), enforce_until = ?20 WHERE id = ?1";
    LOGINS: lookup = "SELECT login FROM login WHERE user = ?1";
    DROP_LOGINS: lookup = "DELETE FROM login WHERE user = ?1";
    DROP_GRANTED: lookup = "DELETE FROM granted WHERE user = ?1";
    ADD_LOGIN: lookup = "INSERT OR IGNORE INTO login (login, user) VALUES (?1, ?2)";
    ADD_GRANTED: lookup = "INSERT OR IGNORE INTO granted (account, tree, user) \
        VALUES (?1, ?2, ?3)";
    PASSWORD_HASH: lookup = "SELECT hash FROM user WHERE id = ?1";
    REMOVE_USER: lookup = "DELETE FROM user WHERE number = ?1";
}

#[cfg(test)]
pub(super) mod tests {
    use rusqlite::Connection;

    use super::super::database::{Access, set_up};
    use super::super::schema::{STATE, migrate};
    use super::*;

    fn database() -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        set_up(&connection, Access::Write).unwrap();
        migrate(&mut connection, &STATE).unwrap();
        connection
    }

    /// How SQLite goes about a statement, step by step.
    pub fn plan(connection: &Connection, sql: &str) -> Vec<String> {
        let mut statement = connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .unwrap();
        // Parameters are left NULL: they say nothing about the plan.
        let steps = statement.raw_query().mapped(|row| row.get("detail"));
        steps.collect::<Result<_, _>>().unwrap()
    }

    /// The cost of a question must not depend on how many users and domains there are.
    #[test]
    fn lookups_use_indexes_and_listings_need_no_sorting() {
        let connection = database();
        for (name, reach, sql) in ALL {
            let plan = plan(&connection, sql);
            // A constant row is one, whatever the tables hold.
            let scan = |step: &String| step.starts_with("SCAN") && !step.contains("CONSTANT ROW");
            let scans = plan.iter().any(scan);
            let sorts = plan.iter().any(|step| step.contains("ORDER BY"));
            assert_eq!(scans, *reach == Reach::listing, "{name}: {plan:#?}");
            assert!(!sorts, "{name}: {plan:#?}");
        }
    }

    #[test]
    fn a_scan_would_be_noticed() {
        let connection = database();
        let plan = plan(
            &connection,
            "SELECT id FROM user WHERE note = ?1 ORDER BY note",
        );
        assert!(plan[0].starts_with("SCAN"), "{plan:?}");
    }
}
