-- The memories that match the conditions $1 to $9, in the order in which they are erased.
SELECT memory_id FROM include.matching_memories AS memory_records ORDER BY memory_id;
