-- Results that should not be. An alarm is raised once for an attempt; the withheld ones are looked into again.
CREATE TABLE alarms (
    id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    attempt BIGINT NOT NULL UNIQUE REFERENCES attempts (id),
    audit BIGINT NOT NULL REFERENCES audits (id),
    standing TEXT NOT NULL,
    made BIGINT NOT NULL,
    document TEXT NOT NULL
);

-- Where each alarm was told, or is still to be told.
CREATE TABLE deliveries (
    alarm BIGINT NOT NULL REFERENCES alarms (id),
    route TEXT NOT NULL,
    tries BIGINT NOT NULL,
    again_at BIGINT,
    delivered BIGINT,
    error TEXT,
    PRIMARY KEY (alarm, route)
);
