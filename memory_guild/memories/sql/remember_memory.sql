-- Stores the text $4 with hash $5 of agent $1 of tenant $2, from source type $3 with metadata $6, once.
-- A live duplicate is only read. A forgotten one comes back if $7. No row: a concurrent transaction stored, forgot or
-- deleted it after this statement began; the next run sees what is there.
WITH present AS (
    SELECT *
    FROM memory_records
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
        -- The statement's time, not the transaction's: what one scope stores keeps its order.
        statement_timestamp(),
        -- A version later than the forgotten one's; a new memory is of one moment with created_at.
        GREATEST(statement_timestamp(), (SELECT updated_at + interval '1 microsecond' FROM present))
    WHERE NOT EXISTS (SELECT FROM present WHERE is_deleted IS NOT TRUE OR content_text <> $4 OR NOT $7::boolean)
    ON CONFLICT (agent_id, tenant_id, content_hash) DO UPDATE
    SET is_deleted = false, deleted_at = NULL, updated_at = EXCLUDED.updated_at
    WHERE
        $7 AND memory_records.is_deleted AND memory_records.content_text = EXCLUDED.content_text
        AND EXCLUDED.updated_at > COALESCE(memory_records.updated_at, '-infinity')
    RETURNING *
)

SELECT CASE WHEN created_at = updated_at THEN 'created' ELSE 'restored' END AS outcome, true AS same_text, * FROM stored
UNION ALL
SELECT 'existing', content_text = $4, * FROM present WHERE NOT EXISTS (SELECT FROM stored);
