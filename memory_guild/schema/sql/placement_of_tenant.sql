-- The group of the tenant $1.
SELECT group_name
FROM memory_placements
WHERE tenant_id = $1::varchar;
