-- What was erased on request, and what stays erased.

-- The record of erasures. asked_by: the user of the operating system. criteria: which keys of a person it was asked by,
-- and how many of each (JSON), never their values. found: what there was, in numbers (JSON). finished_at: when all of it
-- was erased. overwritten_at: when free pages and the log had nothing of it any more.
CREATE TABLE erasures (
    erasure_id INTEGER PRIMARY KEY, asked_at TEXT NOT NULL, asked_by TEXT NOT NULL, ticket TEXT,
    criteria TEXT NOT NULL, found TEXT, finished_at TEXT, overwritten_at TEXT
);

-- What is written without people's data from then on, whoever brings it again. kind: 'conversation', 'user', 'event' or
-- 'dead_letter'. paths: fields beside those of the strict policy that are left out, JSON. erased_at: null while what is
-- stored is still to be erased.
CREATE TABLE tombstones (
    kind TEXT NOT NULL, id TEXT NOT NULL, erasure_id INTEGER NOT NULL, paths TEXT, erased_at TEXT,
    PRIMARY KEY (kind, id)
) WITHOUT ROWID;
CREATE INDEX tombstones_waiting ON tombstones (kind, id) WHERE erased_at IS NULL;
