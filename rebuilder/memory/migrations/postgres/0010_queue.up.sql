-- Jobs that wait for workers, run, or have ended. A lease is (id, attempt). Times are milliseconds since 1970, in UTC.
CREATE TABLE queue_job (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    audit TEXT NOT NULL,
    ecosystem TEXT NOT NULL,
    subject TEXT NOT NULL,
    task TEXT NOT NULL,
    -- Two jobs with one key never wait or run at the same time. Places of one agreement share the other column.
    key TEXT NOT NULL,
    agreement TEXT,
    state TEXT NOT NULL CHECK (state IN ('later', 'ready', 'running', 'done', 'dead', 'cancelled')),
    priority BIGINT NOT NULL,
    turn BIGINT NOT NULL,
    run_at BIGINT NOT NULL,
    attempt BIGINT NOT NULL DEFAULT 0,
    attempts BIGINT NOT NULL,
    lost BIGINT NOT NULL DEFAULT 0,
    worker TEXT,
    lease_until BIGINT,
    cancel BIGINT NOT NULL DEFAULT 0,
    architecture TEXT NOT NULL,
    memory BIGINT NOT NULL,
    disk BIGINT NOT NULL,
    cores BIGINT NOT NULL,
    reason TEXT,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE INDEX queue_job_ready ON queue_job (priority DESC, turn, id) WHERE state = 'ready';
CREATE INDEX queue_job_later ON queue_job (run_at) WHERE state = 'later';
CREATE INDEX queue_job_running ON queue_job (lease_until) WHERE state = 'running';
CREATE INDEX queue_job_turn ON queue_job (audit, turn) WHERE state IN ('ready', 'later');
CREATE INDEX queue_job_agreement ON queue_job (agreement) WHERE agreement IS NOT NULL;
CREATE UNIQUE INDEX queue_job_key ON queue_job (key) WHERE state IN ('later', 'ready', 'running');

-- One verdict for each job that has ended, whatever the end: written with it, never changed.
CREATE TABLE queue_verdict (
    job BIGINT PRIMARY KEY REFERENCES queue_job (id),
    attempt BIGINT NOT NULL,
    worker TEXT NOT NULL,
    verdict TEXT NOT NULL,
    reason TEXT,
    run TEXT,
    signing TEXT NOT NULL CHECK (signing IN ('no', 'due', 'waits', 'signed', 'refused')),
    signing_note TEXT,
    at BIGINT NOT NULL
);
CREATE INDEX queue_verdict_signing ON queue_verdict (signing, at, job) WHERE signing IN ('due', 'waits');

-- Most jobs of an ecosystem that run at a time.
CREATE TABLE queue_limit (
    ecosystem TEXT PRIMARY KEY,
    most BIGINT NOT NULL
);

-- Who may speak to the server. Of a token only the SHA-256 is kept.
CREATE TABLE queue_token (
    name TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL UNIQUE,
    scopes TEXT NOT NULL,
    created BIGINT NOT NULL,
    expires BIGINT,
    revoked BIGINT
);
