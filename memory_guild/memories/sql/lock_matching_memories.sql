-- Locks those of the memories $10 that still match the conditions $1 to $9, so that nobody changes them, or adds
-- anything to them. Locked in the order of their ids: calls that overlap wait for each other instead of deadlocking.
SELECT memory_id, content_hash, is_deleted
FROM include.matching_memories AS memory_records
WHERE memory_id = ANY ($10::uuid[])
ORDER BY memory_id
FOR UPDATE;
