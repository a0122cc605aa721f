-- The decision log. Lines are appended; `number` is a time in microseconds since 1970, made unique, and
-- the id of a decision begins with it. What repeats from line to line has a number of its own.
--
-- Lines are counted off into segments, and the one index leads from a segment, a kind of line and a user to
-- lines. A new line touches the few pages of the newest segment, however many users there are, and an
-- old one those of the oldest; whoever looks for rare lines asks each segment, which is one step
-- down the index.

CREATE TABLE decision (
    number      INTEGER PRIMARY KEY,
    token       BLOB NOT NULL,             -- the random part of the id
    ahead       INTEGER NOT NULL,          -- number - time: after a clock that went back
    segment     INTEGER NOT NULL,
    kind        INTEGER NOT NULL,
    who         INTEGER NOT NULL,          -- a row of `who`; below 2^24: a digest of a login that nobody has
    login       TEXT,                      -- NULL: the user's name
    client      TEXT NOT NULL,
    mail_from   TEXT,
    header_from TEXT,                      -- a line each; NULL: none; '': the envelope sender
    recipients  INTEGER NOT NULL,
    queue_id    TEXT NOT NULL,
    micros      INTEGER NOT NULL,
    reply       TEXT NOT NULL
) STRICT;
CREATE INDEX decision_by ON decision (segment, kind, who);

CREATE TABLE segment (
    number INTEGER PRIMARY KEY,
    first  INTEGER NOT NULL,               -- the least and the greatest number of its lines
    last   INTEGER NOT NULL,
    lines  INTEGER NOT NULL
) STRICT;

-- Which kinds of lines a segment has.
CREATE TABLE present (
    segment INTEGER NOT NULL,
    kind    INTEGER NOT NULL,
    PRIMARY KEY (segment, kind)
) STRICT, WITHOUT ROWID;

CREATE TABLE kind (
    number    INTEGER PRIMARY KEY,
    front_end TEXT NOT NULL,
    stage     TEXT NOT NULL,
    verdict   TEXT NOT NULL,
    reason    TEXT NOT NULL,
    audit     INTEGER NOT NULL,
    UNIQUE (front_end, stage, verdict, reason, audit)
) STRICT;

CREATE TABLE account (
    number INTEGER PRIMARY KEY,
    name   TEXT NOT NULL
) STRICT;
CREATE INDEX account_name ON account (name);

-- Names as they were when lines were written: 2^24 * account + a running number.
CREATE TABLE who (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL,
    name   TEXT NOT NULL,
    UNIQUE (id, name, number)
) STRICT;
CREATE INDEX who_name ON who (name);
