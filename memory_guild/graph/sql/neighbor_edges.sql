-- The $6 edges with the highest confidence between the live memory $1 and live memories: those that leave it if $2,
-- those that reach it if $3, of the types $4 (NULL: all), with a confidence of at least $5 (NULL: any). An unspecified
-- confidence counts as 1. Each row begins with the confidence that counts and the memory at the other end.
SELECT edge.*
FROM (
    SELECT COALESCE(confidence_score, 1) AS confidence, *
    FROM (
        SELECT target_memory_id AS neighbor_id, *
        FROM include.memories.edges AS memory_relationships
        WHERE $2::boolean AND source_memory_id = $1::uuid
        UNION ALL
        SELECT source_memory_id, *
        FROM include.memories.edges AS memory_relationships
        WHERE $3::boolean AND target_memory_id = $1
    ) AS touching
    WHERE
        ($4::varchar[] IS NULL OR relationship_type = ANY ($4))
        AND ($5::float8 IS NULL OR COALESCE(confidence_score, 1) >= $5)
    ORDER BY confidence DESC, created_at DESC, relationship_id
    OFFSET 0
) AS edge
CROSS JOIN LATERAL (
    -- One by one, in the order of the edges: of a hub's neighbors only as many are looked up as are returned.
    SELECT FROM memory_records WHERE memory_id = edge.neighbor_id AND is_deleted IS NOT TRUE OFFSET 0
) AS neighbor
WHERE EXISTS (SELECT FROM memory_records WHERE memory_id = $1 AND is_deleted IS NOT TRUE)
ORDER BY edge.confidence DESC, created_at DESC, relationship_id
LIMIT $6::int;
