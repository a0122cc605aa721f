-- Version 2: what was charged. A charge appends to `ledger` and reads no index, so that it costs the
-- same whoever it is for; old rows are added up in `counter` and go. A subject is a user's id (BLOB)
-- or an account's name (TEXT); a kind is 2 * window + unit; windows begin at seconds since 1970.
-- What a counter holds: of its row in `counter` and its rows in `ledger`, those with the latest
-- `starts`.

CREATE TABLE ledger (
    number  INTEGER PRIMARY KEY,           -- never comes again: the last row stays
    subject ANY NOT NULL,
    kind    INTEGER NOT NULL,
    starts  INTEGER NOT NULL,
    amount  INTEGER NOT NULL,
    at      INTEGER NOT NULL,              -- microseconds since 1970, UTC
    message BLOB                           -- NULL: the one of the row before
) STRICT;

CREATE TABLE counter (
    subject ANY NOT NULL,
    kind    INTEGER NOT NULL,
    starts  INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;

-- Rows of these subjects in `ledger`, up to this one, are worth nothing any more.
CREATE TABLE void (
    subject ANY NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX void_number ON void (number);

-- Who last set the counters of a subject to 0.
CREATE TABLE reset (
    subject ANY NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
