-- Those of the given edges that exist.
SELECT stored.relationship_id, stored.source_memory_id, stored.target_memory_id, stored.relationship_type
FROM
    unnest($1::uuid[], $2::uuid[], $3::varchar[])
    AS given (source_memory_id, target_memory_id, relationship_type)
CROSS JOIN LATERAL (
    SELECT *
    FROM memory_relationships
    WHERE
        source_memory_id = given.source_memory_id
        AND target_memory_id = given.target_memory_id
        AND relationship_type = given.relationship_type
    OFFSET 0
) AS stored;
