-- Raises the confidence of the edge from $1 to $2 of type $3 to $4, if $5 and it is lower.
UPDATE memory_relationships
SET confidence_score = $4::float8
WHERE
    source_memory_id = $1::uuid AND target_memory_id = $2::uuid AND relationship_type = $3::varchar
    AND $5::boolean AND $4 > COALESCE(confidence_score, -1)
RETURNING
    false AS created,
    relationship_id,
    source_memory_id,
    target_memory_id,
    relationship_type,
    confidence_score,
    created_at;
