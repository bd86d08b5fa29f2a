-- The given memories of tenant $1 that exist, whether each is forgotten, and whether it has the given text.
SELECT stored.memory_id, given.agent_id, given.content_hash, stored.is_deleted, stored.same_text
FROM unnest($2::varchar[], $3::text[], $4::varchar[]) AS given (agent_id, content_text, content_hash)
CROSS JOIN LATERAL (
    -- OFFSET 0: each is looked up by the unique key, whatever the planner estimates.
    SELECT memory_id, is_deleted, content_text = given.content_text AS same_text
    FROM memory_records
    WHERE agent_id = given.agent_id AND tenant_id = $1::varchar AND content_hash = given.content_hash
    OFFSET 0
) AS stored;
