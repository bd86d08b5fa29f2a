-- Which of the tenants $2 are placed in another group than $1; at most ten of them.
SELECT tenant_id, group_name
FROM memory_placements
WHERE group_name <> $1::varchar AND tenant_id = ANY ($2::varchar[])
ORDER BY tenant_id
LIMIT 10;
