-- Audits: lists of subjects that are rebuilt again and again. Times are milliseconds since 1970, in UTC.
CREATE TABLE audits (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    folder TEXT NOT NULL,
    made BIGINT NOT NULL
);

-- Packages without their versions, and the versions of each.
CREATE TABLE subjects (
    id INTEGER PRIMARY KEY,
    purl TEXT NOT NULL UNIQUE,
    ecosystem TEXT NOT NULL
);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY,
    subject BIGINT NOT NULL REFERENCES subjects (id),
    version TEXT NOT NULL,
    UNIQUE (subject, version)
);

-- What an audit is about, as its list writes it. What the list no longer names has listed = 0.
CREATE TABLE members (
    audit BIGINT NOT NULL REFERENCES audits (id),
    text TEXT NOT NULL,
    subject BIGINT NOT NULL REFERENCES subjects (id),
    position BIGINT NOT NULL,
    listed BIGINT NOT NULL,
    PRIMARY KEY (audit, text)
);

-- Passes through an audit, numbered from 1. A run without an end was interrupted, or is going on.
-- Results from before redo_before are not good enough for it, nor are those without a verdict from before retry_before.
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    audit BIGINT NOT NULL REFERENCES audits (id),
    number BIGINT NOT NULL,
    started BIGINT NOT NULL,
    ended BIGINT,
    redo_before BIGINT,
    retry_before BIGINT,
    UNIQUE (audit, number)
);

-- Rebuilds that ended. What was recorded once is not recorded again: no audit has two attempts at a subject at a time.
-- tries counts those in a row that had no verdict; again_at is when the next one is due.
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    audit BIGINT NOT NULL REFERENCES audits (id),
    run BIGINT NOT NULL REFERENCES runs (id),
    text TEXT NOT NULL,
    subject BIGINT NOT NULL REFERENCES subjects (id),
    version BIGINT REFERENCES versions (id),
    started BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    tries BIGINT NOT NULL,
    again_at BIGINT,
    plan TEXT,
    folder TEXT,
    rebuilder TEXT NOT NULL,
    document TEXT NOT NULL,
    UNIQUE (audit, text, started, finished)
);
CREATE INDEX attempts_of_run ON attempts (run);

-- What each attempt came to: one verdict, never changed.
CREATE TABLE verdicts (
    attempt BIGINT PRIMARY KEY REFERENCES attempts (id),
    subject BIGINT NOT NULL REFERENCES subjects (id),
    version BIGINT REFERENCES versions (id),
    verdict TEXT NOT NULL,
    failure TEXT,
    fault TEXT,
    reproduced BIGINT NOT NULL,
    outputs BIGINT NOT NULL,
    at BIGINT NOT NULL
);
CREATE INDEX verdicts_of_subject ON verdicts (subject, at);

CREATE TABLE causes (
    attempt BIGINT NOT NULL REFERENCES attempts (id),
    position BIGINT NOT NULL,
    cause TEXT NOT NULL,
    PRIMARY KEY (attempt, position)
);
CREATE TABLE attestations (
    attempt BIGINT NOT NULL REFERENCES attempts (id),
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    PRIMARY KEY (attempt, name)
);

-- The newest attempt at each member, so that nobody has to search for it.
CREATE TABLE latest (
    audit BIGINT NOT NULL REFERENCES audits (id),
    text TEXT NOT NULL,
    attempt BIGINT NOT NULL REFERENCES attempts (id),
    PRIMARY KEY (audit, text)
);
