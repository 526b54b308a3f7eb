DROP TABLE trail;
DROP INDEX published_build_ecosystem;
DROP INDEX published_build_verdict;
DROP INDEX published_build_finished;
DROP TABLE published_cause;
DROP TABLE published_package;
