-- What chat platforms need: who wants which language, which server a chat belongs to, settings, uploads, the messages
-- that follow jobs, who is kept out, and what admins did.

-- The language a person chose; null: as the chat, then as the platform says.
ALTER TABLE person ADD COLUMN language TEXT;

-- What kind of chat it is, and the server whose settings hold there (a row of kind 'server'; null outside Discord).
ALTER TABLE chat ADD COLUMN kind TEXT CHECK (kind IN ('private', 'group', 'channel', 'thread', 'server'));
ALTER TABLE chat ADD COLUMN server_id INTEGER REFERENCES chat ON DELETE CASCADE;
CREATE INDEX chat_server ON chat (server_id) WHERE server_id IS NOT NULL;

-- When work on the last attempt began: what waiting times are reckoned from.
ALTER TABLE job ADD COLUMN started REAL;
CREATE INDEX job_measured ON job (kind, id) WHERE state = 'done' AND started IS NOT NULL;
CREATE INDEX job_ended ON job (ended) WHERE ended IS NOT NULL;

-- What an admin has set for a server or chat; `value` is JSON. What forgetme does: nothing, it is the chat's own;
-- the settings of a private chat go with its person.
CREATE TABLE setting (
    chat_id INTEGER NOT NULL REFERENCES chat ON DELETE CASCADE,
    name    TEXT NOT NULL CHECK (name <> ''),
    value   TEXT NOT NULL,
    PRIMARY KEY (chat_id, name)
) STRICT, WITHOUT ROWID;

-- What the owner has set for the whole program ('mode'), and the key that fingerprints are made with ('key').
CREATE TABLE house (
    name  TEXT PRIMARY KEY CHECK (name <> ''),
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Files that people sent, kept beside the store for as long as jobs may need them (`again`).
-- What forgetme does: goes with its person, and the file with it.
CREATE TABLE upload (
    name      TEXT PRIMARY KEY CHECK (name <> ''),    -- of the file inside the folder of uploads; random
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    size      INTEGER NOT NULL CHECK (size >= 0),
    created   REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX upload_person ON upload (person_id);
CREATE INDEX upload_created ON upload (created);

-- The message that follows a job until its answer is there. What forgetme does: goes with the job.
CREATE TABLE follow (
    job_id   INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    platform TEXT NOT NULL CHECK (platform <> ''),
    chat     TEXT NOT NULL CHECK (chat <> ''),        -- the platform's own ids
    message  TEXT NOT NULL CHECK (message <> ''),
    language TEXT NOT NULL
) STRICT;

CREATE INDEX follow_platform ON follow (platform, job_id);

-- The messages of an answer that are out already, so that a restart sends only the rest. What forgetme does: goes with
-- the answer.
CREATE TABLE sent_part (
    outbox_id INTEGER NOT NULL REFERENCES outbox ON DELETE CASCADE,
    part      INTEGER NOT NULL CHECK (part >= 0),
    message   TEXT NOT NULL CHECK (message <> ''),
    PRIMARY KEY (outbox_id, part)
) STRICT, WITHOUT ROWID;

-- Who is kept out of a server or chat (null: of everything). `who` is a keyed fingerprint, not an id.
-- What forgetme does: nothing; otherwise it would be the way around a block.
CREATE TABLE block (
    chat_id INTEGER REFERENCES chat ON DELETE CASCADE,
    who     TEXT NOT NULL CHECK (who <> ''),
    at      REAL NOT NULL
) STRICT;

CREATE UNIQUE INDEX block_who ON block (who, coalesce(chat_id, 0));
CREATE INDEX block_chat ON block (chat_id);

-- What admins did; only added to. What forgetme does: forgets who it was, keeps what was done.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        REAL NOT NULL,
    person_id INTEGER REFERENCES person ON DELETE SET NULL,
    chat_id   INTEGER REFERENCES chat ON DELETE SET NULL,
    action    TEXT NOT NULL CHECK (action <> ''),
    detail    TEXT NOT NULL                           -- numbers and names of settings, never a person
) STRICT;

CREATE INDEX audit_chat ON audit (chat_id, id);
CREATE INDEX audit_person ON audit (person_id);
