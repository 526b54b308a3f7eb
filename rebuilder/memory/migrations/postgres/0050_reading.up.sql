-- What pages ask for over all builds. Times are milliseconds since 1970, in UTC.
-- Packages, with the names that a search finds them by, in lower case.
CREATE TABLE published_package (
    package TEXT PRIMARY KEY,
    words TEXT NOT NULL
);
INSERT INTO published_package (package, words)
    SELECT package, max(lower(name || ' ' || source)) FROM published_build GROUP BY package;

-- Why a build differs. Builds with the same text here differ for one reason.
CREATE TABLE published_cause (
    build BIGINT NOT NULL REFERENCES published_build (id),
    cause TEXT NOT NULL,
    -- What all places of the cause have in common.
    shared TEXT NOT NULL,
    -- The two values, if they are versions; otherwise empty.
    released TEXT NOT NULL,
    rebuilt TEXT NOT NULL,
    PRIMARY KEY (build, cause, shared, released, rebuilt)
);
CREATE INDEX published_cause_shared ON published_cause (cause, shared, released, rebuilt, build);

CREATE INDEX published_build_finished ON published_build (finished, ecosystem, verdict);
CREATE INDEX published_build_verdict ON published_build (verdict, id);
CREATE INDEX published_build_ecosystem ON published_build (ecosystem, id);

-- The causes of earlier builds are read from their records once more.
UPDATE queue_verdict SET published = NULL WHERE job IN (SELECT id FROM published_build WHERE causes <> '');

-- Who changed what: every command and request that writes, in the order of their happening.
CREATE TABLE trail (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at BIGINT NOT NULL,
    -- A user of this machine, or the holder of a token.
    who TEXT NOT NULL,
    -- Such as 'add-token'.
    action TEXT NOT NULL,
    what TEXT NOT NULL
);
