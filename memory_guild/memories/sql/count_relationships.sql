-- How many edges have the memories $1 at an end.
SELECT count(*) AS rows
FROM memory_relationships
WHERE source_memory_id = ANY ($1::uuid[]) OR target_memory_id = ANY ($1);
