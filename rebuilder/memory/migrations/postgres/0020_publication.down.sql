DROP INDEX queue_job_open;
DROP INDEX queue_verdict_unpublished;
ALTER TABLE queue_verdict DROP COLUMN published;
ALTER TABLE queue_verdict DROP COLUMN signed;
DROP TABLE published_output;
DROP TABLE published_build;
