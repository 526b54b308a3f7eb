DROP TABLE queue_token;
DROP TABLE queue_limit;
DROP TABLE queue_verdict;
DROP TABLE queue_job;
