DROP FUNCTION give_up_namespace_elsewhere(bigint, bytea);
DROP TABLE burst_used;
DROP TABLE cells;
DROP TABLE cell;
