-- Stores the text $4 with hash $5, source type $3, metadata $6 (NULL: none) and created_at $7 (NULL: now) for agent $1
-- of tenant $2, unless the agent has it; a duplicate is only read, a forgotten one too. No row is returned if a
-- concurrent transaction stored or deleted the memory after this statement began; run it again, and it sees what is
-- stored now. It updates nothing, so no trigger of updates runs for each new memory.
WITH present AS (
    SELECT *
    FROM include.memories AS memory_records
    WHERE agent_id = $1::varchar AND tenant_id = $2::varchar AND content_hash = $5::varchar
),

created AS (
    INSERT INTO memory_records
    (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
    SELECT
        $1,
        $2,
        $3::varchar,
        $4::text,
        $5,
        COALESCE($6::jsonb, '{}'),
        -- The time of the statement, not of the transaction: what one scope stores keeps its order.
        COALESCE($7::timestamptz, statement_timestamp()),
        statement_timestamp()
    WHERE NOT EXISTS (SELECT FROM present)
    ON CONFLICT (agent_id, tenant_id, content_hash) DO NOTHING
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

SELECT 'created' AS outcome, true AS same_text, true AS fits, * FROM created
UNION ALL
SELECT 'existing', content_text = $4, true, * FROM present;
