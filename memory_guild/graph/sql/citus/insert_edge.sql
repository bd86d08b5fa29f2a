-- Stores the edge from $1 to $2 of type $3 with confidence $4; no row if it exists.
INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)
VALUES ($1::uuid, $2::uuid, $3::varchar, $4::float8)
ON CONFLICT (source_memory_id, target_memory_id, relationship_type) DO NOTHING
RETURNING
    true AS created,
    relationship_id,
    source_memory_id,
    target_memory_id,
    relationship_type,
    confidence_score,
    created_at;
