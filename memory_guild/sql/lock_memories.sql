-- Locks those of the memories $1 that are there, so that nobody changes or deletes one of them before the scope ends. In
-- the order of the ids: calls that overlap wait for each other instead of deadlocking.
SELECT memory_id, is_deleted, deleted_at, updated_at
FROM memory_records
WHERE memory_id = ANY ($1::uuid[])
ORDER BY memory_id
FOR UPDATE;
