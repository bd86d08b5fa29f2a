-- The memory of judged_memories.sql, if nothing of it is to be changed.
SELECT 'existing' AS outcome, judged.same_text, judged.fits, memory_records.*
FROM include.memories AS memory_records
INNER JOIN (SELECT * FROM include.judged_memories AS one) AS judged ON judged.memory_id = memory_records.memory_id
WHERE NOT judged.is_needed;
