-- What holds workers within bounds. Times are milliseconds since 1970, in UTC.
ALTER TABLE queue_job ADD COLUMN released BIGINT NOT NULL DEFAULT 0;

-- How often a run could not be handed in, or published, and when that is tried again.
ALTER TABLE queue_verdict ADD COLUMN signing_tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_verdict ADD COLUMN signing_after BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_verdict ADD COLUMN publishing_tries BIGINT NOT NULL DEFAULT 0;
ALTER TABLE queue_verdict ADD COLUMN publishing_after BIGINT NOT NULL DEFAULT 0;

-- Artifacts of workers that no verdict names so far, and when each was last sent or spoken of.
CREATE TABLE queue_artifact (
    sha256 TEXT PRIMARY KEY,
    at BIGINT NOT NULL
);
CREATE INDEX queue_artifact_at ON queue_artifact (at);

-- Bytes that each worker announced, by day since 1970.
CREATE TABLE queue_sent (
    worker TEXT NOT NULL,
    day BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (worker, day)
);
