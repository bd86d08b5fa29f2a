-- Changes the memory of judged_memories.sql as that says, unless it is held in quarantine.
UPDATE memory_records
SET
    is_deleted = false,
    deleted_at = NULL,
    metadata = judged.metadata,
    -- Always later than before, so that no two versions are equal.
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN memory_records.updated_at < '9999-12-31 00:00:00+00'
                THEN (memory_records.updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
FROM include.judged_memories AS judged
WHERE
    memory_records.memory_id = judged.memory_id
    AND judged.is_needed
    -- It is still what this statement saw.
    AND memory_records.is_deleted IS NOT DISTINCT FROM judged.is_deleted
    AND memory_records.metadata IS NOT DISTINCT FROM judged.metadata_before
    AND memory_records.updated_at IS NOT DISTINCT FROM judged.updated_before
    AND memory_records.content_text = $3
    AND NOT (judged.is_deleted AND EXISTS (
        SELECT FROM memory_sources
        WHERE memory_sources.memory_id = memory_records.memory_id AND memory_sources.is_held
    ))
RETURNING
    CASE WHEN judged.is_deleted THEN 'restored' ELSE 'existing' END AS outcome,
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
    memory_records.deleted_at;
