-- The memory $1, whether it is forgotten or not.
SELECT * FROM include.memories AS memory_records WHERE memory_id = $1;
