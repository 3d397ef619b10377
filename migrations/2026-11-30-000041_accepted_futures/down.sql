DROP TABLE accepted_futures;
