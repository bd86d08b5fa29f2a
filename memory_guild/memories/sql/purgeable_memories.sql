-- The tenant's ($1) memories that were forgotten before $2, in the order in which they are deleted.
SELECT memory_id
FROM memory_records
WHERE
    tenant_id = $1::varchar AND is_deleted AND COALESCE(deleted_at, updated_at, '-infinity') < $2::timestamptz
    -- What is held in quarantine was not forgotten by anybody.
    AND NOT EXISTS (
        SELECT
        FROM memory_sources AS own
        WHERE own.tenant_id = $1 AND own.memory_id = memory_records.memory_id AND own.is_held
    )
ORDER BY memory_id;
