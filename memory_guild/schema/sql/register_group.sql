-- Adds the group $1 to the catalogue, with the tenants $2; whether it is new.
WITH added AS (
    INSERT INTO memory_groups (group_name, tenants)
    VALUES ($1::varchar, cardinality($2::varchar[]))
    ON CONFLICT DO NOTHING
    RETURNING group_name
),

placed AS (
    INSERT INTO memory_placements (tenant_id, group_name)
    SELECT tenant_id, group_name
    FROM added CROSS JOIN unnest($2) AS known (tenant_id)
)

SELECT EXISTS (SELECT FROM added) AS is_new;
