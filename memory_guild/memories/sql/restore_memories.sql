-- Restores the memories $1 that are forgotten; returns their new versions.
UPDATE memory_records
SET
    is_deleted = false,
    deleted_at = NULL,
    updated_at = GREATEST(statement_timestamp(), updated_at + interval '1 microsecond')
WHERE
    memory_id IN (
        -- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
        SELECT memory_id FROM memory_records WHERE memory_id = ANY ($1::uuid[]) ORDER BY memory_id FOR UPDATE
    )
    AND is_deleted
RETURNING memory_id, is_deleted, deleted_at, updated_at;
