-- Stores the given memories of tenant $1 that do not exist yet, forgotten ones included; returns the id and key of each
-- new one. Number n is stored n microseconds after the moment $2, so that they keep their order; that is its created_at
-- too, unless one is given. They are sorted, so that calls that overlap wait for each other instead of deadlocking.
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
FROM
    unnest($3::int[], $4::varchar[], $5::varchar[], $6::text[], $7::varchar[], $8::jsonb[], $9::timestamptz[])
    AS given (number, agent_id, source_type, content_text, content_hash, metadata, created_at)
CROSS JOIN LATERAL (SELECT $2::timestamptz + number * interval '1 microsecond' AS moment) AS stored_at
ORDER BY content_hash COLLATE "C", agent_id COLLATE "C"
ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
RETURNING memory_id, content_hash, agent_id;
