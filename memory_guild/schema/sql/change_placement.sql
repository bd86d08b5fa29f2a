-- Places the tenant $1, which is in the group $2, in the group $3.
WITH moved AS (
    UPDATE memory_placements SET group_name = $3::varchar, placed_at = now()
    WHERE tenant_id = $1::varchar AND group_name = $2::varchar
    RETURNING tenant_id
)

UPDATE memory_groups SET tenants = tenants + CASE group_name WHEN $3 THEN 1 ELSE -1 END
WHERE group_name IN ($2, $3) AND EXISTS (SELECT FROM moved);
