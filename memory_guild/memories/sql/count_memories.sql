-- How many memories match the conditions $1 to $9.
SELECT count(*)
FROM include.matching_memories AS memory_records;
