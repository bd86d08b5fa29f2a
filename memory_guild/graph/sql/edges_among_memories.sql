-- The edges whose two ends are among the memories $1, oldest first: of the types $2 (NULL: all), with a confidence of
-- at least $3 (NULL: any; an unspecified one counts as 1).
SELECT *
FROM include.memories.edges AS memory_relationships
WHERE
    source_memory_id = ANY ($1::uuid[]) AND target_memory_id = ANY ($1)
    AND ($2::varchar[] IS NULL OR relationship_type = ANY ($2))
    AND ($3::float8 IS NULL OR COALESCE(confidence_score, 1) >= $3)
ORDER BY created_at, relationship_id;
