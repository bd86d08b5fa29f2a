-- Deletes the memories $1 that are still forgotten, and were before $2, with their embeddings and edges; returns ids.
DELETE FROM memory_records
WHERE
    memory_id IN (
        -- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
        SELECT memory_id FROM memory_records WHERE memory_id = ANY ($1::uuid[]) ORDER BY memory_id FOR UPDATE
    )
    AND is_deleted AND COALESCE(deleted_at, updated_at, '-infinity') < $2::timestamptz
RETURNING memory_id;
