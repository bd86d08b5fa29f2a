-- As restore_memories.sql, and those of the memories $1 that are held in quarantine are released.
WITH released AS (
    UPDATE memory_sources SET is_held = false WHERE memory_id = ANY ($1::uuid[]) AND is_held
)

UPDATE memory_records
SET
    is_deleted = false,
    deleted_at = NULL,
    updated_at = GREATEST(
        statement_timestamp(),
        -- At the end of time no later version would be left: versions begin anew.
        CASE
            WHEN updated_at < '9999-12-31 00:00:00+00'
                THEN (updated_at AT TIME ZONE 'UTC' + interval '1 microsecond') AT TIME ZONE 'UTC'
        END
    )
WHERE
    memory_id IN (
        -- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
        SELECT memory_id FROM memory_records WHERE memory_id = ANY ($1) ORDER BY memory_id FOR UPDATE
    )
    AND is_deleted
RETURNING memory_id, is_deleted, deleted_at, updated_at;
