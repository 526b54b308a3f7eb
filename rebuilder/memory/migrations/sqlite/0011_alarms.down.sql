DROP TABLE deliveries;
DROP TABLE alarms;
