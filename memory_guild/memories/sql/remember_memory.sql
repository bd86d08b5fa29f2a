-- Stores the text $4 with hash $5, source type $3 and metadata $6 for agent $1 of tenant $2, unless the agent has it.
-- A duplicate is only read; a forgotten one is restored if $7. No row is returned if a concurrent transaction stored,
-- forgot or deleted the text after this statement began; run it again, and it sees what is stored now.
WITH present AS (
    SELECT *
    FROM include.memories AS memory_records
    WHERE agent_id = $1::varchar AND tenant_id = $2::varchar AND content_hash = $5::varchar
),

stored AS (
    INSERT INTO memory_records
    (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
    SELECT
        $1,
        $2,
        $3::varchar,
        $4::text,
        $5,
        $6::jsonb,
        -- The time of the statement, not of the transaction: what one scope stores keeps its order.
        statement_timestamp(),
        -- Later than the forgotten version; a new memory has the same created_at and updated_at.
        -- At the end of time no later version would be left: versions begin anew.
        GREATEST(
            statement_timestamp(),
            (SELECT updated_at + interval '1 microsecond' FROM present WHERE updated_at < '9999-12-31 00:00:00+00')
        )
    WHERE NOT EXISTS (SELECT FROM present WHERE is_deleted IS NOT TRUE OR content_text <> $4 OR NOT $7::boolean)
    ON CONFLICT (agent_id, tenant_id, content_hash) DO UPDATE
    SET is_deleted = false, deleted_at = NULL, updated_at = EXCLUDED.updated_at
    WHERE
        $7 AND memory_records.is_deleted AND memory_records.content_text = EXCLUDED.content_text
        AND (EXCLUDED.updated_at > COALESCE(memory_records.updated_at, '-infinity')
            OR memory_records.updated_at >= '9999-12-31 00:00:00+00')
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

SELECT CASE WHEN created_at = updated_at THEN 'created' ELSE 'restored' END AS outcome, true AS same_text, * FROM stored
UNION ALL
SELECT 'existing', content_text = $4, * FROM present WHERE NOT EXISTS (SELECT FROM stored);
