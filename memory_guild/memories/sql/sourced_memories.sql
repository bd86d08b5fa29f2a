-- The memories of matching_memories.sql that came from the sources that are asked for, too.
SELECT *
FROM include.matching_memories AS memory_records
WHERE EXISTS (
    SELECT
    FROM memory_sources AS own
    WHERE
        own.tenant_id = $1 AND own.memory_id = memory_records.memory_id
        AND own.source_id IN (SELECT source_id FROM include.sources_asked_for AS asked)
        AND (own.is_held OR NOT EXISTS (
            SELECT
            FROM unnest($7::text[], $8::jsonb[]) AS condition (operator, value)
            WHERE operator = 'sources' AND (value -> 'held')::boolean
        ))
);
