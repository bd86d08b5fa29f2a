-- The same as store_memories.sql, for the memories in the table of stage_memories.sql.
INSERT INTO memory_records
(agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
SELECT
    agent_id,
    $1::varchar,
    source_type,
    content_text,
    content_hash,
    COALESCE(metadata, '{}'),
    COALESCE(created_at, moment),
    moment
FROM pg_temp.memory_guild_staged
CROSS JOIN LATERAL (SELECT $2::timestamptz + number * interval '1 microsecond' AS moment) AS stored_at
ORDER BY content_hash COLLATE "C", agent_id COLLATE "C"
ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
RETURNING memory_id, content_hash, agent_id;
