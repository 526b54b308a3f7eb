DROP TABLE queue_sent;
DROP TABLE queue_artifact;
ALTER TABLE queue_verdict DROP COLUMN publishing_after;
ALTER TABLE queue_verdict DROP COLUMN publishing_tries;
ALTER TABLE queue_verdict DROP COLUMN signing_after;
ALTER TABLE queue_verdict DROP COLUMN signing_tries;
ALTER TABLE queue_job DROP COLUMN released;
