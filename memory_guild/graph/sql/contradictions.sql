-- The $4 edges of tenant $1 with the highest confidence by which a live memory contradicts another one: with memory $2
-- at one end (NULL: all), with a confidence of at least $3 (NULL: any). An unspecified confidence counts as 1.
SELECT edge.*
FROM include.memories.edges AS edge
JOIN memory_records AS source ON source.memory_id = edge.source_memory_id
JOIN memory_records AS target ON target.memory_id = edge.target_memory_id
WHERE
    edge.relationship_type = 'contradicts'
    AND ($2::uuid IS NULL OR edge.source_memory_id = $2 OR edge.target_memory_id = $2)
    AND ($3::float8 IS NULL OR COALESCE(edge.confidence_score, 1) >= $3)
    AND source.tenant_id = $1::varchar AND source.is_deleted IS NOT TRUE
    AND target.tenant_id = $1 AND target.is_deleted IS NOT TRUE
ORDER BY COALESCE(edge.confidence_score, 1) DESC, edge.created_at DESC, edge.relationship_id
LIMIT $4::int;
