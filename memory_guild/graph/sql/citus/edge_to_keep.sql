-- The edge from $1 to $2 of type $3, unless its confidence is to be raised to $4, if $5.
SELECT false AS created, *
FROM include.memories.edges AS memory_relationships
WHERE
    source_memory_id = $1::uuid AND target_memory_id = $2::uuid AND relationship_type = $3::varchar
    AND ($5::boolean AND $4::float8 > COALESCE(confidence_score, -1)) IS NOT TRUE;
