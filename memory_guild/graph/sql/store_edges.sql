-- Stores those of the given edges that do not exist. Returns the ends, type and id of each new edge.
-- Sorted by the unique key: calls that overlap wait for each other instead of deadlocking.
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)
SELECT source_memory_id, target_memory_id, relationship_type, confidence_score
FROM
    unnest($1::uuid[], $2::uuid[], $3::varchar[], $4::float8[])
    AS given (source_memory_id, target_memory_id, relationship_type, confidence_score)
ORDER BY source_memory_id, target_memory_id, relationship_type
ON CONFLICT (source_memory_id, target_memory_id, relationship_type) DO NOTHING
RETURNING relationship_id, source_memory_id, target_memory_id, relationship_type;
