-- Locks the memories $1 if all $2 of them exist, so that nobody changes or deletes one before the scope ends. Returns
-- those that existed, and whether each is locked: one can be deleted while the statement waits for its lock.
-- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
WITH existing AS MATERIALIZED (
    SELECT memory_id FROM memory_records WHERE memory_id = ANY ($1::uuid[])
),

locked AS MATERIALIZED (
    SELECT memory_id, is_deleted, deleted_at, updated_at
    FROM memory_records
    WHERE memory_id = ANY ($1) AND (SELECT count(*) FROM existing) = $2::int
    ORDER BY memory_id
    FOR UPDATE
)

SELECT
    existing.memory_id,
    locked.memory_id IS NOT NULL AS is_locked,
    locked.is_deleted,
    locked.deleted_at,
    locked.updated_at
FROM existing
LEFT JOIN locked ON locked.memory_id = existing.memory_id;
