-- Files are named by what is in them.

-- A file that people sent is kept once for each content: its name is the SHA-256 of what is in it, and two people who
-- sent the same have a row each. What forgetme does: goes with its person, and the file with the last of its rows.
CREATE TABLE upload_by_content (
    name      TEXT NOT NULL CHECK (name <> ''),       -- of the file inside the folder of uploads
    person_id INTEGER NOT NULL REFERENCES person ON DELETE CASCADE,
    size      INTEGER NOT NULL CHECK (size >= 0),
    created   REAL NOT NULL,
    PRIMARY KEY (name, person_id)
) STRICT, WITHOUT ROWID;

INSERT INTO upload_by_content SELECT name, person_id, size, created FROM upload;
DROP TABLE upload;
ALTER TABLE upload_by_content RENAME TO upload;
CREATE INDEX upload_person ON upload (person_id);
CREATE INDEX upload_created ON upload (created);

-- The file that a job is about, as its args have it in a path. What forgetme does: goes with the job.
CREATE TABLE job_upload (
    job_id INTEGER PRIMARY KEY REFERENCES job ON DELETE CASCADE,
    name   TEXT NOT NULL
) STRICT;

CREATE INDEX job_upload_name ON job_upload (name);
