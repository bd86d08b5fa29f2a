-- The edges to the memories $1, oldest first.
SELECT *
FROM include.edges AS memory_relationships
WHERE target_memory_id = ANY ($1::uuid[])
ORDER BY created_at, relationship_id;
