-- Stores the text $4 with hash $5, source type $3, metadata $6 (NULL: none) and created_at $8 (NULL: now) for agent $1
-- of tenant $2, unless the agent has it. A duplicate is only read; a forgotten one is restored if $7. No row is
-- returned if a concurrent transaction stored, changed or deleted the memory after this statement began; run it again,
-- and it sees what is stored now.
WITH present AS (
    SELECT *
    FROM include.memories AS memory_records
    WHERE agent_id = $1::varchar AND tenant_id = $2::varchar AND content_hash = $5::varchar
),

duplicate AS (
    SELECT *
    FROM present
    WHERE is_deleted IS NOT TRUE OR content_text <> $4::text OR NOT $7::boolean
),

stored AS (
    INSERT INTO memory_records
    (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
    SELECT
        $1,
        $2,
        $3::varchar,
        $4,
        $5,
        COALESCE($6::jsonb, '{}'),
        -- The time of the statement, not of the transaction: what one scope stores keeps its order.
        COALESCE($8::timestamptz, statement_timestamp()),
        -- Later than the forgotten version. At the end of time no later one would be left: versions begin anew.
        GREATEST(statement_timestamp(), (
            SELECT updated_at + interval '1 microsecond' FROM present WHERE updated_at < '9999-12-31 00:00:00+00'
        ))
    WHERE NOT EXISTS (SELECT FROM duplicate)
    ON CONFLICT (agent_id, tenant_id, content_hash) DO UPDATE
    SET is_deleted = false, deleted_at = NULL, updated_at = EXCLUDED.updated_at
    WHERE
        $7 AND memory_records.is_deleted
        -- It is still what this statement saw.
        AND memory_records.memory_id = (SELECT memory_id FROM present)
        AND memory_records.updated_at IS NOT DISTINCT FROM (SELECT updated_at FROM present)
    RETURNING
        memory_id,
        agent_id,
        tenant_id,
        source_type,
        content_text,
        content_hash,
        metadata,
        created_at,
        updated_at,
        is_deleted,
        deleted_at
)

SELECT
    CASE
        -- One that was held in quarantine is released.
        WHEN memory_id IN (SELECT present.memory_id FROM present) AND memory_guild_released(memory_id) THEN 'restored'
        ELSE 'created'
    END AS outcome,
    true AS same_text,
    true AS fits,
    *
FROM stored
UNION ALL
SELECT 'existing', content_text = $4, true, * FROM duplicate;
