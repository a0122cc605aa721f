-- A store as outgate wrote it in schema version 2. Never changes.
PRAGMA application_id=0x6f676462;
PRAGMA user_version=2;
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE account (
    name       TEXT PRIMARY KEY,
    plan       TEXT NOT NULL,
    quotas     TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO account VALUES('acme','free','[{"limit":100,"window":"hour","unit":"messages"}]',1795626203000000);
INSERT INTO account VALUES('default','pro','[]',1795626203000000);
CREATE TABLE domain (
    name            TEXT NOT NULL,
    account         TEXT NOT NULL REFERENCES account (name),
    verified_by     TEXT,                  -- NULL: pending
    with_subdomains INTEGER NOT NULL,
    token           TEXT NOT NULL,
    added_at        INTEGER NOT NULL,
    PRIMARY KEY (name, account)
) STRICT, WITHOUT ROWID;
INSERT INTO domain VALUES('acme.example','acme',NULL,0,'caddaef979d692d908a200da01e681e2',1795626203000000);
INSERT INTO domain VALUES('example.com','default','operator',0,'2701b38e726a03c712c32e1059bdb1e3',1795626203000000);
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
INSERT INTO user VALUES(1,X'01a213a979d170f39791958cfbb865d3','shop','default','active','default','["example.com","*.example.com"]','["192.0.2.0/24"]','both','on',NULL,1,'["jane@example.com"]','[{"limit":1000,"window":"day","unit":"messages"},{"limit":500,"window":"month","unit":"recipients"},{"limit":100,"window":"total","unit":"messages"}]','the shop','',1795626203000000,1795626203000000,NULL,'$argon2id$v=19$m=64,t=1,p=1$qhUZQ6SrtUimlgmj0I+bhw$6UmjzyKv1JpFJJ09VDWPxmlBh2ZFguu5SWeYWrIweAw');
INSERT INTO user VALUES(2,X'01a213a979fa72658434b775022a28cf','printer','default','suspended','default','["example.com"]','[]','envelope','audit',NULL,2,'[]','[]','','sold',1795626203000000,1795626203000000,NULL,'$argon2id$v=19$m=64,t=1,p=1$Glz1fVZS83TBF4IxZANwKw$wzzxyBdOq+paRG2KQiGIgYImbxwLGE8XYVVrSGcpgSs');
INSERT INTO user VALUES(3,X'01a213a97a43779494eacffb898b0067','agency','acme','active','default','[]','[]','both','on',NULL,1,'[]','[]','','',1795626203000000,1795626203000000,NULL,'$argon2id$v=19$m=64,t=1,p=1$hJG0/QjHVGzKrqZaTDl7uw$DZiiChP9OV9svAVDNuL4OmnfzCdY1k+XegFJWJRICAw');
CREATE TABLE login (
    login TEXT PRIMARY KEY,
    user  INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
INSERT INTO login VALUES('jane@example.com',1);
INSERT INTO login VALUES('shop',1);
INSERT INTO login VALUES('printer',2);
INSERT INTO login VALUES('agency',3);
CREATE TABLE granted (
    account TEXT NOT NULL,
    tree    TEXT NOT NULL,
    user    INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE,
    PRIMARY KEY (account, tree, user)
) STRICT, WITHOUT ROWID;
INSERT INTO granted VALUES('default','com.example.',1);
INSERT INTO granted VALUES('default','com.example.',2);
CREATE TABLE network (
    user    INTEGER NOT NULL REFERENCES user (number) ON DELETE CASCADE,
    network TEXT NOT NULL,
    last_at INTEGER NOT NULL,
    PRIMARY KEY (user, network)
) STRICT, WITHOUT ROWID;
INSERT INTO network VALUES(1,'192.0.2.7/32',1764000000000000);
CREATE TABLE change (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,                  -- login, domain, account, everything
    name   TEXT NOT NULL
) STRICT;
INSERT INTO change VALUES(1,'account','acme');
INSERT INTO change VALUES(2,'domain','example.com');
INSERT INTO change VALUES(3,'domain','acme.example');
INSERT INTO change VALUES(4,'login','shop');
INSERT INTO change VALUES(5,'login','jane@example.com');
INSERT INTO change VALUES(6,'login','printer');
INSERT INTO change VALUES(7,'login','printer');
INSERT INTO change VALUES(8,'login','agency');
CREATE TABLE ledger (
    number  INTEGER PRIMARY KEY,           -- never comes again: the last row stays
    subject ANY NOT NULL,
    kind    INTEGER NOT NULL,
    starts  INTEGER NOT NULL,
    amount  INTEGER NOT NULL,
    at      INTEGER NOT NULL,              -- microseconds since 1970, UTC
    message BLOB                           -- NULL: the one of the row before
) STRICT;
INSERT INTO ledger VALUES(7,X'01a213a979d170f39791958cfbb865d3',10,0,2,1764000000000000,X'00112233445566778899aabbccddeeff');
CREATE TABLE counter (
    subject ANY NOT NULL,
    kind    INTEGER NOT NULL,
    starts  INTEGER NOT NULL,
    used    INTEGER NOT NULL,
    PRIMARY KEY (subject, kind)
) STRICT, WITHOUT ROWID;
INSERT INTO counter VALUES(X'01a213a979d170f39791958cfbb865d3',10,0,40);
CREATE TABLE void (
    subject ANY NOT NULL PRIMARY KEY,
    number  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE reset (
    subject ANY NOT NULL PRIMARY KEY,
    at      INTEGER NOT NULL,
    by      TEXT NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO reset VALUES('acme',1763000000000000,'root');
DELETE FROM sqlite_sequence;
INSERT INTO sqlite_sequence VALUES('change',8);
CREATE UNIQUE INDEX domain_owner ON domain (name) WHERE verified_by IS NOT NULL;
CREATE INDEX domain_account ON domain (account, name);
CREATE INDEX user_account ON user (account, name);
CREATE INDEX login_user ON login (user);
CREATE INDEX granted_user ON granted (user);
CREATE INDEX void_number ON void (number);
COMMIT;
