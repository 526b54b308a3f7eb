-- What ended jobs came to, for pages and other programs. One pass of the server writes it from queue_verdict, as often as
-- it likes: what is written for one verdict is always the same. Times are milliseconds since 1970, in UTC.
-- What has no release, component or version has an empty text there.
CREATE TABLE published_build (
    id INTEGER PRIMARY KEY REFERENCES queue_job (id),
    subject TEXT NOT NULL,
    -- The package URL without version and qualifiers.
    package TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    distribution TEXT NOT NULL,
    release TEXT NOT NULL,
    architecture TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    -- The source package, where it is called otherwise.
    source TEXT NOT NULL,
    verdict TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('GOOD', 'BAD', 'FAIL', 'UNKWN')),
    reason TEXT,
    -- Names of the causes, the first first, with blanks between them.
    causes TEXT NOT NULL,
    retries BIGINT NOT NULL,
    started BIGINT NOT NULL,
    finished BIGINT NOT NULL,
    worker TEXT NOT NULL,
    backend TEXT NOT NULL,
    signing TEXT NOT NULL,
    -- SHA-256 of artifacts.
    record TEXT,
    plan TEXT,
    report TEXT,
    log TEXT,
    attestation TEXT,
    -- Whether something is concluded, and whether it is the one to show of its subject.
    conclusive BIGINT NOT NULL,
    newest BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE UNIQUE INDEX published_build_newest ON published_build (subject) WHERE newest = 1;
CREATE INDEX published_build_subject ON published_build (subject, conclusive, finished);
CREATE INDEX published_build_package ON published_build (package, id);
CREATE INDEX published_build_name ON published_build (name, id);
CREATE INDEX published_build_source ON published_build (source, id);
CREATE INDEX published_build_changed ON published_build (changed);
CREATE INDEX published_build_counts ON published_build (ecosystem, verdict, status) WHERE newest = 1;
CREATE INDEX published_build_negative ON published_build (id) WHERE newest = 1 AND verdict = 'mismatch';

-- One row for each released file of each build. Its id is never given again.
CREATE TABLE published_output (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    build BIGINT NOT NULL REFERENCES published_build (id),
    position BIGINT NOT NULL,
    distribution TEXT NOT NULL,
    release TEXT NOT NULL,
    component TEXT NOT NULL,
    architecture TEXT NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    file TEXT NOT NULL,
    url TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('GOOD', 'BAD', 'UNKWN')),
    comparison TEXT,
    attestation TEXT,
    link TEXT,
    finished BIGINT NOT NULL,
    conclusive BIGINT NOT NULL,
    newest BIGINT NOT NULL,
    UNIQUE (build, file)
);
CREATE UNIQUE INDEX published_output_newest ON published_output (name, version, architecture, distribution, release, file) WHERE newest = 1;
CREATE INDEX published_output_file ON published_output (name, version, architecture, distribution, release, file, conclusive, finished);
CREATE INDEX published_output_name ON published_output (name, version, architecture, id) WHERE newest = 1;
CREATE INDEX published_output_list ON published_output (id) WHERE newest = 1;

-- What the signer gave, as a list of files, and which state of signing was published last. Probes are about nothing, and of
-- a job that was called off nobody has learned anything.
ALTER TABLE queue_verdict ADD COLUMN signed TEXT;
ALTER TABLE queue_verdict ADD COLUMN published TEXT;
CREATE INDEX queue_verdict_unpublished ON queue_verdict (job)
    WHERE verdict <> 'probed' AND verdict <> 'cancelled' AND (published IS NULL OR published <> signing);

-- Jobs that wait or run, whichever it is, in the order of their ids.
CREATE INDEX queue_job_open ON queue_job (id) WHERE state IN ('ready', 'later', 'running');
