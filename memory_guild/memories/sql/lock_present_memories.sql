-- Locks those of the memories $1 that exist, so that nobody changes them before the scope ends.
-- Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
SELECT memory_id
FROM memory_records
WHERE memory_id = ANY ($1::uuid[])
ORDER BY memory_id
FOR UPDATE;
