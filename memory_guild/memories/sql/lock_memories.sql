-- Locks the memories $1, if all $2 of them are there, so that nobody changes or deletes one before the scope ends. Returns
-- those that were there, and whether each is locked: one may be deleted while the statement waits for it.
-- In the order of the ids: calls that overlap wait for each other instead of deadlocking.
WITH there AS MATERIALIZED (
    SELECT memory_id FROM memory_records WHERE memory_id = ANY ($1::uuid[])
),

locked AS MATERIALIZED (
    SELECT memory_id, is_deleted, deleted_at, updated_at
    FROM memory_records
    WHERE memory_id = ANY ($1) AND (SELECT count(*) FROM there) = $2::int
    ORDER BY memory_id
    FOR UPDATE
)

SELECT
    there.memory_id,
    locked.memory_id IS NOT NULL AS is_locked,
    locked.is_deleted,
    locked.deleted_at,
    locked.updated_at
FROM there
LEFT JOIN locked ON locked.memory_id = there.memory_id;
