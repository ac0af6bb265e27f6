-- People, chats, durable jobs, their answers, and the pairs that finished jobs make.
-- Times are seconds since the epoch, UTC. The tables refuse impossible rows whatever the code does. (No json_valid():
-- SQLite 3.40 counts it among the functions that a schema may not call under trusted_schema = OFF.)

-- What forgetme does: deletes the row, and with it everything below that the person made.
CREATE TABLE person (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    platform   TEXT NOT NULL CHECK (platform <> ''),
    key        TEXT NOT NULL CHECK (key <> ''),       -- the platform's own id
    first_seen REAL NOT NULL,
    UNIQUE (platform, key)
) STRICT;

-- What forgetme does: nothing for groups and channels.
CREATE TABLE chat (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    platform   TEXT NOT NULL CHECK (platform <> ''),
    key        TEXT NOT NULL CHECK (key <> ''),
    first_seen REAL NOT NULL,
    UNIQUE (platform, key)
) STRICT;

-- What forgetme does: goes with its person. AUTOINCREMENT, because a folder is named after the id: never use one twice.
CREATE TABLE job (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    kind          TEXT NOT NULL CHECK (kind <> ''),
    version       INTEGER NOT NULL,                   -- of the format of args and result
    args          TEXT NOT NULL CHECK (args <> ''),
    person_id     INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    chat_id       INTEGER NOT NULL REFERENCES chat ON DELETE CASCADE,
    reply_to      TEXT,
    dedupe        TEXT,
    state         TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'running', 'done', 'dead', 'cancelled')),
    attempt       INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    crashes       INTEGER NOT NULL DEFAULT 0 CHECK (crashes >= 0),
    transients    INTEGER NOT NULL DEFAULT 0 CHECK (transients >= 0),
    lease         TEXT,
    lease_until   REAL,
    deadline      REAL,
    run_after     REAL NOT NULL,
    created       REAL NOT NULL,
    ended         REAL,
    result        TEXT,
    error_code    TEXT,
    error_message TEXT,
    fault         TEXT CHECK (fault IN ('asker', 'outside', 'ours')),
    incident      TEXT,
    CHECK ((state = 'running') = (lease IS NOT NULL)),
    CHECK ((lease IS NULL) = (lease_until IS NULL)),
    CHECK ((lease IS NULL) = (deadline IS NULL)),
    CHECK (state <> 'running' OR attempt > 0),
    CHECK ((state IN ('done', 'dead', 'cancelled')) = (ended IS NOT NULL)),
    CHECK ((state = 'done') = (result IS NOT NULL)),
    CHECK (state <> 'dead' OR (error_code IS NOT NULL AND error_message IS NOT NULL AND fault IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX job_dedupe ON job (dedupe) WHERE dedupe IS NOT NULL;
CREATE UNIQUE INDEX job_lease ON job (lease) WHERE lease IS NOT NULL;
-- Small whatever has finished. They begin with the state so that a query can be answered from the index alone.
CREATE INDEX job_lane ON job (state, person_id, kind, run_after, id) WHERE state = 'queued';
CREATE INDEX job_ready ON job (state, run_after, id) WHERE state = 'queued';
CREATE INDEX job_busy ON job (state, lease_until) WHERE state = 'running';
CREATE INDEX job_person ON job (person_id, state);
CREATE INDEX job_chat ON job (chat_id, state);

-- When each person was last served, per kind, as a number that only grows: the round robin's memory.
-- What forgetme does: goes with its person.
CREATE TABLE turn (
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    kind      TEXT NOT NULL,
    served    INTEGER NOT NULL UNIQUE,
    PRIMARY KEY (person_id, kind)
) STRICT, WITHOUT ROWID;

-- What a finished story or composition makes. What forgetme does: goes with its person.
CREATE TABLE pair (
    id                   INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id               INTEGER NOT NULL UNIQUE REFERENCES job ON DELETE CASCADE,
    kind                 TEXT NOT NULL CHECK (kind <> ''),
    person_id            INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    chat_id              INTEGER NOT NULL REFERENCES chat ON DELETE CASCADE,
    created              REAL NOT NULL,
    folder               TEXT NOT NULL CHECK (folder <> ''), -- a name inside the folder of results
    distance             REAL NOT NULL,
    valence_r            REAL,
    arousal_r            REAL,
    better_than_shuffled REAL NOT NULL,
    aligned_by           TEXT NOT NULL,
    deleted              REAL                                -- when its maker or an admin took it away
) STRICT;

CREATE INDEX pair_person ON pair (person_id);
CREATE INDEX pair_chat ON pair (chat_id, created);

-- Answers on their way; at most one for a job. What forgetme does: goes with the job.
CREATE TABLE outbox (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id     INTEGER NOT NULL UNIQUE REFERENCES job ON DELETE CASCADE,
    platform   TEXT NOT NULL CHECK (platform <> ''),
    state      TEXT NOT NULL DEFAULT 'ready' CHECK (state IN ('ready', 'sending', 'sent', 'dead')),
    nonce      TEXT NOT NULL UNIQUE,                  -- what a platform recognises a repeated message by
    attempt    INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    holder     TEXT,                                  -- the process that is sending it
    send_after REAL NOT NULL,
    created    REAL NOT NULL,
    ended      REAL,
    message_id TEXT,
    error      TEXT,
    CHECK ((state = 'sending') = (holder IS NOT NULL)),
    CHECK ((state IN ('sent', 'dead')) = (ended IS NOT NULL)),
    CHECK (state <> 'dead' OR error IS NOT NULL)
) STRICT;

CREATE INDEX outbox_open ON outbox (platform, send_after, id) WHERE ended IS NULL;
