-- How many rows of memory_own_vectors belong to the memories $1.
SELECT count(*) AS rows FROM memory_own_vectors WHERE memory_id = ANY ($1::uuid[]);
