-- How many rows of memory_words belong to the memories $1.
SELECT count(*) AS rows FROM memory_words WHERE memory_id = ANY ($1::uuid[]);
