-- The same as store_memories.sql. Because it reads the table, too, if only a row that nobody has, the worker does it by
-- itself; and because no default is asked for that is new for each row: a trigger puts an id in the place of none.
INSERT INTO memory_records
(memory_id, agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
SELECT
    NULL::uuid,
    given.agent_id,
    $1::varchar,
    given.source_type,
    given.content_text,
    given.content_hash,
    COALESCE(given.metadata, '{}'),
    COALESCE(given.created_at, moment),
    moment
FROM
    unnest($3::int[], $4::varchar[], $5::varchar[], $6::text[], $7::varchar[], $8::jsonb[], $9::timestamptz[])
    AS given (number, agent_id, source_type, content_text, content_hash, metadata, created_at)
CROSS JOIN LATERAL (
    SELECT ($2::timestamptz AT TIME ZONE 'UTC' + number * interval '1 microsecond') AT TIME ZONE 'UTC' AS moment
) AS stored_at
WHERE NOT EXISTS (
    SELECT FROM memory_records AS nobodys
    WHERE nobodys.memory_id = '00000000-0000-0000-0000-000000000000' AND nobodys.content_hash = ''
)
ORDER BY given.content_hash COLLATE "C", given.agent_id COLLATE "C"
ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
RETURNING memory_id, content_hash, agent_id;
