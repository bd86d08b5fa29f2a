-- Stores the edge from $1 to $2 of type $3 with confidence $4, if it does not exist. If it does, and if $5, raises its
-- confidence to $4. No row: another transaction stored, raised or deleted the edge after this statement began. Run the
-- statement again: it then sees what the other one did.
WITH present AS (
    SELECT *
    FROM include.memories.edges AS memory_relationships
    WHERE source_memory_id = $1::uuid AND target_memory_id = $2::uuid AND relationship_type = $3::varchar
),

stored AS (
    INSERT INTO memory_relationships (source_memory_id, target_memory_id, relationship_type, confidence_score)
    SELECT $1, $2, $3, $4::float8
    WHERE NOT EXISTS (SELECT FROM present)
    ON CONFLICT (source_memory_id, target_memory_id, relationship_type) DO NOTHING
    RETURNING relationship_id, source_memory_id, target_memory_id, relationship_type, confidence_score, created_at
),

raised AS (
    UPDATE memory_relationships
    SET confidence_score = $4
    WHERE
        relationship_id = (SELECT relationship_id FROM present)
        AND $5::boolean AND $4 > COALESCE(confidence_score, -1)
    RETURNING relationship_id, source_memory_id, target_memory_id, relationship_type, confidence_score, created_at
)

SELECT true AS created, * FROM stored
UNION ALL
SELECT false, * FROM raised
UNION ALL
SELECT false, * FROM present WHERE ($5 AND $4 > COALESCE(confidence_score, -1)) IS NOT TRUE;
