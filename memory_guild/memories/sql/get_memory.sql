-- The memory $1, forgotten or not.
SELECT * FROM memory_records WHERE memory_id = $1;
