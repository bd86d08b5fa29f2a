-- How many rows of memory_embeddings belong to the memories $1.
SELECT count(*) AS rows FROM memory_embeddings WHERE memory_id = ANY ($1::uuid[]);
