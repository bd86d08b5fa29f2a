-- The newest memories that match the conditions $1 to $9, at most $12, after the cursor ($10, $11), found by walking
-- along created_at. The walk ends the interval $13 before the cursor (or now): for a tenant with nothing new it would
-- otherwise read the memories of all tenants. With an index of the tenant's newest memories $13 is NULL: no end.
SELECT *
FROM include.matching_memories AS memory_records
WHERE
    created_at IS NOT NULL
    -- CASE, not COALESCE, which is not leakproof: under row-level security it could not be an index condition.
    AND ($13::interval IS NULL OR created_at > CASE WHEN $10::timestamptz IS NULL THEN now() ELSE $10 END - $13)
    AND ($10::timestamptz IS NULL OR (created_at, memory_id) < ($10, $11::uuid))
ORDER BY created_at DESC, memory_id DESC
LIMIT $12::int;
