-- The memories $1, whether they are forgotten or not.
SELECT * FROM memory_records WHERE memory_id = ANY ($1::uuid[]);
