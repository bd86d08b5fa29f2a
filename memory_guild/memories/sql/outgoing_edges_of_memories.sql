-- The edges from the memories $1, oldest first.
SELECT *
FROM include.edges AS memory_relationships
WHERE source_memory_id = ANY ($1::uuid[])
ORDER BY created_at, relationship_id;
