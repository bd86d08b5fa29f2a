-- The memories $1, whether they are forgotten or not.
SELECT * FROM include.memories AS memory_records WHERE memory_id = ANY ($1::uuid[]);
