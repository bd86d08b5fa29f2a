-- The memory $1, whether it is forgotten or not.
SELECT * FROM memory_records WHERE memory_id = $1;
