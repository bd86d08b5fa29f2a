-- How many rows of memory_sources belong to the memories $1.
SELECT count(*) AS rows FROM memory_sources WHERE memory_id = ANY ($1::uuid[]);
