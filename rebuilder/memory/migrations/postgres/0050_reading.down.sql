DROP TABLE trail;
DROP INDEX published_build_finished;
DROP TABLE published_cause;
DROP TABLE published_package;
