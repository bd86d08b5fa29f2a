-- How many rows of memory_vectors belong to the memories $1.
SELECT count(*) AS rows FROM memory_vectors WHERE memory_id = ANY ($1::uuid[]);
