-- Version 1. Times are microseconds since 1970, UTC. Lists are JSON arrays of the texts that the
-- command line shows: a decision reads a user with one row. `number` is a small key for indexes
-- and never leaves the database; `id` is what a user is known by.

CREATE TABLE account (
    name       TEXT PRIMARY KEY,
    plan       TEXT NOT NULL,
    quotas     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE domain (
    name            TEXT NOT NULL,
    account         TEXT NOT NULL REFERENCES account (name),
    verified_by     TEXT,                  -- NULL: pending
    with_subdomains INTEGER NOT NULL,
    token           TEXT NOT NULL,
    added_at        INTEGER NOT NULL,
    PRIMARY KEY (name, account)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX domain_owner ON domain (name) WHERE verified_by IS NOT NULL;
CREATE INDEX domain_account ON domain (account, name);

CREATE TABLE user (
    number             INTEGER PRIMARY KEY,
    id                 BLOB NOT NULL UNIQUE,
    name               TEXT NOT NULL,      -- unique through login
    account            TEXT NOT NULL REFERENCES account (name),
    status             TEXT NOT NULL,
    mode               TEXT NOT NULL,
    grants             TEXT NOT NULL,
    networks           TEXT NOT NULL,
    check_from         TEXT NOT NULL,
    enforce            TEXT NOT NULL,
    max_recipients     INTEGER,
    credential_version INTEGER NOT NULL,
    logins             TEXT NOT NULL,
    quotas             TEXT NOT NULL,
    note               TEXT NOT NULL,
    suspended_reason   TEXT NOT NULL,
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    last_used_at       INTEGER,
    hash               TEXT                -- PHC string; NULL: no password
) STRICT;
CREATE INDEX user_account ON user (account, name);

-- Names and extra logins, which are unique together.
CREATE TABLE login (
    login TEXT PRIMARY KEY,
    user  INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
CREATE INDEX login_user ON login (user);

-- The domains of grants, labels from the top down ('com.example.'): all below a domain are a range.
CREATE TABLE granted (
    account TEXT NOT NULL,
    tree    TEXT NOT NULL,
    user    INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE,
    PRIMARY KEY (account, tree, user)
) STRICT, WITHOUT ROWID;
CREATE INDEX granted_user ON granted (user);

-- Where a user has logged in from.
CREATE TABLE network (
    user    INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (user, network)
) STRICT, WITHOUT ROWID;

-- What operators changed. Old rows go; a number never comes again.
CREATE TABLE change (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,                  -- login, domain, account, everything
    name   TEXT NOT NULL
) STRICT;

INSERT INTO account VALUES ('default', 'pro', '[]', unixepoch() * 1000000);
