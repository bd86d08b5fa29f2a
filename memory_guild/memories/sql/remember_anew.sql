-- As remember_memory.sql, but a forgotten duplicate is restored if $8, and if $9, a duplicate gets the metadata $6, if
-- there is any: its keys if $10, or else in place of the memory's own. Merged metadata of more than $11 bytes does not
-- fit, and nothing is written.
WITH present AS (
    SELECT *
    FROM include.memories AS memory_records
    WHERE agent_id = $1::varchar AND tenant_id = $2::varchar AND content_hash = $5::varchar
),

-- What becomes of the present memory, if there is one.
change AS (
    SELECT
        present.memory_id,
        present.is_deleted AS was_deleted,
        present.metadata AS metadata_before,
        present.updated_at AS updated_before,
        merged.metadata,
        -- Always later than before, so that no two versions are equal.
        -- At the end of time no later version would be left: versions begin anew.
        GREATEST(
            statement_timestamp(),
            CASE
                WHEN present.updated_at < '9999-12-31 00:00:00+00' THEN present.updated_at + interval '1 microsecond'
            END
        ) AS updated_at,
        same_text,
        fits,
        CASE
            WHEN NOT (same_text AND fits) THEN false
            WHEN present.is_deleted THEN $8::boolean
            ELSE (merged.metadata IS DISTINCT FROM present.metadata)
        END AS is_needed
    FROM present
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN NOT $9::boolean OR $6::jsonb IS NULL OR (is_deleted AND NOT $8) THEN metadata
            WHEN $10::boolean AND jsonb_typeof(metadata) = 'object' THEN metadata || $6
            ELSE $6
        END AS metadata
    ) AS merged
    CROSS JOIN LATERAL (
        SELECT
            content_text = $4::text AS same_text,
            NOT $10
            OR (merged.metadata IS NOT DISTINCT FROM present.metadata)
            OR octet_length(merged.metadata::text) <= $11::int AS fits
    ) AS judged
),

created AS (
    INSERT INTO memory_records
    (agent_id, tenant_id, source_type, content_text, content_hash, metadata, created_at, updated_at)
    -- The time of the statement, not of the transaction: what one scope stores keeps its order.
    SELECT
        $1,
        $2,
        $3::varchar,
        $4,
        $5,
        COALESCE($6, '{}'),
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
),

changed AS (
    UPDATE memory_records
    SET is_deleted = false, deleted_at = NULL, metadata = change.metadata, updated_at = change.updated_at
    FROM change
    WHERE
        memory_records.memory_id = change.memory_id
        AND is_needed
        -- It is still what this statement saw.
        AND memory_records.is_deleted IS NOT DISTINCT FROM was_deleted
        AND memory_records.metadata IS NOT DISTINCT FROM metadata_before
        AND memory_records.updated_at IS NOT DISTINCT FROM updated_before
        AND memory_records.content_text = $4
    RETURNING
        CASE
            -- One that was held in quarantine is released.
            WHEN was_deleted AND memory_guild_released(memory_records.memory_id) THEN 'restored'
            ELSE 'existing'
        END AS outcome,
        true AS same_text,
        true AS fits,
        memory_records.memory_id,
        memory_records.agent_id,
        memory_records.tenant_id,
        memory_records.source_type,
        memory_records.content_text,
        memory_records.content_hash,
        memory_records.metadata,
        memory_records.created_at,
        memory_records.updated_at,
        memory_records.is_deleted,
        memory_records.deleted_at
)

SELECT 'created' AS outcome, true AS same_text, true AS fits, * FROM created
UNION ALL
SELECT * FROM changed
UNION ALL
SELECT 'existing', same_text, fits, present.* FROM present CROSS JOIN change WHERE NOT is_needed;
