-- Ratings: votes and their history, the blind test, campaigns, consent, and what is learned from votes.

-- The mean feeling of a pair's music over its beats, worked out when the blind test first needs it.
ALTER TABLE pair ADD COLUMN valence REAL;
ALTER TABLE pair ADD COLUMN arousal REAL;
-- How many have rated it, and the sum of their scores; kept by the triggers of vote.
ALTER TABLE pair ADD COLUMN votes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE pair ADD COLUMN score_sum INTEGER NOT NULL DEFAULT 0;

-- The newest turn when the job was asked for: who voted may overtake only those who began to wait after his own turn.
ALTER TABLE job ADD COLUMN asked_turn INTEGER NOT NULL DEFAULT 0;
DROP INDEX job_lane;
CREATE INDEX job_lane ON job (state, person_id, kind, run_after, id, asked_turn) WHERE state = 'queued';

-- The message under which a pair can be rated is the one that its answer became.
CREATE INDEX outbox_message ON outbox (platform, message_id) WHERE message_id IS NOT NULL;
CREATE INDEX outbox_sent ON outbox (platform, ended) WHERE state = 'sent';

-- The ballot of a person about a pair: one, whatever way it was given. What forgetme does: goes with its person.
CREATE TABLE vote (
    pair_id   INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    score     INTEGER CHECK (score BETWEEN 0 AND 5),  -- null: taken back, or several reactions of unknown order
    via       TEXT NOT NULL CHECK (via IN ('reaction', 'button', 'test')),
    at        REAL NOT NULL,
    reactions INTEGER NOT NULL CHECK (reactions BETWEEN 0 AND 4095), -- bits of what is shown: plain 0 to 5, super 0 to 5
    scope_id  INTEGER REFERENCES chat ON DELETE SET NULL, -- the server, or the chat without one, where it was given
    delay_s   REAL,                                   -- from card or deal to the vote, where known
    PRIMARY KEY (pair_id, person_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX vote_person ON vote (person_id);
CREATE INDEX vote_scope ON vote (scope_id);

CREATE TRIGGER vote_own BEFORE INSERT ON vote
WHEN NEW.person_id = (SELECT person_id FROM pair WHERE id = NEW.pair_id)
BEGIN SELECT RAISE(ABORT, 'a vote for one''s own pair'); END;

CREATE TRIGGER vote_added AFTER INSERT ON vote WHEN NEW.score IS NOT NULL
BEGIN UPDATE pair SET votes = votes + 1, score_sum = score_sum + NEW.score WHERE id = NEW.pair_id; END;

CREATE TRIGGER vote_gone AFTER DELETE ON vote WHEN OLD.score IS NOT NULL
BEGIN UPDATE pair SET votes = votes - 1, score_sum = score_sum - OLD.score WHERE id = OLD.pair_id; END;

CREATE TRIGGER vote_changed AFTER UPDATE OF score ON vote WHEN NEW.score IS NOT OLD.score
BEGIN
    UPDATE pair SET votes = votes + (NEW.score IS NOT NULL) - (OLD.score IS NOT NULL),
        score_sum = score_sum + coalesce(NEW.score, 0) - coalesce(OLD.score, 0) WHERE id = NEW.pair_id;
END;

-- Every change of a ballot's score. What forgetme does: goes with its person.
CREATE TABLE vote_event (
    id        INTEGER PRIMARY KEY,
    pair_id   INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    score     INTEGER CHECK (score BETWEEN 0 AND 5),
    via       TEXT NOT NULL,
    at        REAL NOT NULL
) STRICT;

CREATE INDEX vote_event_person ON vote_event (person_id, at, via);
CREATE INDEX vote_event_pair ON vote_event (pair_id);

-- A listening test of chosen pairs. What forgetme does: forgets who began it.
CREATE TABLE campaign (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    scope_id  INTEGER NOT NULL REFERENCES chat ON DELETE CASCADE, -- the server, or the chat without one
    name      TEXT NOT NULL CHECK (name <> ''),
    raters    INTEGER NOT NULL CHECK (raters >= 1),   -- how many people are wanted
    each      INTEGER NOT NULL CHECK (each >= 1),     -- pairs that one person rates
    person_id INTEGER REFERENCES person ON DELETE SET NULL,
    created   REAL NOT NULL,
    started   REAL,
    stopped   REAL,
    UNIQUE (scope_id, name),
    CHECK (stopped IS NULL OR started IS NOT NULL)
) STRICT;

-- One runs at a time.
CREATE UNIQUE INDEX campaign_running ON campaign (scope_id) WHERE started IS NOT NULL AND stopped IS NULL;
CREATE INDEX campaign_person ON campaign (person_id);

-- What forgetme does: goes with the pair.
CREATE TABLE campaign_pair (
    campaign_id INTEGER NOT NULL REFERENCES campaign ON DELETE CASCADE,
    pair_id     INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE,
    PRIMARY KEY (campaign_id, pair_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX campaign_pair_pair ON campaign_pair (pair_id);

-- A pair dealt in the blind test, and what was answered. What forgetme does: goes with its person.
CREATE TABLE deal (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    person_id   INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    pair_id     INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE, -- whose music is heard
    story_id    INTEGER NOT NULL REFERENCES pair ON DELETE CASCADE, -- whose story is told
    condition   TEXT NOT NULL CHECK (condition IN ('match', 'repeat', 'mismatch', 'plain')),
    campaign_id INTEGER REFERENCES campaign ON DELETE CASCADE,
    scope_id    INTEGER REFERENCES chat ON DELETE SET NULL,
    dealt       REAL NOT NULL,
    expires     REAL NOT NULL,
    state       TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'expired', 'skipped')),
    score       INTEGER CHECK (score BETWEEN 0 AND 5),
    answered    REAL,
    CHECK ((condition IN ('match', 'repeat')) = (pair_id = story_id)),
    CHECK ((state = 'answered') = (score IS NOT NULL)),
    CHECK ((state = 'answered') = (answered IS NOT NULL))
) STRICT;

CREATE UNIQUE INDEX deal_one ON deal (person_id) WHERE state = 'open';
CREATE INDEX deal_open ON deal (state, expires) WHERE state = 'open';
CREATE INDEX deal_person ON deal (person_id, state, answered);
CREATE INDEX deal_pair ON deal (pair_id, state, condition);
CREATE INDEX deal_story ON deal (story_id);
CREATE INDEX deal_scope ON deal (scope_id);
CREATE INDEX deal_campaign ON deal (campaign_id, pair_id, condition, state) WHERE campaign_id IS NOT NULL;

-- A pair that its maker lets everybody hear. What forgetme does: goes with the pair.
CREATE TABLE publication (
    pair_id INTEGER PRIMARY KEY REFERENCES pair ON DELETE CASCADE,
    since   REAL NOT NULL
) STRICT;

-- Who lets us learn from their votes and pairs; withdrawn is deleted. What forgetme does: goes with its person.
CREATE TABLE consent (
    person_id INTEGER PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    version   INTEGER NOT NULL,                       -- of the words that were agreed to
    given     REAL NOT NULL
) STRICT;

-- Turns earned by answers in the blind test and not used yet. What forgetme does: goes with its person.
CREATE TABLE credit (
    person_id INTEGER PRIMARY KEY REFERENCES person ON DELETE CASCADE,
    turns     INTEGER NOT NULL CHECK (turns BETWEEN 1 AND 3)
) STRICT, WITHOUT ROWID;

-- A story of the same music with flat emotion, made by the house for the blind test.
-- What forgetme does: goes with the pair whose music it tells, and takes its job with it.
CREATE TABLE plain (
    base_id INTEGER PRIMARY KEY REFERENCES pair ON DELETE CASCADE,
    job_id  INTEGER NOT NULL UNIQUE REFERENCES job ON DELETE CASCADE
) STRICT;

CREATE TRIGGER plain_gone AFTER DELETE ON plain
BEGIN DELETE FROM job WHERE id = OLD.job_id; END;

-- People are called in exports by a hash with this key.
INSERT INTO house VALUES ('export_key', lower(hex(randomblob(32))));
