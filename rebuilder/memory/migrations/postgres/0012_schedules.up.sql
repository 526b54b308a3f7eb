-- Audits that run by themselves: their list, a cron expression in UTC, and how old results may be.
CREATE TABLE schedules (
    audit BIGINT PRIMARY KEY REFERENCES audits (id),
    list TEXT NOT NULL,
    cron TEXT NOT NULL,
    older_than BIGINT,
    next_at BIGINT NOT NULL
);
