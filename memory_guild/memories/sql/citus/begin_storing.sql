-- The server's time. Nothing is staged: a temporary table is on the coordinator, and its rows would travel twice.
SELECT statement_timestamp() AS moment, false AS may_stage;
