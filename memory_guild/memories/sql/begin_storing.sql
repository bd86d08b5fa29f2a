-- The server's time, and whether the role may create a temporary table.
SELECT statement_timestamp() AS moment, has_database_privilege(current_database(), 'TEMPORARY') AS may_stage;
