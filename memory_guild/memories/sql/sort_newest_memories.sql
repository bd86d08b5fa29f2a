-- The newest memories that match the conditions $1 to $9, at most $12 (NULL for all), after the cursor ($10, $11).
-- Memories without a created_at come last; a cursor without one stands among them.
-- No index has the order NULLS LAST, so the planner reads the tenant's rows and sorts them. It cannot walk along
-- created_at past the rows of all tenants until it has found enough.
SELECT *
FROM include.matching_memories AS memory_records
WHERE
    CASE
        WHEN $11::uuid IS NULL THEN true
        WHEN $10::timestamptz IS NULL THEN created_at IS NULL AND memory_id < $11
        ELSE created_at IS NULL OR (created_at, memory_id) < ($10, $11)
    END
ORDER BY created_at DESC NULLS LAST, memory_id DESC
LIMIT $12::int;
